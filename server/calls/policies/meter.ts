import type { CallLimits } from "../../namespaces/rules.ts";
import type { CallCount } from "../record.ts";
import { type Bucket, type BucketMaker, UNKNOWN } from "./bucket.ts";

/** Whether any call can be refused for these limits. */
export function limitCalls({ maxRps, maxInBytesPerSecond, maxConcurrentCalls }: CallLimits): boolean {
  return maxRps > 0 || maxInBytesPerSecond > 0 || maxConcurrentCalls > 0;
}

/** What one namespace or one caller has left of its limits. */
export class Meter implements CallCount {
  callsUnderWay = 0;
  readonly #name: string;
  readonly #makeBucket: BucketMaker;
  #limits: CallLimits;
  #calls: Bucket | undefined;
  #bytes: Bucket | undefined;

  /** `name` is its own among all meters. */
  constructor(name: string, limits: CallLimits, makeBucket: BucketMaker) {
    this.#name = name;
    this.#makeBucket = makeBucket;
    this.#limits = limits;
    this.#fill();
  }

  /**
   * Puts limits in force. If they are others than before the buckets are full; the calls under way
   * still count.
   */
  set(limits: CallLimits): void {
    const before = this.#limits;
    this.#limits = limits;
    if (
      before.maxRps !== limits.maxRps ||
      before.burst !== limits.burst ||
      before.maxInBytesPerSecond !== limits.maxInBytesPerSecond
    ) {
      this.#fill();
    }
  }

  get limits(): CallLimits {
    return this.#limits;
  }

  /** Whether as many calls as may be are under way. */
  get isBusy(): boolean {
    const { maxConcurrentCalls } = this.#limits;
    return maxConcurrentCalls > 0 && this.callsUnderWay >= maxConcurrentCalls;
  }

  /** As {@link Bucket.waitMs}, for a call whose request has so many bytes. */
  waitMs(bytes: number, nowMs: number): number {
    const callsMs = this.#calls === undefined ? 0 : this.#calls.waitMs(1, nowMs);
    if (this.#bytes === undefined) {
      return callsMs;
    }
    const bytesMs = this.#bytes.waitMs(bytes, nowMs);
    return callsMs === UNKNOWN || bytesMs === UNKNOWN ? UNKNOWN : Math.max(callsMs, bytesMs);
  }

  /** Takes the room of a call. */
  take(bytes: number, nowMs: number): void {
    this.#calls?.take(1, nowMs);
    this.#bytes?.take(bytes, nowMs);
  }

  /** Resolves when `waitMs` can tell. */
  async known(): Promise<void> {
    await Promise.all([this.#calls?.known?.(), this.#bytes?.known?.()]);
  }

  /** Whether dropping it loses nothing. */
  isIdle(nowMs: number): boolean {
    return (
      this.callsUnderWay === 0 && this.#calls?.isFull(nowMs) !== false && this.#bytes?.isFull(nowMs) !== false
    );
  }

  #fill(): void {
    const { maxRps, burst, maxInBytesPerSecond: bytes } = this.#limits;
    this.#calls =
      maxRps === 0
        ? undefined
        : this.#makeBucket(`${this.#name} calls`, {
            perSecond: maxRps,
            capacity: burst === 0 ? maxRps : burst,
          });
    this.#bytes =
      bytes === 0
        ? undefined
        : this.#makeBucket(`${this.#name} bytes`, { perSecond: bytes, capacity: bytes });
  }
}

/** The callers that are looked at to drop one, so that a new caller costs no more than that. */
const LOOKS = 8;

/**
 * A meter for each caller, for the latest of them. It holds `maxMeters`, and besides only those
 * with calls under way. In place of others it drops one that is idle, which loses nothing. Where
 * none of the oldest is, one of them may begin again with a full bucket.
 */
export class MeterTable {
  readonly #meters = new Map<string, Meter>();
  readonly #make: (name: string) => Meter;
  readonly #maxMeters: number;

  constructor(make: (name: string) => Meter, maxMeters: number) {
    this.#make = make;
    this.#maxMeters = maxMeters;
  }

  /** The number of meters held. */
  get size(): number {
    return this.#meters.size;
  }

  /** The meter of a caller. `nowMs()` is asked for a new caller only. */
  of(name: string, nowMs: () => number): Meter {
    const found = this.#meters.get(name);
    if (found !== undefined) {
      return found;
    }
    if (this.#meters.size >= this.#maxMeters) {
      this.#makeRoom(nowMs());
    }
    const made = this.#make(name);
    this.#meters.set(name, made);
    return made;
  }

  /** Looks at the oldest, and drops those that are idle, else the first without calls. */
  #makeRoom(nowMs: number): void {
    let looks = LOOKS;
    let quiet: string | undefined;
    for (const [name, meter] of this.#meters) {
      if (looks === 0 || this.#meters.size < this.#maxMeters) {
        break;
      }
      looks--;
      this.#meters.delete(name);
      if (!meter.isIdle(nowMs)) {
        // Behind the others, so that the next look is at those.
        this.#meters.set(name, meter);
        quiet ??= meter.callsUnderWay === 0 ? name : undefined;
      }
    }
    if (quiet !== undefined && this.#meters.size >= this.#maxMeters) {
      this.#meters.delete(quiet);
    }
  }
}
