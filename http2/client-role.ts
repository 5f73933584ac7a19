/**
 * Owns what a client does on a connection: opens streams, now or when the server takes more, and
 * ends them.
 */
import type { Connection } from "./connection.ts";
import { ConnectionError, ErrorCode } from "./errors.ts";
import { MAX_31_BITS } from "./frame.ts";
import type { HeaderList } from "./header-list.ts";
import type { HeaderBlock } from "./hpack-encoder.ts";
import type { Role } from "./role.ts";
import { Stream } from "./stream.ts";

/** The headers of a request that waits for a free stream. */
interface QueuedRequest {
  readonly headers: HeaderBlock;
  readonly more: HeaderBlock | undefined;
}

/** Told of what a client waits for. */
export interface ClientListener {
  /** The server takes no new streams (RFC 9113 section 6.8). */
  draining(code: ErrorCode): void;
  /** There may be more free streams than before. */
  room(): void;
}

/** The client's role. */
export class ClientRole implements Role {
  /** The server opens no streams. */
  readonly lastPeerStreamId = 0;
  readonly #connection: Connection;
  readonly #listener: ClientListener;
  #nextStreamId = 1;
  /** Requests that wait, in the order in which they came. */
  readonly #queue = new Map<Stream, QueuedRequest>();

  constructor(connection: Connection, listener: ClientListener) {
    this.#connection = connection;
    this.#listener = listener;
  }

  /** Streams that could be opened now without waiting. */
  get freeStreams(): number {
    const { ending, peer, streams } = this.#connection;
    return ending.closing ? 0 : Math.max(0, peer.maxStreams - streams.size - this.#queue.size);
  }

  /**
   * Opens a stream now, or when the server takes more. Where too many wait, the stream closes as
   * refused, after this turn.
   */
  request(headers: HeaderBlock, more: HeaderBlock | undefined): Stream {
    const connection = this.#connection;
    const { ending, limits } = connection;
    const stream = new Stream(0, connection, 0, 0);
    if (!ending.closing && this.#queue.size === 0 && this.#hasRoom) {
      this.#open(stream, headers, more);
    } else if (!ending.closing && this.#queue.size < limits.maxQueuedStreams) {
      this.#queue.set(stream, { headers, more });
    } else {
      queueMicrotask(() => stream.close(ErrorCode.REFUSED_STREAM));
    }
    return stream;
  }

  chunkBegins(): void {}

  headers(streamId: number, list: HeaderList, endStream: boolean): void {
    const { streams, budget } = this.#connection;
    const stream = streams.get(streamId);
    if (stream === undefined) {
      const code = this.isIdle(streamId) ? ErrorCode.PROTOCOL_ERROR : ErrorCode.STREAM_CLOSED;
      throw new ConnectionError(code, `HEADERS on stream ${streamId}`);
    }
    if (list.tooLarge) {
      streams.breakOff(stream, ErrorCode.ENHANCE_YOUR_CALM);
    } else if (!list.isResponse() || (endStream && (list.status < 200 || list.contentLength > 0))) {
      streams.breakOff(stream, ErrorCode.PROTOCOL_ERROR);
    } else if (list.status < 200) {
      // RFC 9113 section 8.1: interim.
      budget.spend();
    } else {
      stream.receiveHeaders(list);
      if (endStream && !stream.closed) {
        stream.receiving.receive(EMPTY, true);
      }
    }
  }

  isIdle(streamId: number): boolean {
    return (streamId & 1) === 0 || streamId >= this.#nextStreamId;
  }

  /** Section 6.8: streams above the last one were not run. */
  goaway(lastStreamId: number, code: ErrorCode): void {
    const { ending, streams } = this.#connection;
    const first = !ending.draining;
    ending.setDraining();
    for (const stream of streams.all()) {
      if (stream.id > lastStreamId) {
        streams.close(stream, ErrorCode.REFUSED_STREAM);
      }
    }
    this.#refuseQueued();
    if (first) {
      try {
        this.#listener.draining(code);
      } catch (error) {
        this.#connection.reportError(error);
      }
    }
    ending.sayLast();
  }

  drainBegins(): void {
    this.#refuseQueued();
    this.#connection.ending.sayLast();
  }

  ended(): void {
    this.#refuseQueued();
  }

  settingsCame(): void {
    this.#openQueued();
  }

  streamClosed(stream: Stream): void {
    if (stream.id === 0) {
      // It was reset while it waited.
      this.#queue.delete(stream);
    } else {
      this.#openQueued();
    }
  }

  /** Answers are read as they come. */
  mayEnd(): boolean {
    return true;
  }

  answered(): void {}

  /** What waits is the caller's own. */
  buffered(): void {}

  /** A response that was read to its end ends the call, whatever is left of the request. */
  halfEnded(stream: Stream): void {
    if (!stream.receiving.wasRead) {
      return;
    }
    const { streams } = this.#connection;
    if (!stream.sending.ended) {
      streams.resetId(stream.id, ErrorCode.CANCEL);
    }
    streams.close(stream, undefined);
  }

  get #hasRoom(): boolean {
    return this.#connection.streams.size < this.#connection.peer.maxStreams;
  }

  #open(stream: Stream, headers: HeaderBlock, more: HeaderBlock | undefined): void {
    const { peer, messages, streams, frames, ending } = this.#connection;
    const id = this.#nextStreamId;
    this.#nextStreamId += 2;
    stream.open(id, peer.initialWindow, messages.newStreamWindow);
    streams.add(stream);
    frames.request(id, headers, more);
    if (this.#nextStreamId > MAX_31_BITS) {
      // Section 5.1.1: there are no more ids.
      void ending.drain();
    }
  }

  #openQueued(): void {
    for (const [stream, { headers, more }] of this.#queue) {
      if (this.#connection.ending.closing || !this.#hasRoom) {
        return;
      }
      this.#queue.delete(stream);
      this.#open(stream, headers, more);
      stream.sending.start();
    }
    this.#listener.room();
  }

  #refuseQueued(): void {
    for (const stream of this.#queue.keys()) {
      this.#queue.delete(stream);
      stream.close(ErrorCode.REFUSED_STREAM);
    }
  }
}

const EMPTY = Buffer.alloc(0);
