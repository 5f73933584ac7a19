import type { Duplex } from "node:stream";
import { Admission } from "./admission.ts";
import { countCall } from "./call-price.ts";
import { Connection } from "./connection.ts";
import { ConnectionError, ErrorCode } from "./errors.ts";
import type { HeaderList } from "./header-list.ts";
import { encodeHeaders } from "./hpack-encoder.ts";
import type { ConnectionOptions } from "./lifecycle.ts";
import { Stream } from "./stream.ts";
import type { Unsent, UnsentBudget, UnsentHolder } from "./unsent-budget.ts";

/** Called with each request, before any of its body; `read` or `collect` gets the body, now or later. */
export type OnStream = (stream: Stream) => void;

/** What a server takes, beside what both roles do. */
export interface ServerOptions extends ConnectionOptions {
  /** Answers that wait, of several connections; above it some are ended. Default: only the connection's own bounds count. */
  readonly unsent?: UnsentBudget;
}

/** RFC 9110 section 10.1.1: the client may send its body. */
const CONTINUE = encodeHeaders([":status", "100"]);

/** RFC 9113 section 10.5.1. */
const TOO_LARGE = encodeHeaders([":status", "431"]);

/**
 * Serves HTTP/2 on a socket whose peer is a client with prior knowledge, or chose h2 by ALPN; bytes that were read
 * before are given back with `unshift`. Throws RangeError for options that are out of range.
 */
export function createServerConnection(
  socket: Duplex,
  options: ServerOptions,
  onStream: OnStream,
): ServerConnection {
  return new ServerConnection(socket, options, onStream);
}

/** The server's end of a connection. */
export class ServerConnection extends Connection implements UnsentHolder {
  readonly isClient = false;
  private readonly onStream: OnStream;
  private readonly admission: Admission;
  countedBytes = 0;
  private leaveBudget: () => void = () => {};

  constructor(socket: Duplex, { unsent, ...options }: ServerOptions, onStream: OnStream) {
    super(socket, options, true);
    this.onStream = onStream;
    this.admission = new Admission(this.sender, this.limits.maxConnectionBufferedBytes, (stream) => {
      if (stream.held) {
        stream.release();
      } else {
        this.run(stream);
      }
    });
    if (unsent !== undefined) {
      this.share(unsent);
    }
    this.announce();
  }

  private share(budget: UnsentBudget): void {
    budget.join(this);
    this.sender.onUnsent = () => {
      if (this.unsentBytes !== this.countedBytes) {
        budget.update(this);
      }
    };
    this.leaveBudget = () => budget.leave(this);
    this.socket.once("close", this.leaveBudget);
  }

  get unsentBytes(): number {
    return this.sender.bufferedBytes + this.socket.writableLength;
  }

  unsent(): Unsent[] {
    const { output } = this.sender;
    if (output.blocked) {
      const end = () => {
        this.cut(new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "the peer does not read"));
        // Its streams are closed in later turns.
        this.leaveBudget();
      };
      return [{ bytes: this.unsentBytes, since: output.blockedAt, end }];
    }
    return this.streams.all().flatMap((stream) => {
      const end = () => this.resetStream(stream, ErrorCode.ENHANCE_YOUR_CALM);
      const { bytes } = stream.outbox;
      return bytes === 0 ? [] : [{ bytes, since: stream.movedAt, end }];
    });
  }

  protected override onChunk(): void {
    this.admission.begin();
  }

  protected override onHeaders(streamId: number, list: HeaderList, endStream: boolean): void {
    if ((streamId & 1) === 0) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, `a client opens stream ${streamId}`);
    }
    if (streamId <= this.lastPeerStreamId) {
      // Section 5.1, closed.
      throw new ConnectionError(ErrorCode.STREAM_CLOSED, `HEADERS on stream ${streamId}, which is closed`);
    }
    if (this.streams.size >= this.limits.maxConcurrentStreams || streamId > this.goawaySentId) {
      // Not run: its client may send it again (section 8.7).
      this.refuse(streamId, ErrorCode.REFUSED_STREAM);
      return;
    }
    this.lastPeerStreamId = streamId;
    if (list.tooLarge) {
      this.sender.headers(streamId, TOO_LARGE.bytes, true);
      this.refuse(streamId, ErrorCode.NO_ERROR);
    } else if (!list.isRequest() || (endStream && list.contentLength > 0)) {
      this.refuse(streamId, ErrorCode.PROTOCOL_ERROR);
    } else {
      this.open(streamId, list, endStream);
    }
  }

  private open(streamId: number, list: HeaderList, endStream: boolean): void {
    const stream = new Stream(streamId, this, this.sender.initialWindow, this.newReceiveWindow());
    stream.headers = list;
    stream.hasHeaders = true;
    stream.bodyLeft = list.contentLength;
    this.streams.add(stream);
    if (endStream) {
      stream.receiveEnd();
    } else if (list.expectsContinue) {
      this.sender.headers(streamId, CONTINUE.bytes, false);
    }
    // One with a body is run, and its body read: what waits, waits at its end.
    if (!endStream || this.admission.admit(stream)) {
      this.run(stream);
    }
  }

  private run(stream: Stream): void {
    stream.begun = true;
    countCall();
    try {
      this.onStream(stream);
    } catch (error) {
      this.callbackFailed(stream, error);
    }
  }

  private refuse(streamId: number, code: ErrorCode): void {
    this.lastPeerStreamId = Math.max(this.lastPeerStreamId, streamId);
    this.spend();
    this.resetId(streamId, code);
  }

  protected override isIdle(streamId: number): boolean {
    return (streamId & 1) === 0 || streamId > this.lastPeerStreamId;
  }

  /** The client opens no more; what it has opened is answered (section 6.8). */
  protected override onGoaway(): void {
    void this.drain();
  }

  protected override startDrain(): void {
    this.warnGoaway();
  }

  /**
   * An answer that is complete ends the stream. A client that still sends may do so for a moment, and is then told to stop
   * (section 8.1): with the reset right behind the answer, node:http2's client loses the answer.
   */
  override halfEnded(stream: Stream): void {
    if (stream.localEnded && stream.remoteEnded) {
      this.closeStream(stream, undefined);
    } else if (stream.localEnded && stream.lingersSince === 0) {
      this.clock.linger(stream);
      stream.discard();
    }
  }

  override mayEnd(stream: Stream): boolean {
    return stream.responded || this.admission.admit(stream);
  }

  override answered(stream: Stream, bytes: number | undefined): void {
    this.admission.answered(stream, bytes);
  }

  /** Its writer ignores that `write` answered false, or its one answer is this large. */
  override buffered(stream: Stream): void {
    if (stream.outbox.bytes > this.limits.maxStreamBufferedBytes) {
      this.resetStream(stream, ErrorCode.ENHANCE_YOUR_CALM);
    }
  }

  protected override onCapacity(stream: Stream | undefined): void {
    if (stream !== undefined) {
      this.admission.closed(stream);
    }
  }
}
