/** Owns the times that run out on a connection, all with one timer. */
import type { Duplex } from "node:stream";
import type { Ending } from "./ending.ts";
import { ConnectionError, ErrorCode } from "./errors.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { Limits } from "./limits.ts";
import type { MessageReader } from "./message-reader.ts";
import type { OpenStreams } from "./open-streams.ts";
import type { Output } from "./output.ts";
import type { Receiver } from "./receiver.ts";
import type { Sender } from "./sender.ts";
import type { Stream } from "./stream.ts";

/** The timer of a connection ticks at most so often, and at least so often. */
const MIN_TICK_MS = 5;
const MAX_TICK_MS = 15_000;

/** Tells the PING of the keepalive from the others. */
const KEEPALIVE_PING = Buffer.from("alive   ", "latin1");

/** The parts of a connection that have times. */
interface TimedParts {
  readonly socket: Duplex;
  readonly limits: Limits;
  readonly output: Output;
  readonly frames: FrameWriter;
  readonly sender: Sender;
  readonly streams: OpenStreams;
  readonly messages: MessageReader;
  readonly receiver: Receiver;
  readonly ending: Ending;
}

/**
 * One timer ticks four times within the shortest time that can run out now. So no frame has to
 * start or stop a timer, and a time is noticed up to a quarter late. All times are those of
 * `performance.now()`.
 */
export class Timeouts {
  readonly #parts: TimedParts;
  readonly #startedAt = performance.now();
  #idleSince = this.#startedAt;
  /** 0 = no answer to a PING is awaited. */
  #keepaliveSentAt = 0;
  /** A stream's request may still come after its answer. */
  #lingering = false;
  #timer: NodeJS.Timeout | undefined = undefined;
  #dueAt = Number.POSITIVE_INFINITY;
  #stopped = false;

  constructor(parts: TimedParts) {
    this.#parts = parts;
  }

  /** The last stream closed. */
  becameIdle(now: number): void {
    this.#idleSince = Math.max(this.#idleSince, now);
  }

  /** A stream's request still comes after its answer. */
  lingers(): void {
    if (!this.#lingering) {
      this.#lingering = true;
      this.schedule();
    }
  }

  /** A time begins that may be the shortest. Brings the next tick nearer, and never puts it off. */
  schedule(): void {
    if (this.#stopped) {
      return;
    }
    const tickMs = Math.max(MIN_TICK_MS, this.#shortestMs() / 4);
    const dueAt = performance.now() + tickMs;
    if (dueAt >= this.#dueAt) {
      return;
    }
    this.#dueAt = dueAt;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#tick(), tickMs);
    // The socket keeps the process alive, as long as it should.
    this.#timer.unref();
  }

  /** The connection is closed. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #shortestMs(): number {
    const { limits, receiver, messages, ending } = this.#parts;
    if (ending.endedAt !== 0) {
      return Math.min(MAX_TICK_MS * 4, limits.lingerMs || Number.POSITIVE_INFINITY);
    }
    let shortestMs = MAX_TICK_MS * 4;
    for (const ms of [
      !receiver.started || messages.blockOpen ? limits.prefaceTimeoutMs : 0,
      ending.awaitsDrainPing ? limits.drainPingTimeoutMs : 0,
      this.#keepaliveSentAt === 0 ? limits.keepaliveMs : limits.keepaliveTimeoutMs,
      this.#lingering ? limits.lingerMs : 0,
      limits.idleTimeoutMs,
      limits.stallTimeoutMs,
    ]) {
      shortestMs = ms === 0 ? shortestMs : Math.min(shortestMs, ms);
    }
    return shortestMs;
  }

  #tick(): void {
    this.#dueAt = Number.POSITIVE_INFINITY;
    const { limits, messages, receiver, streams, ending, socket } = this.#parts;
    const now = performance.now();
    if (ending.ended) {
      if (isOver(now, ending.endedAt, limits.lingerMs)) {
        socket.destroy();
      }
    } else if (!receiver.started && isOver(now, this.#startedAt, limits.prefaceTimeoutMs)) {
      ending.fail(ErrorCode.PROTOCOL_ERROR, "no preface in time");
    } else if (messages.blockOpen && isOver(now, messages.blockOpenedAt, limits.prefaceTimeoutMs)) {
      ending.fail(ErrorCode.ENHANCE_YOUR_CALM, "header block without end");
    } else if (streams.size === 0 && isOver(now, this.#idleSince, limits.idleTimeoutMs)) {
      void ending.drain();
    } else {
      this.#tickStreams(now);
    }
    if (ending.awaitsDrainPing && isOver(now, ending.drainSentAt, limits.drainPingTimeoutMs)) {
      ending.sayLast();
    }
    this.schedule();
  }

  #tickStreams(now: number): void {
    const { output, limits, streams, ending } = this.#parts;
    if (streams.size > 0) {
      this.#idleSince = now;
    }
    if (output.blocked && isOver(now, output.blockedAt, limits.stallTimeoutMs)) {
      ending.cut(new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "the peer does not read"));
      return;
    }
    this.#lingering = false;
    for (const stream of streams.all()) {
      this.#tickStream(stream, now);
    }
    this.#tickKeepalive(now);
  }

  #tickStream(stream: Stream, now: number): void {
    const { limits, sender, streams } = this.#parts;
    if (stream.lingersSince !== 0) {
      if (isOver(now, stream.lingersSince, limits.lingerMs)) {
        // RFC 9113 section 8.1: the client is told to stop, without a fault of its own.
        streams.resetId(stream.id, ErrorCode.NO_ERROR);
        streams.close(stream, undefined);
      } else {
        this.#lingering = true;
      }
    } else if (
      stream.sending.queuedBytes > 0 &&
      sender.bufferedBytes > limits.stallBytes &&
      isOver(now, stream.sending.movedAt, limits.stallTimeoutMs)
    ) {
      streams.reset(stream, ErrorCode.ENHANCE_YOUR_CALM);
    }
  }

  #tickKeepalive(now: number): void {
    const { limits, frames, streams, receiver, ending } = this.#parts;
    const { receivedAt } = receiver;
    if (receivedAt >= this.#keepaliveSentAt) {
      this.#keepaliveSentAt = 0;
    }
    if (this.#keepaliveSentAt !== 0) {
      if (isOver(now, this.#keepaliveSentAt, limits.keepaliveTimeoutMs)) {
        ending.cut(new ConnectionError(ErrorCode.CONNECT_ERROR, "no answer to a ping"));
      }
    } else if (streams.size > 0 && isOver(now, receivedAt, limits.keepaliveMs)) {
      this.#keepaliveSentAt = now;
      frames.ping(KEEPALIVE_PING, false);
    }
  }
}

/** 0 ms = never. */
function isOver(now: number, since: number, ms: number): boolean {
  return ms !== 0 && now - since >= ms;
}
