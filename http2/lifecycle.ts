import type { Duplex } from "node:stream";
import { ControlBudget } from "./control-budget.ts";
import { ConnectionError, ErrorCode } from "./errors.ts";
import { INITIAL_WINDOW_BYTES, MAX_31_BITS, Setting } from "./frame.ts";
import { HeaderAssembler } from "./header-assembler.ts";
import { HEADER_BLOCK_FACTOR, type Limits, resolveLimits } from "./limits.ts";
import { Sender } from "./sender.ts";
import type { Stream, StreamHost } from "./stream.ts";

/** What both roles take, beside the limits. */
export interface ConnectionOptions extends Partial<Limits> {
  /** A callback of a stream or connection threw; its stream is reset. Default: an uncaught exception. */
  readonly onCallbackError?: (error: unknown) => void;
}

const DRAIN_PING = Buffer.from("drain   ", "latin1");
const KEEPALIVE_PING = Buffer.from("alive   ", "latin1");
const USER_PING = Buffer.from("ping    ", "latin1");

/** No clock of a connection ticks more often, or more seldom. */
const MIN_TICK_MS = 5;
const MAX_TICK_MS = 15_000;

/**
 * How a connection lives: its streams, its clock, what it does about errors (RFC 9113 section 5.4), and its end
 * (section 6.8). `connection.ts` reads the frames.
 */
export abstract class Lifecycle implements StreamHost {
  readonly limits: Limits;
  readonly sender: Sender;
  /** Called once, when the socket is closed; undefined = in good order. */
  onClose: ((error: Error | undefined) => void) | undefined = undefined;

  protected readonly socket: Duplex;
  protected readonly streams = new Map<number, Stream>();
  protected readonly budget: ControlBudget;
  protected readonly assembler: HeaderAssembler;
  /** When the last chunk came, by `performance.now()`. */
  protected now = performance.now();
  /** The highest stream of the peer that was taken. */
  protected lastPeerStreamId = 0;
  /** The stream that the final GOAWAY named; later ones are refused. */
  protected goawaySentId = MAX_31_BITS;
  /** No new streams; those that there are end. */
  protected draining = false;
  /** The last GOAWAY is out, and nothing more is read. */
  protected ending = false;
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
  /** Times of `performance.now()`; 0 = not so. */
  private readonly startedAt = this.now;
  private idleSince = this.now;
  private keepaliveSentAt = 0;
  private drainSentAt = 0;
  private endedAt = 0;
  private timer: NodeJS.Timeout | undefined = undefined;

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

  /** The preface and SETTINGS of the peer came. */
  protected abstract get started(): boolean;
  /** The first step of a drain; `finalGoaway` is the last. */
  protected abstract startDrain(): void;
  /** A stream closed, or SETTINGS came: a waiting one may begin. */
  protected abstract onCapacity(): void;
  abstract halfEnded(stream: Stream): void;

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

  buffered(stream: Stream): void {
    if (stream.outbox.bytes > this.limits.maxStreamBufferedBytes) {
      this.resetStream(stream, ErrorCode.ENHANCE_YOUR_CALM);
    } else if (this.sender.bufferedBytes > this.limits.maxConnectionBufferedBytes) {
      this.fail(ErrorCode.ENHANCE_YOUR_CALM, "the peer takes too little", undefined);
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
    this.resetStream(stream, code);
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
      this.idleSince = Math.max(this.idleSince, this.now);
      this.endIfDrained();
    }
    this.onCapacity();
  }

  /** Counts a frame that does nothing for the peer's requests. Throws ConnectionError above the limit. */
  protected spend(): void {
    if (!this.budget.spend(this.now)) {
      throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "too many control frames");
    }
  }

  /** Section 5.4.1: GOAWAY, and the end. */
  protected fail(code: ErrorCode, reason: string, error: Error | undefined): void {
    if (this.ending || this.socketClosed) {
      return;
    }
    this.error ??= error ?? (code === ErrorCode.NO_ERROR ? undefined : new ConnectionError(code, reason));
    this.sender.goaway(this.lastPeerStreamId, code, reason);
    this.end(code === ErrorCode.NO_ERROR ? ErrorCode.CANCEL : code);
  }

  /** No words: the peer would not read them. */
  protected cut(error: Error): void {
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
    this.endedAt = performance.now();
    this.schedule();
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

  protected closeStreams(code: ErrorCode): void {
    for (const stream of this.streams.values()) {
      this.streams.delete(stream.id);
      stream.close(code);
    }
  }

  private finish(): void {
    this.socketEnded(undefined);
    if (this.socketClosed) {
      return;
    }
    this.socketClosed = true;
    clearTimeout(this.timer);
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
    this.drainSentAt = performance.now();
    this.schedule();
  }

  protected finalGoaway(): void {
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

  // Clock.

  /** Ticks four times within the shortest time that may run out now; what runs out is noticed that much late. */
  protected schedule(): void {
    clearTimeout(this.timer);
    if (this.socketClosed) {
      return;
    }
    const { limits } = this;
    let least = MAX_TICK_MS * 4;
    for (const ms of this.endedAt !== 0
      ? [limits.lingerMs]
      : [
          !this.started || this.assembler.open ? limits.prefaceTimeoutMs : 0,
          this.draining && this.goawaySentId === MAX_31_BITS ? limits.drainPingTimeoutMs : 0,
          this.keepaliveSentAt === 0 ? limits.keepaliveMs : limits.keepaliveTimeoutMs,
          limits.idleTimeoutMs,
          limits.stallTimeoutMs,
        ]) {
      least = ms === 0 ? least : Math.min(least, ms);
    }
    this.timer = setTimeout(() => this.tick(), Math.max(MIN_TICK_MS, least / 4));
    // The socket keeps the process alive, as long as it should.
    this.timer.unref();
  }

  private tick(): void {
    const now = performance.now();
    const { limits } = this;
    const over = (since: number, ms: number) => ms !== 0 && now - since >= ms;
    if (this.ending) {
      if (over(this.endedAt, limits.lingerMs)) {
        this.socket.destroy();
      }
    } else if (!this.started && over(this.startedAt, limits.prefaceTimeoutMs)) {
      this.fail(ErrorCode.PROTOCOL_ERROR, "no preface in time", undefined);
    } else if (this.assembler.open && over(this.assembler.openedAt, limits.prefaceTimeoutMs)) {
      this.fail(ErrorCode.ENHANCE_YOUR_CALM, "header block without end", undefined);
    } else if (this.streams.size === 0 && over(this.idleSince, limits.idleTimeoutMs)) {
      void this.drain();
    } else {
      this.tickStreams(now, over);
    }
    if (this.draining && !this.ending && over(this.drainSentAt, limits.drainPingTimeoutMs)) {
      this.finalGoaway();
    }
    this.schedule();
  }

  private tickStreams(now: number, over: (since: number, ms: number) => boolean): void {
    const { output } = this.sender;
    if (this.streams.size > 0) {
      this.idleSince = now;
    }
    if (output.blocked && over(output.blockedAt, this.limits.stallTimeoutMs)) {
      this.cut(new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "the peer does not read"));
      return;
    }
    for (const stream of this.streams.values()) {
      if (stream.outbox.bytes === 0 || stream.turns !== stream.turnsSeen) {
        stream.turnsSeen = stream.turns;
        stream.stalledSince = now;
      } else if (over(stream.stalledSince, this.limits.stallTimeoutMs)) {
        this.resetStream(stream, ErrorCode.ENHANCE_YOUR_CALM);
      }
    }
    if (this.keepaliveSentAt !== 0 && this.now >= this.keepaliveSentAt) {
      this.keepaliveSentAt = 0;
    }
    if (this.keepaliveSentAt !== 0) {
      if (over(this.keepaliveSentAt, this.limits.keepaliveTimeoutMs)) {
        this.cut(new ConnectionError(ErrorCode.CONNECT_ERROR, "no answer to a ping"));
      }
    } else if (this.streams.size > 0 && over(this.now, this.limits.keepaliveMs)) {
      this.keepaliveSentAt = now;
      this.sender.ping(KEEPALIVE_PING, false);
    }
  }

  /** Our SETTINGS, and the connection's window (sections 6.5 and 6.9.2). */
  protected announce(): void {
    const { limits } = this;
    this.sender.settings([
      ...(this.isClient ? ([[Setting.ENABLE_PUSH, 0]] as const) : []),
      [Setting.HEADER_TABLE_SIZE, limits.headerTableBytes],
      [Setting.MAX_CONCURRENT_STREAMS, this.isClient ? 0 : limits.maxConcurrentStreams],
      [Setting.INITIAL_WINDOW_SIZE, limits.streamWindowBytes],
      [Setting.MAX_FRAME_SIZE, limits.maxFrameBytes],
      [Setting.MAX_HEADER_LIST_SIZE, limits.maxHeaderListBytes],
    ]);
    const extra = limits.connectionWindowBytes - this.receiveWindow;
    if (extra > 0) {
      this.receiveWindow += extra;
      this.sender.windowUpdate(0, extra);
    }
  }

  abstract readonly isClient: boolean;
}

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
