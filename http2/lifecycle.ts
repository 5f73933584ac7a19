import type { Duplex } from "node:stream";
import { callPrice } from "./call-price.ts";
import { Clock, type Timed } from "./clock.ts";
import { ControlBudget } from "./control-budget.ts";
import { ConnectionError, ErrorCode } from "./errors.ts";
import { INITIAL_WINDOW_BYTES, MAX_31_BITS } from "./frame.ts";
import { HeaderAssembler } from "./header-assembler.ts";
import { HEADER_BLOCK_FACTOR, type Limits, resolveLimits } from "./limits.ts";
import { Sender } from "./sender.ts";
import type { Stream, StreamHost } from "./stream.ts";
import { StreamTable } from "./stream-table.ts";

/** What both roles take, beside the limits. */
export interface ConnectionOptions extends Partial<Limits> {
  /** A callback of a stream or connection threw; its stream is reset. Default: an uncaught exception. */
  readonly onCallbackError?: (error: unknown) => void;
}

/** Streams of a connection that ends which are closed in one turn. */
const MAX_CLOSES = 32;

const DRAIN_PING = Buffer.from("drain   ", "latin1");
const USER_PING = Buffer.from("ping    ", "latin1");

/**
 * How a connection lives: its streams, what it does about errors (RFC 9113 section 5.4), and its end
 * (section 6.8). `connection.ts` reads the frames.
 */
export abstract class Lifecycle implements StreamHost, Timed {
  readonly limits: Limits;
  readonly socket: Duplex;
  readonly sender: Sender;
  /** Called once, when the socket is closed; undefined = in good order. */
  onClose: ((error: Error | undefined) => void) | undefined = undefined;

  readonly streams = new StreamTable<Stream>();
  readonly assembler: HeaderAssembler;
  /** When the last chunk came, by `performance.now()`. */
  receivedAt = performance.now();
  protected readonly budget: ControlBudget;
  protected readonly clock = new Clock(this, this.receivedAt);
  /** The highest stream of the peer that was taken. */
  protected lastPeerStreamId = 0;
  /** The stream that the final GOAWAY named; later ones are refused. */
  protected goawaySentId = MAX_31_BITS;
  /** No new streams; those that there are end. */
  protected draining = false;
  /** The last GOAWAY is out, and nothing more is read. */
  ending = false;
  /** What the peer may still send, of DATA on all streams. */
  protected receiveWindow = INITIAL_WINDOW_BYTES;
  /** Streams that we reset: what the peer sent before it knew is no error of its (section 5.1, closed). */
  protected readonly recentResets = new Set<number>();

  private socketClosed = false;
  private error: Error | undefined = undefined;
  private unannounced = 0;
  private readonly onCallbackError: (error: unknown) => void;
  private readonly pings: { readonly sentAt: number; readonly done: (ms: number | undefined) => void }[] = [];
  private readonly closedWaiters: (() => void)[] = [];

  constructor(socket: Duplex, options: ConnectionOptions) {
    const { onCallbackError, ...limits } = options;
    this.limits = resolveLimits(limits);
    this.socket = socket;
    this.onCallbackError = onCallbackError ?? throwLater;
    this.budget = new ControlBudget(this.limits.controlFramesPerSecond, this.limits.maxConcurrentStreams);
    this.sender = new Sender(socket, this.limits.headerTableBytes, this.budget);
    this.assembler = new HeaderAssembler(
      this.limits.maxHeaderListBytes * HEADER_BLOCK_FACTOR,
      this.limits.maxContinuationFrames,
    );
    socket.on("end", () => this.socketEnded(undefined));
    socket.on("error", (error) => this.socketEnded(error));
    socket.on("close", () => this.finish());
  }

  abstract readonly isClient: boolean;
  /** The preface and SETTINGS of the peer came. */
  abstract get started(): boolean;
  /** The first step of a drain; `finalGoaway` is the last. */
  protected abstract startDrain(): void;
  /** A stream closed, or (undefined) SETTINGS came: a waiting one may begin. */
  protected abstract onCapacity(closed: Stream | undefined): void;
  abstract halfEnded(stream: Stream): void;
  abstract buffered(stream: Stream): void;
  abstract mayEnd(stream: Stream): boolean;
  abstract answered(stream: Stream, bytes: number | undefined): void;

  /** Streams that are not closed. */
  get streamCount(): number {
    return this.streams.size;
  }

  /** The connection takes no new streams, or is closed. */
  get closing(): boolean {
    return this.draining || this.ending || this.socketClosed;
  }

  /** The socket is closed, and `onClose` was called. */
  get closed(): boolean {
    return this.socketClosed;
  }

  /** Resolves with the round trip in milliseconds; undefined = the connection closed before. */
  ping(): Promise<number | undefined> {
    if (this.ending || this.socketClosed) {
      return Promise.resolve(undefined);
    }
    return new Promise((done) => {
      this.pings.push({ sentAt: performance.now(), done });
      this.sender.ping(USER_PING, false);
    });
  }

  /**
   * Lets the streams that there are end and takes no new ones, without losing any (section 6.8). Resolves when the
   * connection is closed. It does not bound the streams' time: `destroy` does.
   */
  drain(): Promise<void> {
    if (this.socketClosed) {
      return Promise.resolve();
    }
    const closed = new Promise<void>((resolve) => this.closedWaiters.push(resolve));
    if (!this.draining && !this.ending) {
      this.draining = true;
      this.startDrain();
    }
    return closed;
  }

  /** Closes now, with GOAWAY; streams end with `code`, or CANCEL for NO_ERROR. */
  destroy(code: ErrorCode = ErrorCode.NO_ERROR): void {
    this.fail(code, "", code === ErrorCode.NO_ERROR ? undefined : new ConnectionError(code, "destroyed"));
  }

  // What the clock needs.

  get awaitsDrainPing(): boolean {
    return this.draining && !this.ending && this.goawaySentId === MAX_31_BITS;
  }

  destroySocket(): void {
    this.socket.destroy();
  }

  /** RFC 9113 section 8.1: the client is told to stop, without a fault of its own. */
  endLinger(stream: Stream): void {
    this.resetId(stream.id, ErrorCode.NO_ERROR);
    this.closeStream(stream, undefined);
  }

  // What streams need.

  get streamHighWaterBytes(): number {
    return this.limits.streamHighWaterBytes;
  }

  /** Windows are filled up again when half of them is used (section 6.9). */
  consumed(stream: Stream | undefined, bytes: number): void {
    if (this.ending) {
      return;
    }
    this.unannounced += bytes;
    if (this.unannounced >= this.limits.connectionWindowBytes / 2) {
      this.receiveWindow += this.unannounced;
      this.sender.windowUpdate(0, this.unannounced);
      this.unannounced = 0;
    }
    if (stream !== undefined && !stream.remoteEnded) {
      stream.unannounced += bytes;
      if (stream.unannounced >= this.limits.streamWindowBytes / 2) {
        stream.receiveWindow += stream.unannounced;
        this.sender.windowUpdate(stream.id, stream.unannounced);
        stream.unannounced = 0;
      }
    }
  }

  resetStream(stream: Stream, code: ErrorCode): void {
    this.resetId(stream.id, code);
    this.closeStream(stream, code);
  }

  callbackFailed(stream: Stream, error: unknown): void {
    if (!stream.closed) {
      this.resetStream(stream, ErrorCode.INTERNAL_ERROR);
    }
    this.onCallbackError(error);
  }

  protected reportError(error: unknown): void {
    this.onCallbackError(error);
  }

  // Errors.

  /** The peer broke a rule on one stream (section 5.4.2); whoever makes us reset many pays for it. */
  protected streamError(stream: Stream, code: ErrorCode): void {
    this.spend();
    this.chargeFor(stream);
    this.resetStream(stream, code);
  }

  /** The peer throws the stream away, by a reset of its own or by what makes us reset it. */
  protected chargeFor(stream: Stream): void {
    if (stream.begun) {
      this.budget.charge(callPrice(this.receivedAt));
    }
  }

  protected resetId(streamId: number, code: ErrorCode): void {
    if (this.ending || streamId === 0) {
      return;
    }
    this.sender.rstStream(streamId, code);
    this.recentResets.add(streamId);
    if (this.recentResets.size > this.limits.maxConcurrentStreams + 100) {
      for (const oldest of this.recentResets) {
        this.recentResets.delete(oldest);
        break;
      }
    }
  }

  protected closeStream(stream: Stream, code: ErrorCode | undefined): void {
    this.streams.delete(stream.id);
    if (code === undefined) {
      this.budget.earn();
    }
    stream.close(code);
    if (this.streams.size === 0) {
      this.clock.becameIdle(this.receivedAt);
      this.endIfDrained();
    }
    this.onCapacity(stream);
  }

  /** Counts a frame that does nothing for the peer's requests. Throws ConnectionError above the limit. */
  protected spend(): void {
    if (!this.budget.spend(this.receivedAt)) {
      throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "too many control frames");
    }
  }

  /** Section 5.4.1: GOAWAY, and the end. */
  fail(code: ErrorCode, reason: string, error: Error | undefined): void {
    if (this.ending || this.socketClosed) {
      return;
    }
    this.error ??= error ?? (code === ErrorCode.NO_ERROR ? undefined : new ConnectionError(code, reason));
    this.sender.goaway(this.lastPeerStreamId, code, reason);
    this.end(code === ErrorCode.NO_ERROR ? ErrorCode.CANCEL : code);
  }

  /** No words: the peer would not read them. */
  cut(error: Error): void {
    this.error ??= error;
    this.socket.destroy();
    this.socketEnded(error);
  }

  private end(code: ErrorCode): void {
    this.ending = true;
    this.closeStreams(code);
    this.sender.output.flush();
    // What still comes is read and dropped: closing with bytes unread would take our last words back.
    this.socket.end();
    this.clock.ended();
  }

  private socketEnded(error: Error | undefined): void {
    this.error ??= error;
    if (!this.ending) {
      this.ending = true;
      if (this.streams.size > 0 || !this.started) {
        this.error ??= new ConnectionError(ErrorCode.CONNECT_ERROR, "the peer closed the connection");
      }
      this.closeStreams(ErrorCode.CONNECT_ERROR);
    }
    this.socket.destroy();
  }

  /** The first of them now; a thousand at once would keep all others from being heard. */
  protected closeStreams(code: ErrorCode): void {
    const open = this.streams.all();
    for (const { id } of open) {
      this.streams.delete(id);
    }
    const closeSome = () => {
      for (const stream of open.splice(0, MAX_CLOSES)) {
        stream.close(code);
      }
      if (open.length > 0) {
        setImmediate(closeSome);
      }
    };
    closeSome();
  }

  private finish(): void {
    this.socketEnded(undefined);
    if (this.socketClosed) {
      return;
    }
    this.socketClosed = true;
    this.clock.stop();
    for (const { done } of this.pings.splice(0)) {
      done(undefined);
    }
    const { onClose } = this;
    try {
      onClose?.(this.error);
    } catch (error) {
      this.onCallbackError(error);
    }
    for (const done of this.closedWaiters.splice(0)) {
      done();
    }
  }

  // Drain.

  /** The peer may have streams on their way: they are taken until it has surely read this. */
  protected warnGoaway(): void {
    this.sender.goaway(MAX_31_BITS, ErrorCode.NO_ERROR, "");
    this.sender.ping(DRAIN_PING, false);
    this.clock.drainSentAt = performance.now();
    this.clock.schedule();
  }

  finalGoaway(): void {
    if (this.draining && !this.ending && this.goawaySentId === MAX_31_BITS) {
      this.goawaySentId = this.lastPeerStreamId;
      this.sender.goaway(this.goawaySentId, ErrorCode.NO_ERROR, "");
      this.endIfDrained();
    }
  }

  protected endIfDrained(): void {
    if (this.draining && !this.ending && this.streams.size === 0 && this.goawaySentId !== MAX_31_BITS) {
      this.end(ErrorCode.CANCEL);
    }
  }

  protected onPingAck(payload: Buffer): void {
    if (payload.equals(DRAIN_PING)) {
      this.finalGoaway();
    } else if (payload.equals(USER_PING)) {
      const ping = this.pings.shift();
      ping?.done(performance.now() - ping.sentAt);
    }
  }
}

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
