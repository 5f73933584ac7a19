import type { Duplex } from "node:stream";
import { type BodyBudget, BodyCollector, type OnWhole } from "./body-collector.ts";
import { ChunkQueue } from "./chunk-queue.ts";
import { ErrorCode } from "./errors.ts";
import { HeaderList } from "./header-list.ts";
import type { EncodedHeaders } from "./hpack-encoder.ts";
import type { Sender } from "./sender.ts";

/** What a stream needs of its connection. */
export interface StreamHost {
  /** For looking at (addresses, TLS), not for reading or writing. */
  readonly socket: Duplex;
  readonly sender: Sender;
  readonly streamHighWaterBytes: number;
  /** Body bytes were taken by whoever reads them: window updates may be due. */
  consumed(stream: Stream, bytes: number): void;
  /** More waits to be sent than before; closes what is over a limit. */
  buffered(stream: Stream): void;
  /** A request is whole: false = nobody is told before `release`. */
  mayEnd(stream: Stream): boolean;
  /** The answer to a request begins; `bytes` is all of it, undefined = it comes in pieces. */
  answered(stream: Stream, bytes: number | undefined): void;
  /** Our half was sent to its end, or the peer's was read to its end: decides what is left to say, and closes. */
  halfEnded(stream: Stream): void;
  /** Sends RST_STREAM and closes. */
  resetStream(stream: Stream, code: ErrorCode): void;
  /** A callback threw. */
  callbackFailed(stream: Stream, error: unknown): void;
}

/** Requests of one path on a connection, which have answers of about the same size; for `admission.ts`. */
export interface Kind {
  /** Until one was answered, a guess. */
  known: boolean;
  expectedBytes: number;
  /** How many of them are being answered. */
  unanswered: number;
  readonly waiting: Stream[];
}

/** Takes body bytes as they come. `end` comes once, with the last chunk or with an empty one. */
export type OnData = (stream: Stream, chunk: Buffer, end: boolean) => void;

const EMPTY = Buffer.alloc(0);
/** Stands for a queue that nothing was put into: most streams need none. */
const NOTHING = new ChunkQueue();
const NO_FIELDS = new HeaderList();

/**
 * One stream, in the states of RFC 9113 section 5.1: open, then `localEnded` and `remoteEnded` in either order (the
 * half-closed states), then `closed`. Callbacks get the stream as an argument, so that one function can serve all.
 * Chunks are views of what the socket brought: copy what is kept for long.
 */
export class Stream {
  /** 0 = a client's request that waits for a free stream. */
  id: number;
  readonly host: StreamHost;
  /** The peer's: of a request, in a server; of the response, in a client, and empty before it. */
  headers: HeaderList = NO_FIELDS;
  /** After the end of the body; undefined = none came. */
  trailers: HeaderList | undefined = undefined;
  /** For whoever uses the stream. */
  context: unknown = undefined;
  /** `write` returned false before, and takes more now. */
  onDrain: ((stream: Stream) => void) | undefined = undefined;
  /** Called once, last. undefined = both sides ended as they should; else who reset the stream said why. */
  onClose: ((stream: Stream, code: ErrorCode | undefined) => void) | undefined = undefined;

  /** A server was told of it: there is work that is for nothing if the peer throws it away. */
  begun = false;
  /** For `admission.ts`: of a request that is whole. */
  kind: Kind | undefined = undefined;
  /** It is being answered, and the answer is expected to be so large. */
  counted = false;
  expectedBytes = 0;
  /** The answer was begun; its size, or that of its first piece, was told. */
  responded = false;
  private measured = false;
  /** The end of the request came, and waits for `release`. */
  held = false;
  localEnded = false;
  remoteEnded = false;
  closed = false;
  /** Closed before the server ran it, so that the same request may be sent again (RFC 9113 section 8.7). */
  refused = false;

  /** For the engine: our half. */
  sendWindow: number;
  outbox: ChunkQueue = NOTHING;
  /** `end` was called: after the outbox comes the end, with trailers or without. */
  ending = false;
  trailersToSend: EncodedHeaders | undefined = undefined;
  wantsDrain = false;
  /** Frames sent in turns; the connection's clock sees by it whether the stream moves. */
  turns = 0;
  turnsSeen = -1;
  /** When some of what waits was last sent, or began to wait, by `performance.now()`. */
  movedAt = 0;
  stalledSince = 0;
  /** Since when the peer sends on after a complete answer; 0 = it does not. */
  lingersSince = 0;

  /** For the engine: the peer's half. */
  receiveWindow: number;
  unannounced = 0;
  /** `headers` are the final ones; a client waits for them. */
  hasHeaders = false;
  /** Body bytes that content-length still promises; -1 = not said. */
  bodyLeft = -1;
  paused = false;
  inbox: ChunkQueue | undefined = undefined;
  private onData: OnData | undefined = undefined;
  /** The peer's half was read to its end. */
  endDelivered = false;
  /** For `collectChunk`. */
  collector: BodyCollector<Stream> | undefined = undefined;

  constructor(id: number, host: StreamHost, sendWindow: number, receiveWindow: number) {
    this.id = id;
    this.host = host;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
  }

  /** Of a request; "" = not sent, as in a response. */
  get method(): string {
    return this.headers.method;
  }
  get path(): string {
    return this.headers.path;
  }
  get authority(): string {
    return this.headers.authority;
  }
  get scheme(): string {
    return this.headers.scheme;
  }

  /** An ordinary field of `headers`; undefined = not sent. */
  header(name: string): string | undefined {
    return this.headers.get(name);
  }

  /** From now on body bytes go to `onData`; until then, they wait, and the peer with them. */
  read(onData: OnData): void {
    this.onData = onData;
    this.deliverInbox();
  }

  /** No `onData` until `resume`; the peer can send what the stream's window holds, and then waits. */
  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.deliverInbox();
  }

  /** Reads the whole body and calls `done` once with it, or with why not, unless the stream closes before. */
  collect(maxBytes: number, done: OnWhole<Stream>, budget?: BodyBudget): void {
    this.collector = new BodyCollector(maxBytes, budget, done);
    this.read(collectChunk);
  }

  /** Response headers, of a server's stream; once, before any `write`. `end`: nothing follows, they are all. */
  respond(headers: EncodedHeaders, end = false): void {
    if (this.closed || this.ending) {
      return;
    }
    this.answering(undefined);
    this.host.sender.headers(this.id, headers.bytes, end);
    if (end) {
      this.ended();
    } else if (this.held) {
      this.release();
    }
  }

  /**
   * Sends body bytes, which must not change afterwards. false = more waits than the high-water mark: go on at
   * `onDrain`. Does nothing on a stream that is closed or ended.
   */
  write(data: Uint8Array): boolean {
    if (this.closed || this.ending) {
      return false;
    }
    if (!this.measured) {
      this.measured = true;
      this.host.answered(this, data.length);
    }
    if (data.length === 0 || this.sendNow(data, false)) {
      return true;
    }
    this.enqueue(data);
    this.wantsDrain = this.outbox.bytes >= this.host.streamHighWaterBytes;
    return !this.wantsDrain;
  }

  /** Ends our half, after what was written. */
  end(trailers?: EncodedHeaders): void {
    if (this.closed || this.ending) {
      return;
    }
    this.ending = true;
    this.trailersToSend = trailers;
    this.flush();
  }

  /** The last of the body and the end, in one frame where it can be. */
  endWith(data: Uint8Array, trailers?: EncodedHeaders): void {
    if (this.closed || this.ending) {
      return;
    }
    if (trailers === undefined && this.sendNow(data, true)) {
      this.ended();
      return;
    }
    this.ending = true;
    this.trailersToSend = trailers;
    if (data.length > 0) {
      this.enqueue(data);
    } else {
      this.flush();
    }
  }

  /** A whole response, of a server's stream: the shortest way where windows and socket have room for it. */
  reply(headers: EncodedHeaders, data: Uint8Array, trailers: EncodedHeaders | undefined): void {
    if (this.closed || this.ending) {
      return;
    }
    this.measured = true;
    this.answering(data.length);
    if (this.host.sender.reply(this, headers, data, trailers)) {
      this.ended();
      return;
    }
    this.respond(headers);
    this.endWith(data, trailers);
  }

  /** For the connection: what still comes is read and dropped. */
  discard(): void {
    this.paused = false;
    this.read(ignoreChunk);
  }

  /** Ends both halves at once. */
  reset(code: ErrorCode = ErrorCode.CANCEL): void {
    if (!this.closed) {
      this.host.resetStream(this, code);
    }
  }

  private answering(bytes: number | undefined): void {
    if (!this.responded) {
      this.responded = true;
      this.host.answered(this, bytes);
    }
  }

  /** Our half went out, all of it. */
  private ended(): void {
    this.ending = true;
    this.localEnded = true;
    this.host.halfEnded(this);
  }

  private sendNow(data: Uint8Array, end: boolean): boolean {
    return this.id !== 0 && this.outbox.bytes === 0 && this.host.sender.sendNow(this, data, end);
  }

  private enqueue(data: Uint8Array): void {
    const { length } = data;
    if (this.outbox === NOTHING) {
      this.outbox = new ChunkQueue();
    }
    if (this.outbox.bytes === 0) {
      this.movedAt = performance.now();
    }
    this.outbox.push(
      data instanceof Buffer ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength),
    );
    this.host.sender.bufferedBytes += length;
    this.flush();
    if (this.outbox.bytes > 0 && !this.closed) {
      this.host.buffered(this);
    }
  }

  /** A client's stream overrides it: until it has an id nothing can be sent. */
  protected flush(): void {
    this.host.sender.schedule(this);
  }

  /** For the sender: a frame went out, or could not. */
  sent(done: boolean): void {
    this.turns++;
    this.movedAt = performance.now();
    if (done) {
      this.localEnded = true;
      this.host.halfEnded(this);
    } else if (this.wantsDrain && this.outbox.bytes < this.host.streamHighWaterBytes / 2) {
      this.wantsDrain = false;
      this.call(this.onDrain);
    }
  }

  /** For the connection: body bytes, already counted. */
  receive(chunk: Buffer, end: boolean): void {
    if (end) {
      this.remoteEnded = true;
      this.held = !this.host.mayEnd(this);
    }
    if (this.onData !== undefined && !this.paused && this.inbox === undefined) {
      this.deliver(chunk, end && !this.held);
      return;
    }
    if (chunk.length > 0 || end) {
      this.inbox ??= new ChunkQueue();
      this.inbox.push(chunk);
    }
  }

  /** For the connection: there is no body. */
  receiveEnd(): void {
    this.remoteEnded = true;
    this.inbox = NOTHING;
  }

  /** For the connection: the end that was held back. */
  release(): void {
    this.held = false;
    this.inbox ??= NOTHING;
    this.deliverInbox();
  }

  /** For the connection: nothing more happens on this stream. */
  close(code: ErrorCode | undefined): void {
    if (this.closed) {
      return;
    }
    this.closed = true;
    this.refused = code === ErrorCode.REFUSED_STREAM;
    this.localEnded = true;
    this.remoteEnded = true;
    this.host.sender.forget(this);
    this.collector?.abandon();
    if (this.inbox !== undefined && this.inbox.bytes > 0) {
      this.host.consumed(this, this.inbox.bytes);
    }
    const { onClose } = this;
    this.onData = undefined;
    this.onDrain = undefined;
    this.onClose = undefined;
    if (onClose !== undefined) {
      try {
        onClose(this, code);
      } catch (error) {
        this.host.callbackFailed(this, error);
      }
    }
  }

  private deliver(chunk: Buffer, end: boolean): void {
    this.endDelivered ||= end;
    try {
      this.onData?.(this, chunk, end);
    } catch (error) {
      this.host.callbackFailed(this, error);
    }
    if (chunk.length > 0) {
      this.host.consumed(this, chunk.length);
    }
    if (end && !this.closed) {
      this.host.halfEnded(this);
    }
  }

  private deliverInbox(): void {
    const { inbox } = this;
    if (inbox === undefined) {
      return;
    }
    while (inbox.bytes > 0) {
      if (this.paused || this.onData === undefined) {
        return;
      }
      const chunk = inbox.shift(inbox.bytes);
      this.deliver(chunk, this.remoteEnded && !this.held && inbox.bytes === 0);
    }
    this.inbox = undefined;
    if (this.remoteEnded && !this.endDelivered && !this.closed) {
      if (this.paused || this.held) {
        this.inbox = inbox;
      } else {
        this.deliver(EMPTY, true);
      }
    }
  }

  private call(callback: ((stream: Stream) => void) | undefined): void {
    try {
      callback?.(this);
    } catch (error) {
      this.host.callbackFailed(this, error);
    }
  }
}

function collectChunk(stream: Stream, chunk: Buffer, end: boolean): void {
  stream.collector?.add(stream, chunk, end);
}

function ignoreChunk(): void {}
