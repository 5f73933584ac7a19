import { Code } from "@connectrpc/connect";
import { type CallOptions, type Invoker, requireKnown } from "../call.ts";
import { toBytes, toText, type Value, wholeNumber } from "../convert.ts";
import { concernsOneItem, invalidField, PrismError } from "../errors.ts";
import { MAX_TIMER_MS } from "../wait.ts";
import { sendBatch } from "./append.ts";
import { EVENT_FACTS, type EventFacts, toEvent } from "./event.ts";

/** How a writer makes batches, and the options of their calls. */
export interface WriterOptions extends Pick<CallOptions, "namespace" | "timeoutMs"> {
  /** The most events of a batch, 1 to 1,000. Default: 1,000. */
  readonly maxEvents?: number | undefined;
  /** The most bytes of a batch, 1 to 4 MiB; a larger event has one of its own. Default: 1 MiB. */
  readonly maxBytes?: number | undefined;
  /** The longest wait of an event for others, in milliseconds. Default: 10. */
  readonly maxDelayMs?: number | undefined;
  /** The most events that are not acknowledged yet, sent or not. Default: 10,000. */
  readonly maxWaitingEvents?: number | undefined;
  /** The bytes of such events from which on there is no room. Default: 64 MiB. */
  readonly maxWaitingBytes?: number | undefined;
}

const MIB = 1024 * 1024;

/** The most events of a call. */
const MAX_BATCH_EVENTS = 1000;

/** What a gateway with its default limits takes in one call. */
const MAX_BATCH_BYTES = 4 * MIB;

/** What an event counts besides payload and tags: names and framing. */
const AROUND_EVENT_BYTES = 64;

/** The most bytes of UTF-8 that one unit of a string takes. */
const MAX_UNIT_BYTES = 3;

const DEFAULTS = {
  maxEvents: MAX_BATCH_EVENTS,
  maxBytes: MIB,
  maxDelayMs: 10,
  maxWaitingEvents: 10_000,
  maxWaitingBytes: 64 * MIB,
} as const;

/** The numbers of a writer's options after their checks. */
type Limits = Readonly<Record<keyof typeof DEFAULTS, number>>;

/** The least and the most of each number. */
const BOUNDS: Readonly<Record<keyof Limits, readonly [least: number, most: number]>> = {
  maxEvents: [1, MAX_BATCH_EVENTS],
  maxBytes: [1, MAX_BATCH_BYTES],
  maxDelayMs: [0, MAX_TIMER_MS],
  maxWaitingEvents: [1, Number.MAX_SAFE_INTEGER],
  maxWaitingBytes: [1, Number.MAX_SAFE_INTEGER],
};

const WRITER_OPTIONS = {
  maxEvents: true,
  maxBytes: true,
  maxDelayMs: true,
  maxWaitingEvents: true,
  maxWaitingBytes: true,
  namespace: true,
  timeoutMs: true,
} satisfies Record<keyof WriterOptions, true>;

/** An event that is not sent yet. */
interface Queued {
  readonly event: WireEvent;
  readonly bytes: number;
  /** When it was taken, by the clock of `performance`. */
  readonly takenMs: number;
  readonly resolve: (offset: number) => void;
  readonly reject: (error: unknown) => void;
}

type WireEvent = ReturnType<typeof toEvent>;

/** Appends a batch, and answers the offsets. */
type Send = (events: readonly WireEvent[]) => Promise<number[]>;

/**
 * Appends events to one stream in batches, in the order in which they are handed over. It makes one
 * call at a time, so that what comes meanwhile is the next batch. `client.timeseries.writer` makes
 * writers. Close one to be sure of its last events.
 *
 * A batch that fails is not sent again, and the events behind it are still appended. Where the
 * gateway refuses a batch for what one event is, only that event fails.
 */
export class EventWriter<T = Value> implements AsyncDisposable {
  readonly #encode: (payload: T) => Value;
  readonly #send: Send;
  readonly #limits: Limits;
  #queue: Queued[] = [];
  #queuedBytes = 0;
  /** Bytes of all that is not acknowledged, sent or not. */
  #waitingBytes = 0;
  /** How many events were ever taken, and how many of them were acknowledged or have failed. */
  #taken = 0;
  #settled = 0;
  /** As long as fewer events than these are settled, none waits for others. */
  #flushedUntil = 0;
  /**
   * How many events ever failed or were refused, of how many a flush told, and the error of the
   * next one.
   */
  #failed = 0;
  #told = 0;
  #error: unknown;
  /** How many callers of `ready` may still append, and what ends that. */
  #promised = 0;
  #withdrawal: ReturnType<typeof setTimeout> | undefined;
  #isSending = false;
  #isClosed = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Wakes those who wait for events to settle. */
  #progress = Promise.withResolvers<void>();

  /** `client.timeseries.writer(stream)` makes writers. */
  constructor(encode: (payload: T) => Value, send: Send, limits: Limits) {
    this.#encode = encode;
    this.#send = send;
    this.#limits = limits;
  }

  /**
   * Takes an event, and answers its offset when the gateway has acknowledged it. The payload is
   * copied. Rejects at once with reason `overloaded` if too much waits already; `ready` waits for
   * room. Who calls `flush` or `close` need not await this: they tell of refused events too.
   */
  append(payload: T, facts: EventFacts = {}): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    // `flush` tells of it too.
    promise.catch(() => {});
    try {
      this.#requireRoom();
      requireKnown(EVENT_FACTS, facts);
      const event = toEvent({ ...facts, payload: copied(this.#encode(payload)) });
      const bytes = bytesOf(event);
      this.#queue.push({ event, bytes, takenMs: performance.now(), resolve, reject });
      this.#queuedBytes += bytes;
      this.#waitingBytes += bytes;
      this.#taken++;
      this.#sendWhatIsDue();
    } catch (error) {
      this.#count(1, error);
      reject(error);
    }
    return promise;
  }

  /** Resolves when there is room for another event, and keeps it for who appends one at once. */
  async ready(): Promise<void> {
    while (this.#isFull()) {
      await this.#progress.promise;
    }
    this.#promised++;
    this.#withdrawal ??= setTimeout(() => {
      this.#withdrawal = undefined;
      this.#promised = 0;
      this.#wake();
    });
  }

  /**
   * Sends what waits, and resolves when everything that was taken before is acknowledged. Rejects
   * with the first failure that no earlier flush told of.
   */
  async flush(): Promise<void> {
    const told = this.#told;
    const until = this.#taken;
    this.#flushedUntil = until;
    this.#sendWhatIsDue();
    while (this.#settled < until) {
      await this.#progress.promise;
    }
    if (this.#failed > told) {
      this.#told = this.#failed;
      throw this.#error;
    }
  }

  /** Refuses later events with reason `canceled`, and flushes. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.flush();
  }

  /** Closes the writer at the end of `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #requireRoom(): void {
    if (this.#isClosed) {
      throw new PrismError("the writer is closed", { reason: "canceled", code: Code.Canceled });
    }
    if (this.#promised > 0) {
      this.#promised--;
    } else if (this.#isFull()) {
      throw new PrismError("too many events wait for the gateway: wait for ready() or flush()", {
        reason: "overloaded",
        code: Code.ResourceExhausted,
        retryable: true,
      });
    }
  }

  #isFull(): boolean {
    const { maxWaitingEvents, maxWaitingBytes } = this.#limits;
    const waiting = this.#taken - this.#settled + this.#promised;
    return waiting >= maxWaitingEvents || this.#waitingBytes >= maxWaitingBytes;
  }

  /** How many milliseconds the oldest event still waits for others; `undefined` = there is none. */
  #delayMs(): number | undefined {
    const [oldest] = this.#queue;
    if (oldest === undefined) {
      return undefined;
    }
    const { maxEvents, maxBytes, maxDelayMs } = this.#limits;
    const isBatch = this.#queue.length >= maxEvents || this.#queuedBytes >= maxBytes;
    return isBatch || this.#isFull() || this.#settled < this.#flushedUntil
      ? 0
      : Math.max(0, oldest.takenMs + maxDelayMs - performance.now());
  }

  #sendWhatIsDue(): void {
    if (this.#isSending) {
      return;
    }
    const delayMs = this.#delayMs();
    if (delayMs === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      void this.#sendBatch();
    } else if (delayMs !== undefined) {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        this.#sendWhatIsDue();
      }, delayMs);
    }
  }

  async #sendBatch(): Promise<void> {
    this.#isSending = true;
    const batch = this.#takeBatch();
    await this.#settle(batch);
    this.#settled += batch.length;
    this.#waitingBytes -= sumOf(batch);
    this.#isSending = false;
    this.#wake();
    this.#sendWhatIsDue();
  }

  #wake(): void {
    const { resolve } = this.#progress;
    this.#progress = Promise.withResolvers();
    resolve();
  }

  #takeBatch(): Queued[] {
    const { maxEvents, maxBytes } = this.#limits;
    let count = 0;
    let bytes = 0;
    for (const { bytes: more } of this.#queue) {
      if (count === maxEvents || (count > 0 && bytes + more > maxBytes)) {
        break;
      }
      count++;
      bytes += more;
    }
    this.#queuedBytes -= bytes;
    return this.#queue.splice(0, count);
  }

  /** Appends events, and tells each what became of it. */
  async #settle(batch: readonly Queued[]): Promise<void> {
    try {
      const offsets = await this.#send(batch.map(({ event }) => event));
      for (const [index, { resolve }] of batch.entries()) {
        resolve(offsets[index] ?? 0);
      }
    } catch (error) {
      if (batch.length > 1 && concernsOneItem(error)) {
        // Nothing was written. One half after the other, in order, finds the event.
        const half = Math.ceil(batch.length / 2);
        await this.#settle(batch.slice(0, half));
        await this.#settle(batch.slice(half));
        return;
      }
      this.#fail(batch, error);
    }
  }

  /** Notes failures for the next flush, which tells the first one. */
  #count(failed: number, error: unknown): void {
    if (this.#failed === this.#told) {
      this.#error = error;
    }
    this.#failed += failed;
  }

  #fail(batch: readonly Queued[], error: unknown): void {
    this.#count(batch.length, error);
    for (const { reject } of batch) {
      reject(error);
    }
  }
}

/** The way to batches of events that come one by one. */
export function writerCalls(invoker: Invoker) {
  /** A writer of payloads that `encode` turns into what is stored. */
  function createWriter<T>(
    stream: string,
    options: WriterOptions,
    encode: (payload: T) => Value,
  ): EventWriter<T> {
    const { namespace, timeoutMs, ...given } = options;
    requireKnown(WRITER_OPTIONS, options);
    toText("stream", stream);
    const call = { namespace, timeoutMs };
    return new EventWriter(encode, (events) => sendBatch(invoker, stream, events, call), toLimits(given));
  }

  return {
    createWriter,

    /**
     * A writer that appends in batches. Throws `invalid_field` for a number out of its bounds.
     *
     * ```ts
     * await using writer = client.timeseries.writer("clicks", { maxDelayMs: 50 });
     * for await (const click of clicks) {
     *   await writer.ready(); // waits while too much is not acknowledged
     *   writer.append(click);
     * }
     * await writer.flush(); // throws if an event was not appended
     * ```
     */
    writer(stream: string, options: WriterOptions = {}): EventWriter {
      return createWriter(stream, options, same);
    },
  };
}

function toLimits(given: Partial<Record<keyof Limits, number | undefined>>): Limits {
  const limits: Record<keyof Limits, number> = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS) as (keyof Limits)[]) {
    const [least, most] = BOUNDS[name];
    const value = wholeNumber(name, given[name] ?? DEFAULTS[name], most);
    if (value < least) {
      throw invalidField(`${name} must be ${least} or more, not ${value}`);
    }
    limits[name] = value;
  }
  return limits;
}

function bytesOf({ payload, tags }: WireEvent): number {
  let units = 0;
  for (const [name, value] of Object.entries(tags)) {
    units += name.length + value.length;
  }
  return AROUND_EVENT_BYTES + payload.length + MAX_UNIT_BYTES * units;
}

function sumOf(batch: readonly Queued[]): number {
  return batch.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** The caller may change its bytes while they wait. */
function copied(value: Value): Value {
  return typeof value === "string" ? value : new Uint8Array(toBytes("payload", value));
}

function same<T>(value: T): T {
  return value;
}
