import type { Duplex } from "node:stream";
import { Connection } from "./connection.ts";
import { ConnectionError, ErrorCode } from "./errors.ts";
import { MAX_31_BITS, PREFACE } from "./frame.ts";
import type { HeaderList } from "./header-list.ts";
import type { HeaderBlock } from "./hpack-encoder.ts";
import type { ConnectionOptions } from "./lifecycle.ts";
import { Stream } from "./stream.ts";

const EMPTY = Buffer.alloc(0);

/** Speaks HTTP/2 to a server on a connected socket. Throws RangeError for options that are out of range. */
export function createClientConnection(socket: Duplex, options: ConnectionOptions): ClientConnection {
  return new ClientConnection(socket, options);
}

/** A request and its response. While `id` is 0 it waits for a free stream; what is written waits with it. */
export class ClientStream extends Stream {
  /** The response's `headers` are there; interim ones (1xx) are left out. Before any of the body. */
  onHeaders: ((stream: ClientStream) => void) | undefined = undefined;
  /** For the connection: what opens it. */
  readonly request: HeaderBlock;
  readonly more: HeaderBlock | undefined;

  constructor(host: ClientConnection, request: HeaderBlock, more: HeaderBlock | undefined) {
    super(0, host, 0, 0);
    this.request = request;
    this.more = more;
  }

  protected override flush(): void {
    if (this.id !== 0) {
      super.flush();
    }
  }

  /** For the connection. */
  start(id: number, sendWindow: number, receiveWindow: number): void {
    this.id = id;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
  }

  /** For the connection. */
  answer(headers: HeaderList): void {
    this.headers = headers;
    this.hasHeaders = true;
    // RFC 9110 section 8.6: here it speaks of a body that is not sent.
    this.bodyLeft = headers.status === 204 || headers.status === 304 ? -1 : headers.contentLength;
    try {
      this.onHeaders?.(this);
    } catch (error) {
      this.host.callbackFailed(this, error);
    }
  }
}

/** The client's end of a connection. */
export class ClientConnection extends Connection {
  readonly isClient = true;
  /**
   * The server takes no new streams (section 6.8): open the next ones elsewhere. Those that it did not run close
   * with `refused`.
   */
  onDraining: ((code: ErrorCode) => void) | undefined = undefined;
  /** There may be more of `freeStreams` than before. */
  onRoom: (() => void) | undefined = undefined;
  private nextStreamId = 1;
  private readonly queue = new Set<ClientStream>();

  constructor(socket: Duplex, options: ConnectionOptions) {
    super(socket, options, false);
    this.sender.output.append(PREFACE);
    this.announce();
  }

  /** Streams that could be opened now without waiting. */
  get freeStreams(): number {
    return this.closing ? 0 : Math.max(0, this.peerMaxStreams - this.streams.size - this.queue.size);
  }

  /**
   * Opens a stream; `end` or `endWith` completes it. `headers` is a block that comes again (it goes into the
   * dynamic table, RFC 7541 section 2.3.2), `more` what only this call has. Where the connection takes no more, and
   * where too many wait, the stream closes with `refused`, after this turn.
   */
  request(headers: HeaderBlock, more?: HeaderBlock): ClientStream {
    const stream = new ClientStream(this, headers, more);
    if (!this.closing && this.queue.size === 0 && this.streams.size < this.peerMaxStreams) {
      this.open(stream);
    } else if (!this.closing && this.queue.size < this.limits.maxQueuedStreams) {
      this.queue.add(stream);
    } else {
      queueMicrotask(() => this.closeStream(stream, ErrorCode.REFUSED_STREAM));
    }
    return stream;
  }

  private open(stream: ClientStream): void {
    const id = this.nextStreamId;
    this.nextStreamId += 2;
    stream.start(id, this.sender.initialWindow, this.newReceiveWindow());
    this.streams.add(stream);
    this.sender.request(id, stream.request, stream.more);
    if (this.nextStreamId > MAX_31_BITS) {
      // Section 5.1.1: there are no more ids.
      void this.drain();
    }
  }

  protected override onChunk(): void {}

  /** Answers are read as they come. */
  override mayEnd(): boolean {
    return true;
  }

  override answered(): void {}

  /** What waits is the caller's own. */
  override buffered(): void {}

  protected override onCapacity(): void {
    for (const stream of this.queue) {
      if (this.closing || this.streams.size >= this.peerMaxStreams) {
        return;
      }
      this.queue.delete(stream);
      this.open(stream);
      if (stream.outbox.bytes > 0 || stream.ending) {
        this.sender.schedule(stream);
      }
    }
    this.onRoom?.();
  }

  protected override onHeaders(streamId: number, list: HeaderList, endStream: boolean): void {
    const stream = this.streams.get(streamId);
    if (!(stream instanceof ClientStream)) {
      const code = this.isIdle(streamId) ? ErrorCode.PROTOCOL_ERROR : ErrorCode.STREAM_CLOSED;
      throw new ConnectionError(code, `HEADERS on stream ${streamId}`);
    }
    if (list.tooLarge) {
      this.streamError(stream, ErrorCode.ENHANCE_YOUR_CALM);
    } else if (!list.isResponse() || (endStream && (list.status < 200 || list.contentLength > 0))) {
      this.streamError(stream, ErrorCode.PROTOCOL_ERROR);
    } else if (list.status < 200) {
      // Section 8.1: interim.
      this.spend();
    } else {
      stream.answer(list);
      if (endStream && !stream.closed) {
        stream.receive(EMPTY, true);
      }
    }
  }

  protected override isIdle(streamId: number): boolean {
    return (streamId & 1) === 0 || streamId >= this.nextStreamId;
  }

  /** Section 6.8: streams above the last one were not run. */
  protected override onGoaway(lastStreamId: number, code: ErrorCode): void {
    const first = !this.draining;
    this.draining = true;
    for (const stream of this.streams.all()) {
      if (stream.id > lastStreamId) {
        this.closeStream(stream, ErrorCode.REFUSED_STREAM);
      }
    }
    this.refuseQueued();
    if (first) {
      try {
        this.onDraining?.(code);
      } catch (error) {
        this.reportError(error);
      }
    }
    this.finalGoaway();
  }

  protected override startDrain(): void {
    this.refuseQueued();
    this.finalGoaway();
  }

  /** A response that was read to its end ends the call, whatever is left of the request. */
  override halfEnded(stream: Stream): void {
    if (!stream.endDelivered) {
      return;
    }
    if (!stream.localEnded) {
      this.resetId(stream.id, ErrorCode.CANCEL);
    }
    this.closeStream(stream, undefined);
  }

  protected override closeStream(stream: Stream, code: ErrorCode | undefined): void {
    if (stream.id === 0) {
      this.queue.delete(stream as ClientStream);
      stream.close(code);
    } else {
      super.closeStream(stream, code);
    }
  }

  protected override closeStreams(code: ErrorCode): void {
    super.closeStreams(code);
    this.refuseQueued();
  }

  private refuseQueued(): void {
    for (const stream of this.queue) {
      this.closeStream(stream, ErrorCode.REFUSED_STREAM);
    }
  }
}
