/**
 * Owns what a server does on a connection: takes requests, runs them, and ends the streams it
 * answered.
 */
import { Admission } from "./admission.ts";
import { countCall } from "./call-price.ts";
import type { Connection } from "./connection.ts";
import { ConnectionError, ErrorCode } from "./errors.ts";
import type { HeaderList } from "./header-list.ts";
import { encodeHeaders } from "./hpack-encoder.ts";
import type { Role } from "./role.ts";
import { Stream } from "./stream.ts";

/**
 * Called with each request, before any of its body; `read` or `collect` gets the body, now or
 * later.
 */
export type OnStream = (stream: Stream) => void;

/** RFC 9110 section 10.1.1: the client may send its body. */
const CONTINUE = encodeHeaders([":status", "100"]);

/** RFC 9113 section 10.5.1. */
const TOO_LARGE = encodeHeaders([":status", "431"]);

/** The server's role. */
export class ServerRole implements Role {
  readonly #connection: Connection;
  readonly #onStream: OnStream;
  readonly #admission: Admission;
  #lastPeerStreamId = 0;

  constructor(connection: Connection, onStream: OnStream) {
    this.#connection = connection;
    this.#onStream = onStream;
    this.#admission = new Admission(
      connection.sender,
      connection.limits.maxConnectionBufferedBytes,
      (stream) => {
        if (stream.receiving.held) {
          stream.receiving.release();
        } else {
          this.#run(stream);
        }
      },
    );
  }

  get lastPeerStreamId(): number {
    return this.#lastPeerStreamId;
  }

  chunkBegins(): void {
    this.#admission.begin();
  }

  headers(streamId: number, list: HeaderList, endStream: boolean): void {
    const { streams, limits, ending, sender } = this.#connection;
    if ((streamId & 1) === 0) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, `a client opens stream ${streamId}`);
    }
    if (streamId <= this.#lastPeerStreamId) {
      // RFC 9113 section 5.1, closed.
      throw new ConnectionError(ErrorCode.STREAM_CLOSED, `HEADERS on stream ${streamId}, which is closed`);
    }
    this.#lastPeerStreamId = streamId;
    if (streams.size >= limits.maxConcurrentStreams || !ending.takes(streamId)) {
      // Not run: its client may send it again (section 8.7).
      this.#refuse(streamId, ErrorCode.REFUSED_STREAM);
    } else if (list.tooLarge) {
      sender.headers(streamId, TOO_LARGE, true);
      this.#refuse(streamId, ErrorCode.NO_ERROR);
    } else if (!list.isRequest() || (endStream && list.contentLength > 0)) {
      this.#refuse(streamId, ErrorCode.PROTOCOL_ERROR);
    } else {
      this.#open(streamId, list, endStream);
    }
  }

  isIdle(streamId: number): boolean {
    return (streamId & 1) === 0 || streamId > this.#lastPeerStreamId;
  }

  /** The client opens no more; what it has opened is answered (section 6.8). */
  goaway(): void {
    void this.#connection.ending.drain();
  }

  drainBegins(): void {
    this.#connection.ending.warn();
  }

  ended(): void {}

  settingsCame(): void {}

  streamClosed(stream: Stream): void {
    this.#admission.closed(stream);
  }

  mayEnd(stream: Stream): boolean {
    return stream.sending.responded || this.#admission.admit(stream);
  }

  answered(stream: Stream, bytes: number | undefined): void {
    this.#admission.answered(stream, bytes);
  }

  /** Its writer ignores that `write` answered false, or its one answer is this large. */
  buffered(stream: Stream): void {
    if (stream.sending.queuedBytes > this.#connection.limits.maxStreamBufferedBytes) {
      this.#connection.streams.reset(stream, ErrorCode.ENHANCE_YOUR_CALM);
    }
  }

  /**
   * A complete answer ends the stream. A client that still sends may do so for a moment, and is
   * then told to stop (section 8.1): with the reset right behind the answer, node:http2's client
   * loses the answer.
   */
  halfEnded(stream: Stream): void {
    if (!stream.sending.ended) {
      return;
    }
    if (stream.receiving.ended) {
      this.#connection.streams.close(stream, undefined);
    } else if (stream.lingersSince === 0) {
      this.#connection.timeouts.lingers();
      stream.linger(performance.now());
    }
  }

  #open(streamId: number, list: HeaderList, endStream: boolean): void {
    const connection = this.#connection;
    const { peer, messages } = connection;
    const stream = new Stream(streamId, connection, peer.initialWindow, messages.newStreamWindow);
    stream.receiveHeaders(list);
    connection.streams.add(stream);
    if (endStream) {
      stream.receiving.receiveNoBody();
    } else if (list.expectsContinue) {
      connection.sender.headers(streamId, CONTINUE, false);
    }
    // A request with a body is run, and its body read: if it has to wait, it waits at its end.
    if (!endStream || this.#admission.admit(stream)) {
      this.#run(stream);
    }
  }

  #run(stream: Stream): void {
    stream.begin();
    countCall();
    try {
      this.#onStream(stream);
    } catch (error) {
      this.#connection.callbackFailed(stream, error);
    }
  }

  #refuse(streamId: number, code: ErrorCode): void {
    this.#connection.budget.spend();
    this.#connection.streams.resetId(streamId, code);
  }
}
