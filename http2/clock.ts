import { ConnectionError, ErrorCode } from "./errors.ts";
import type { HeaderAssembler } from "./header-assembler.ts";
import type { Limits } from "./limits.ts";
import type { Sender } from "./sender.ts";
import type { Stream } from "./stream.ts";
import type { StreamTable } from "./stream-table.ts";

/** No clock of a connection ticks more often, or more seldom. */
const MIN_TICK_MS = 5;
const MAX_TICK_MS = 15_000;

const KEEPALIVE_PING = Buffer.from("alive   ", "latin1");

/** What the clock has to know of its connection, and may do to it. Times are those of `performance.now()`. */
export interface Timed {
  readonly limits: Limits;
  readonly sender: Sender;
  readonly assembler: HeaderAssembler;
  readonly streams: StreamTable<Stream>;
  /** The preface and SETTINGS of the peer came. */
  readonly started: boolean;
  /** The last GOAWAY is out. */
  readonly ending: boolean;
  /** A drain has begun, and the last GOAWAY is not out. */
  readonly awaitsDrainPing: boolean;
  /** When the last chunk came. */
  readonly receivedAt: number;
  fail(code: ErrorCode, reason: string, error: Error | undefined): void;
  cut(error: Error): void;
  drain(): Promise<void>;
  finalGoaway(): void;
  resetStream(stream: Stream, code: ErrorCode): void;
  /** The answer was complete long ago, and its request still comes. */
  endLinger(stream: Stream): void;
  destroySocket(): void;
}

/**
 * The clock of a connection: one timer that ticks four times within the shortest time that can run out now. What runs out is
 * noticed that much late, and no frame has to start or stop a timer.
 */
export class Clock {
  /** A drain's PING was sent; 0 = none was. */
  drainSentAt = 0;
  private readonly connection: Timed;
  private readonly startedAt: number;
  private idleSince: number;
  private keepaliveSentAt = 0;
  private endedAt = 0;
  private lingering = false;
  private timer: NodeJS.Timeout | undefined = undefined;
  private dueAt = Number.POSITIVE_INFINITY;
  private stopped = false;

  constructor(connection: Timed, now: number) {
    this.connection = connection;
    this.startedAt = now;
    this.idleSince = now;
  }

  /** There was a stream until now. */
  becameIdle(now: number): void {
    this.idleSince = Math.max(this.idleSince, now);
  }

  /** Our side of the connection is closed. */
  ended(): void {
    this.endedAt = performance.now();
    this.schedule();
  }

  /** A stream's request still comes after its answer. */
  linger(stream: Stream): void {
    stream.lingersSince = performance.now();
    if (!this.lingering) {
      this.lingering = true;
      this.schedule();
    }
  }

  /** Call it where a time begins that may be the shortest. It can bring the next tick nearer, and never put it off. */
  schedule(): void {
    if (this.stopped) {
      return;
    }
    const { limits, started, assembler, awaitsDrainPing } = this.connection;
    let leastMs = MAX_TICK_MS * 4;
    for (const ms of this.endedAt !== 0
      ? [limits.lingerMs]
      : [
          !started || assembler.open ? limits.prefaceTimeoutMs : 0,
          awaitsDrainPing ? limits.drainPingTimeoutMs : 0,
          this.keepaliveSentAt === 0 ? limits.keepaliveMs : limits.keepaliveTimeoutMs,
          this.lingering ? limits.lingerMs : 0,
          limits.idleTimeoutMs,
          limits.stallTimeoutMs,
        ]) {
      leastMs = ms === 0 ? leastMs : Math.min(leastMs, ms);
    }
    const tickMs = Math.max(MIN_TICK_MS, leastMs / 4);
    const dueAt = performance.now() + tickMs;
    if (dueAt >= this.dueAt) {
      return;
    }
    this.dueAt = dueAt;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.tick(), tickMs);
    // The socket keeps the process alive, as long as it should.
    this.timer.unref();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  private tick(): void {
    this.dueAt = Number.POSITIVE_INFINITY;
    const { connection } = this;
    const { limits, assembler } = connection;
    const now = performance.now();
    if (connection.ending) {
      if (isOver(now, this.endedAt, limits.lingerMs)) {
        connection.destroySocket();
      }
    } else if (!connection.started && isOver(now, this.startedAt, limits.prefaceTimeoutMs)) {
      connection.fail(ErrorCode.PROTOCOL_ERROR, "no preface in time", undefined);
    } else if (assembler.open && isOver(now, assembler.openedAt, limits.prefaceTimeoutMs)) {
      connection.fail(ErrorCode.ENHANCE_YOUR_CALM, "header block without end", undefined);
    } else if (connection.streams.size === 0 && isOver(now, this.idleSince, limits.idleTimeoutMs)) {
      void connection.drain();
    } else {
      this.tickStreams(now);
    }
    if (connection.awaitsDrainPing && isOver(now, this.drainSentAt, limits.drainPingTimeoutMs)) {
      connection.finalGoaway();
    }
    this.schedule();
  }

  private tickStreams(now: number): void {
    const { sender, limits, streams } = this.connection;
    if (streams.size > 0) {
      this.idleSince = now;
    }
    if (sender.output.blocked && isOver(now, sender.output.blockedAt, limits.stallTimeoutMs)) {
      this.connection.cut(new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "the peer does not read"));
      return;
    }
    this.lingering = false;
    for (const stream of streams.all()) {
      this.tickStream(stream, now);
    }
    this.tickKeepalive(now);
  }

  private tickStream(stream: Stream, now: number): void {
    const { limits } = this.connection;
    if (stream.lingersSince !== 0) {
      if (isOver(now, stream.lingersSince, limits.lingerMs)) {
        this.connection.endLinger(stream);
      } else {
        this.lingering = true;
      }
    } else if (stream.outbox.bytes === 0 || stream.turns !== stream.turnsSeen) {
      stream.turnsSeen = stream.turns;
      stream.stalledSince = now;
    } else if (
      this.connection.sender.bufferedBytes > limits.stallBytes &&
      isOver(now, stream.stalledSince, limits.stallTimeoutMs)
    ) {
      this.connection.resetStream(stream, ErrorCode.ENHANCE_YOUR_CALM);
    }
  }

  private tickKeepalive(now: number): void {
    const { limits, sender, streams, receivedAt } = this.connection;
    if (receivedAt >= this.keepaliveSentAt) {
      this.keepaliveSentAt = 0;
    }
    if (this.keepaliveSentAt !== 0) {
      if (isOver(now, this.keepaliveSentAt, limits.keepaliveTimeoutMs)) {
        this.connection.cut(new ConnectionError(ErrorCode.CONNECT_ERROR, "no answer to a ping"));
      }
    } else if (streams.size > 0 && isOver(now, receivedAt, limits.keepaliveMs)) {
      this.keepaliveSentAt = now;
      sender.ping(KEEPALIVE_PING, false);
    }
  }
}

/** 0 ms = never. */
function isOver(now: number, since: number, ms: number): boolean {
  return ms !== 0 && now - since >= ms;
}
