/** Owns one stream: its headers, its callbacks, and its two halves. */
import type { Duplex } from "node:stream";
import type { BodyBudget, OnWhole } from "./body-collector.ts";
import { ErrorCode } from "./errors.ts";
import { HeaderList } from "./header-list.ts";
import type { EncodedHeaders } from "./hpack-encoder.ts";
import { type OnChunk, ReceivingHalf, type ReceivingOwner } from "./receiving-half.ts";
import { SendingHalf, type SendingOwner } from "./sending-half.ts";
import type { AnswerKind, StreamHost } from "./stream-host.ts";

/** Takes body bytes as they come. `end` comes once, with the last chunk or with an empty one. */
export type OnData = OnChunk<Stream>;

/**
 * A stream closed. `code` undefined = both sides ended well; else the reason that the side which
 * reset it gave.
 */
export type OnClose = (stream: Stream, code: ErrorCode | undefined) => void;

const NO_FIELDS = new HeaderList();

/**
 * One stream, in the states of RFC 9113 section 5.1: open, then one half ended or the other, then
 * closed. Callbacks get the stream as an argument, so that one function can serve all streams.
 */
export class Stream implements SendingOwner, ReceivingOwner {
  /** For the connection: what we send on the stream. */
  readonly sending: SendingHalf;
  /** For the connection: what the peer sends on the stream. */
  readonly receiving: ReceivingHalf<Stream>;
  readonly #host: StreamHost<Stream>;
  #id: number;
  #headers: HeaderList = NO_FIELDS;
  #trailers: HeaderList | undefined = undefined;
  #context: unknown = undefined;
  #onHeaders: ((stream: Stream) => void) | undefined = undefined;
  #onDrain: ((stream: Stream) => void) | undefined = undefined;
  #onClose: OnClose | undefined = undefined;
  #begun = false;
  #closed = false;
  #refused = false;
  #lingersSince = 0;
  #kind: AnswerKind<Stream> | undefined = undefined;
  /** -1 = it is not being answered. */
  #expectedBytes = -1;

  /** `id` 0 = a client's request that waits for a free stream. */
  constructor(id: number, host: StreamHost<Stream>, sendWindow: number, receiveWindow: number) {
    this.#id = id;
    this.#host = host;
    this.sending = new SendingHalf(this, host.sender, sendWindow);
    this.receiving = new ReceivingHalf<Stream>(this, host.windows, receiveWindow);
  }

  /** 0 = a client's request that waits for a free stream. */
  get id(): number {
    return this.#id;
  }

  /** For looking at (addresses, TLS), not for reading or writing. */
  get socket(): Duplex {
    return this.#host.socket;
  }

  /** The peer's: of the request, in a server; of the response, in a client, and empty before it. */
  get headers(): HeaderList {
    return this.#headers;
  }

  /** The peer's, after the end of its body; undefined = none came. */
  get trailers(): HeaderList | undefined {
    return this.#trailers;
  }

  /** Of a request; "" = not sent, as in a response. */
  get method(): string {
    return this.#headers.method;
  }
  get path(): string {
    return this.#headers.path;
  }
  get authority(): string {
    return this.#headers.authority;
  }
  get scheme(): string {
    return this.#headers.scheme;
  }

  /** Nothing more can be sent or read. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * The stream closed before the server ran it: the request may be sent again (RFC 9113 section
   * 8.7).
   */
  get refused(): boolean {
    return this.#refused;
  }

  /** What `setContext` was given. */
  get context(): unknown {
    return this.#context;
  }

  /** An ordinary field of `headers`; undefined = not sent. */
  header(name: string): string | undefined {
    return this.#headers.get(name);
  }

  /** Keeps something for whoever uses the stream. */
  setContext(context: unknown): void {
    this.#context = context;
  }

  /**
   * In a client: `listener` is called when the response's headers are there, before any of its
   * body.
   */
  whenAnswered(listener: (stream: Stream) => void): void {
    this.#onHeaders = listener;
  }

  /** `listener` is called when `write` has returned false and takes more now. */
  whenDrained(listener: (stream: Stream) => void): void {
    this.#onDrain = listener;
  }

  /** `listener` is called once, last. It replaces the one before. */
  whenClosed(listener: OnClose): void {
    this.#onClose = listener;
  }

  /** From now on body bytes go to `onData`; until then they wait, and the peer with them. */
  read(onData: OnData): void {
    this.receiving.read(onData);
  }

  /**
   * No `onData` until `resume`; the peer can send what the stream's window holds, and then waits.
   */
  pause(): void {
    this.receiving.pause();
  }

  resume(): void {
    this.receiving.resume();
  }

  /**
   * Reads the whole body and calls `done` once with it, or with why not, unless the stream closes
   * before.
   */
  collect(maxBytes: number, done: OnWhole<Stream>, budget?: BodyBudget): void {
    this.receiving.collect(maxBytes, done, budget, collectChunk);
  }

  /**
   * Sends the response headers, in a server; once, before any `write`. `end`: they are all. This
   * and the calls below have no effect on a stream that is closed or ended.
   */
  respond(headers: EncodedHeaders, end = false): void {
    if (this.sending.respond(headers, end) && this.receiving.held) {
      this.receiving.release();
    }
  }

  /**
   * Sends body bytes, which must not change afterwards. False = more waits than the high-water
   * mark: go on when drained; or nothing is sent any more.
   */
  write(data: Uint8Array): boolean {
    return this.sending.write(data);
  }

  /** Ends our half, after what was written. */
  end(trailers?: EncodedHeaders): void {
    this.sending.end(trailers);
  }

  /** Sends the last of the body and the end, in one frame where it can be. */
  endWith(data: Uint8Array, trailers?: EncodedHeaders): void {
    this.sending.endWith(data, trailers);
  }

  /**
   * Sends a whole response, in a server: the shortest way where windows and socket have room for
   * it.
   */
  reply(headers: EncodedHeaders, data: Uint8Array, trailers: EncodedHeaders | undefined): void {
    if (!this.sending.reply(headers, data, trailers)) {
      this.respond(headers);
      this.sending.endWith(data, trailers);
    }
  }

  /** Ends both halves at once. */
  reset(code: ErrorCode = ErrorCode.CANCEL): void {
    if (!this.#closed) {
      this.#host.resetStream(this, code);
    }
  }

  // For the connection.

  /** The server was told of the stream: if the peer throws it away, work is lost. */
  get begun(): boolean {
    return this.#begun;
  }

  /**
   * Since when the peer sends on after a complete answer, by `performance.now()`; 0 = it does not.
   */
  get lingersSince(): number {
    return this.#lingersSince;
  }

  /** A server starts to answer. */
  begin(): void {
    this.#begun = true;
  }

  /** A client's request goes out. */
  open(id: number, sendWindow: number, receiveWindow: number): void {
    this.#id = id;
    this.sending.open(sendWindow);
    this.receiving.open(receiveWindow);
  }

  /** The final headers of the peer came. */
  receiveHeaders(headers: HeaderList): void {
    this.#headers = headers;
    // RFC 9110 section 8.6: with these it speaks of a body that is not sent.
    const noBody = headers.status === 204 || headers.status === 304;
    this.receiving.expect(noBody ? -1 : headers.contentLength);
    if (this.#onHeaders !== undefined) {
      this.#call(this.#onHeaders);
    }
  }

  /** The peer's half ends with trailers. */
  receiveTrailers(trailers: HeaderList): void {
    this.#trailers = trailers;
    this.receiving.receive(NO_BYTES, true);
  }

  /** The answer is complete, and the request still comes: reads and drops it from now on. */
  linger(now: number): void {
    this.#lingersSince = now;
    this.receiving.discard();
  }

  /** Nothing more happens on this stream. */
  close(code: ErrorCode | undefined): void {
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#refused = code === ErrorCode.REFUSED_STREAM;
    this.sending.close();
    this.receiving.close();
    const onClose = this.#onClose;
    this.#onDrain = undefined;
    this.#onClose = undefined;
    if (onClose !== undefined) {
      try {
        onClose(this, code);
      } catch (error) {
        this.#host.callbackFailed(this, error);
      }
    }
  }

  // For `admission.ts`.

  /** Of a request that is whole. */
  get kind(): AnswerKind<Stream> | undefined {
    return this.#kind;
  }

  /** The request is whole, and one of `kind`. */
  setKind(kind: AnswerKind<Stream>): void {
    this.#kind = kind;
  }

  /** The request is being answered, and its answer is expected to be so large. */
  startAnswer(expectedBytes: number): void {
    this.#expectedBytes = expectedBytes;
  }

  /**
   * The request is answered, or over: what was expected of its answer; -1 = it was not being
   * answered.
   */
  stopAnswer(): number {
    const expectedBytes = this.#expectedBytes;
    this.#expectedBytes = -1;
    return expectedBytes;
  }

  /**
   * The whole request is read, and its answer comes when something happens, perhaps in minutes.
   * Until then it counts as answered, so that no other request waits for it.
   */
  answerLater(): void {
    this.answering(undefined);
  }

  // For the halves.

  answering(bytes: number | undefined): void {
    this.#host.role.answered(this, bytes);
  }

  sentToEnd(): void {
    this.#host.role.halfEnded(this);
  }

  drained(): void {
    if (this.#onDrain !== undefined) {
      this.#call(this.#onDrain);
    }
  }

  buffered(): void {
    this.#host.role.buffered(this);
  }

  mayEnd(): boolean {
    return this.#host.role.mayEnd(this);
  }

  readToEnd(): void {
    this.#host.role.halfEnded(this);
  }

  failed(error: unknown): void {
    this.#host.callbackFailed(this, error);
  }

  #call(callback: (stream: Stream) => void): void {
    try {
      callback(this);
    } catch (error) {
      this.#host.callbackFailed(this, error);
    }
  }
}

const NO_BYTES = Buffer.alloc(0);

function collectChunk(stream: Stream, chunk: Buffer, end: boolean): void {
  stream.receiving.collected(chunk, end);
}
