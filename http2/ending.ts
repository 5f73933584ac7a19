/**
 * Owns how a connection ends: drained (RFC 9113 section 6.8), by an error (section 5.4.1), or by
 * its socket.
 */
import type { Duplex } from "node:stream";
import { ConnectionError, ErrorCode } from "./errors.ts";
import { MAX_31_BITS } from "./frame.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { OpenStreams } from "./open-streams.ts";
import type { Output } from "./output.ts";
import type { Role } from "./role.ts";

/** Tells the PING of a drain from the others. */
const DRAIN_PING = Buffer.from("drain   ", "latin1");

/** What the end needs of its connection. */
interface EndingParts {
  readonly socket: Duplex;
  readonly output: Output;
  readonly frames: FrameWriter;
  readonly streams: OpenStreams;
  readonly role: Role;
  /** The preface and SETTINGS of the peer came. */
  readonly started: boolean;
  /** A time runs now that may be the shortest. */
  timeBegan(): void;
  /** The socket is closed; `error` undefined = in good order. */
  socketClosed(error: Error | undefined): void;
}

/** Open, then draining or not, then ended (nothing more is read or opened), then closed. */
export class Ending {
  readonly #parts: EndingParts;
  /** No new streams are taken; those that there are go on. */
  #draining = false;
  /** The stream that the final GOAWAY named; later ones are refused. */
  #goawaySentId = MAX_31_BITS;
  #drainSentAt = 0;
  #ended = false;
  #endedAt = 0;
  #closed = false;
  #error: Error | undefined = undefined;
  readonly #waiters: (() => void)[] = [];

  constructor(parts: EndingParts) {
    this.#parts = parts;
    parts.socket.on("end", () => this.#socketEnded(undefined));
    parts.socket.on("error", (error) => this.#socketEnded(error));
    parts.socket.on("close", () => this.#close());
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** The last GOAWAY is out, or the socket gone: nothing more is read. */
  get ended(): boolean {
    return this.#ended;
  }

  /** When our side was closed, by `performance.now()`; 0 = it was not. */
  get endedAt(): number {
    return this.#endedAt;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** No new streams are taken. */
  get closing(): boolean {
    return this.#draining || this.#ended || this.#closed;
  }

  /** The first GOAWAY of a drain is out, and the last is not. */
  get awaitsDrainPing(): boolean {
    return this.#draining && !this.#ended && this.#goawaySentId === MAX_31_BITS;
  }

  /** When the PING of a drain was sent, by `performance.now()`. */
  get drainSentAt(): number {
    return this.#drainSentAt;
  }

  /** Whether the peer may still open the stream. */
  takes(streamId: number): boolean {
    return streamId <= this.#goawaySentId;
  }

  /**
   * Lets the streams that there are end, and takes no new ones. Resolves when the connection is
   * closed.
   */
  drain(): Promise<void> {
    if (this.#closed) {
      return Promise.resolve();
    }
    const closed = new Promise<void>((resolve) => this.#waiters.push(resolve));
    if (!this.#draining && !this.#ended) {
      this.#draining = true;
      this.#parts.role.drainBegins();
    }
    return closed;
  }

  /** The peer drains: takes no new streams from now on. */
  setDraining(): void {
    this.#draining = true;
  }

  /**
   * The peer may have streams on their way: they are taken until it has surely read this GOAWAY.
   */
  warn(): void {
    const { frames } = this.#parts;
    frames.goaway(MAX_31_BITS, ErrorCode.NO_ERROR, "");
    frames.ping(DRAIN_PING, false);
    this.#drainSentAt = performance.now();
    this.#parts.timeBegan();
  }

  /**
   * An acknowledgement of a PING came: that of a drain tells that the peer has read the first
   * GOAWAY.
   */
  pingAcked(payload: Buffer): void {
    if (payload.equals(DRAIN_PING)) {
      this.sayLast();
    }
  }

  /** The last GOAWAY of a drain: later streams are refused. */
  sayLast(): void {
    if (this.awaitsDrainPing) {
      const { frames, role } = this.#parts;
      this.#goawaySentId = role.lastPeerStreamId;
      frames.goaway(this.#goawaySentId, ErrorCode.NO_ERROR, "");
      this.endIfDrained();
    }
  }

  /** The last stream of a drain may have closed. */
  endIfDrained(): void {
    if (
      this.#draining &&
      !this.#ended &&
      this.#parts.streams.size === 0 &&
      this.#goawaySentId !== MAX_31_BITS
    ) {
      this.#end(ErrorCode.CANCEL);
    }
  }

  /** Says GOAWAY and ends. `error` undefined = the one that `code` means, and none for NO_ERROR. */
  fail(code: ErrorCode, reason: string, error?: Error): void {
    if (this.#ended || this.#closed) {
      return;
    }
    this.#error ??= error ?? (code === ErrorCode.NO_ERROR ? undefined : new ConnectionError(code, reason));
    const { frames, role } = this.#parts;
    frames.goaway(role.lastPeerStreamId, code, reason);
    this.#end(code === ErrorCode.NO_ERROR ? ErrorCode.CANCEL : code);
  }

  /** Ends without GOAWAY: the peer would not read it. */
  cut(error: Error): void {
    this.#error ??= error;
    this.#parts.socket.destroy();
    this.#socketEnded(error);
  }

  #end(code: ErrorCode): void {
    const { frames, output, socket } = this.#parts;
    this.#ended = true;
    frames.close();
    this.#closeStreams(code);
    output.flush();
    // What still comes is read and dropped: closing with bytes unread would take our last words
    // back.
    socket.end();
    this.#endedAt = performance.now();
    this.#parts.timeBegan();
  }

  #closeStreams(code: ErrorCode): void {
    this.#parts.streams.closeAll(code);
    this.#parts.role.ended();
  }

  #socketEnded(error: Error | undefined): void {
    const { frames, streams, started, socket } = this.#parts;
    this.#error ??= error;
    if (!this.#ended) {
      this.#ended = true;
      frames.close();
      if (streams.size > 0 || !started) {
        this.#error ??= new ConnectionError(ErrorCode.CONNECT_ERROR, "the peer closed the connection");
      }
      this.#closeStreams(ErrorCode.CONNECT_ERROR);
    }
    socket.destroy();
  }

  #close(): void {
    this.#socketEnded(undefined);
    if (this.#closed) {
      return;
    }
    this.#closed = true;
    this.#parts.socketClosed(this.#error);
    for (const done of this.#waiters.splice(0)) {
      done();
    }
  }
}
