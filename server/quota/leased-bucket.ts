import { type Bucket, type BucketSize, TokenBucket, UNKNOWN } from "../calls/policies/bucket.ts";

/** What a bucket got of the one that all gateways share. */
export interface Lease {
  /** Tokens; a part of one is something too. */
  readonly got: number;
  /** The gateways that asked of late, this one included: each has an even share. */
  readonly gateways: number;
}

/** Where leases come from. */
export interface Lessor {
  /** False: it cannot be reached now, and each gateway limits by itself. */
  readonly isThere: boolean;
  /**
   * Asks for `want` tokens; `need` of them let a call in. Answers `undefined` if it cannot be
   * reached. Never rejects.
   */
  lease(name: string, size: BucketSize, want: number, need: number): Promise<Lease | undefined>;
}

/** What is leased ahead: as much as comes back in this time, so that few calls have to ask. */
const AHEAD_MS = 50;

/** A bucket that found the shared one empty asks again after this time at the soonest. */
const MIN_PAUSE_MS = 20;

/**
 * The part of a shared bucket that this gateway has leased. A call takes from the lease, and asks
 * for more only when it is used up; when half of it is, more is fetched behind the calls. While the
 * lessor is away each gateway has the whole bucket for itself: limits are there to be fair, and
 * nobody shall be refused because they cannot be told.
 */
export class LeasedBucket implements Bucket {
  readonly #name: string;
  readonly #size: BucketSize;
  readonly #lessor: Lessor;
  readonly #nowMs: () => number;
  /** What is leased ahead: what comes back in AHEAD_MS, and room for the next call at least. */
  #aheadTokens: number;
  #tokens = 0;
  /** What the calls need together that were told UNKNOWN since the last lease. */
  #needed = 0;
  /** What the smallest of them needs. */
  #leastNeeded = 0;
  #asking: Promise<void> | undefined;
  /** When the last lease was less than was wanted. `undefined` = it was not. */
  #shortAtMs: number | undefined;
  /** How long a token of its share takes then. */
  #tokenMs = 0;
  #usedAtMs = 0;
  /** In place of the lease while the lessor is away. */
  #own: TokenBucket | undefined;

  constructor(name: string, size: BucketSize, lessor: Lessor, nowMs: () => number) {
    this.#name = name;
    this.#size = size;
    this.#lessor = lessor;
    this.#nowMs = nowMs;
    this.#aheadTokens = Math.min((size.perSecond * AHEAD_MS) / 1000, size.capacity / 4);
  }

  waitMs(amount: number, nowMs: number): number {
    this.#usedAtMs = nowMs;
    if (!this.#lessor.isThere) {
      this.#own ??= new TokenBucket(this.#size);
      return this.#own.waitMs(amount, nowMs);
    }
    this.#own = undefined;
    const needed = Math.min(amount, this.#size.capacity);
    this.#aheadTokens = Math.max(this.#aheadTokens, needed);
    const missing = needed - this.#tokens;
    // Leases are sums of fractions.
    if (missing <= 1e-6) {
      return 0;
    }
    if (this.#shortAtMs !== undefined && this.#asking === undefined) {
      const passedMs = nowMs - this.#shortAtMs;
      // Its share takes so long at most. There may be more, so others ask sooner.
      if (passedMs < MIN_PAUSE_MS) {
        return Math.max(MIN_PAUSE_MS, missing * this.#tokenMs) - passedMs;
      }
    }
    this.#needed += needed;
    this.#leastNeeded = this.#leastNeeded === 0 ? needed : Math.min(this.#leastNeeded, needed);
    return UNKNOWN;
  }

  take(amount: number, nowMs: number): void {
    if (this.#own !== undefined) {
      this.#own.take(amount, nowMs);
      return;
    }
    this.#tokens -= amount;
    if (this.#tokens < this.#aheadTokens / 2 && this.#shortAtMs === undefined) {
      void this.known();
    }
  }

  isFull(nowMs: number): boolean {
    const fillMs = (1000 * this.#size.capacity) / this.#size.perSecond;
    return this.#asking === undefined && this.#tokens >= 0 && nowMs - this.#usedAtMs >= fillMs;
  }

  known(): Promise<void> {
    this.#asking ??= this.#ask();
    return this.#asking;
  }

  async #ask(): Promise<void> {
    // All calls of a turn ask together.
    await new Promise<void>((resolve) => setImmediate(resolve));
    const want = Math.max(0, this.#needed + this.#aheadTokens - this.#tokens);
    const need = Math.max(0, this.#leastNeeded - this.#tokens);
    const lease = await this.#lessor.lease(this.#name, this.#size, want, need);
    this.#asking = undefined;
    // Those that came meanwhile look again now.
    this.#needed = 0;
    this.#leastNeeded = 0;
    if (lease === undefined) {
      return;
    }
    this.#tokens += lease.got;
    this.#shortAtMs = lease.got < want - 1e-6 ? this.#nowMs() : undefined;
    this.#tokenMs = (1000 * lease.gateways) / this.#size.perSecond;
  }
}
