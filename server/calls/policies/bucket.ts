/** A bucket that does not know yet whether there is room. See {@link Bucket.known}. */
export const UNKNOWN = -1;

/**
 * Room for calls, or for their bytes, that comes back at a steady rate. Times are in milliseconds
 * on a monotonic clock.
 */
export interface Bucket {
  /**
   * Milliseconds until there is room for `amount`; 0 = now. A caller that waits so long finds it,
   * if nobody else takes it meanwhile. An amount larger than the whole bucket needs a full one.
   * {@link UNKNOWN} = await `known` first.
   */
  waitMs(amount: number, nowMs: number): number;
  /** Takes room, whether there is so much or not. */
  take(amount: number, nowMs: number): void;
  /** Whether it has all its room, so that a new one would be no different. */
  isFull(nowMs: number): boolean;
  /** Resolves when it can tell. Never rejects. Absent = it always can. */
  known?(): Promise<void>;
}

/** Where a bucket's room comes from. */
export interface BucketSize {
  /** What comes back in a second, above 0. */
  readonly perSecond: number;
  /** The most room, above 0. */
  readonly capacity: number;
}

/** Makes a bucket. `name` is its own among all buckets, and the same on every gateway. */
export type BucketMaker = (name: string, size: BucketSize) => Bucket;

/** A millionth of a second: less than this is an error of adding up fractions. */
const EPSILON_MS = 0.001;

/**
 * A token bucket of this process. It is one number, the time when it will be full again, because
 * what is missing then follows from the rate (the "generic cell rate algorithm" of ATM).
 */
export class TokenBucket implements Bucket {
  readonly #unitMs: number;
  readonly #capacity: number;
  #fullAtMs = 0;

  constructor({ perSecond, capacity }: BucketSize) {
    this.#unitMs = 1000 / perSecond;
    this.#capacity = capacity;
  }

  waitMs(amount: number, nowMs: number): number {
    const room = this.#capacity - Math.min(amount, this.#capacity);
    const waitMs = this.#fullAtMs - nowMs - room * this.#unitMs;
    return waitMs > EPSILON_MS ? waitMs : 0;
  }

  take(amount: number, nowMs: number): void {
    this.#fullAtMs = Math.max(this.#fullAtMs, nowMs) + amount * this.#unitMs;
  }

  isFull(nowMs: number): boolean {
    return this.#fullAtMs <= nowMs;
  }
}

/** Makes buckets that count the calls of this gateway alone. */
export const localBuckets: BucketMaker = (_name, size) => new TokenBucket(size);
