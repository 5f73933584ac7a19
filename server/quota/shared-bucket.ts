import type { BucketSize } from "../calls/policies/bucket.ts";
import type { Lease } from "./leased-bucket.ts";

/** One that asked, and got less than it wanted. */
interface Claim {
  /** When it asked. */
  readonly sinceMs: number;
  readonly unmet: number;
  /** Until when it has a share. */
  readonly tillMs: number;
}

/**
 * A bucket that several processes lease from. It gives what `lease.lua` gives, where its rules
 * stand: of what comes back each that asked of late has an even share, which is kept for it if it
 * got less than it wanted. Times are in milliseconds on a monotonic clock.
 */
export class SharedBucket {
  readonly #perMs: number;
  readonly #capacity: number;
  readonly #claims = new Map<string, Claim>();
  #room: number;
  #atMs: number;

  constructor({ perSecond, capacity }: BucketSize, nowMs: number) {
    this.#perMs = perSecond / 1000;
    this.#capacity = capacity;
    this.#room = capacity;
    this.#atMs = nowMs;
  }

  /** Leases `want` tokens to `who`, or fewer; `need` of them let a call in. */
  lease(who: string, want: number, need: number, nowMs: number): Lease {
    for (const [name, { tillMs }] of this.#claims) {
      if (tillMs < nowMs) {
        this.#claims.delete(name);
      }
    }
    const own = this.#claims.get(who);
    this.#claims.delete(who);
    const gateways = this.#claims.size + 1;
    const keptFor = ({ unmet, sinceMs }: Claim) =>
      Math.min(unmet, (Math.max(0, nowMs - sinceMs) * this.#perMs) / gateways);
    let kept = 0;
    for (const claim of this.#claims.values()) {
      kept += keptFor(claim);
    }
    // What is kept for somebody takes no room in the bucket, else a small one would lose it.
    const most = this.#capacity + kept + (own === undefined ? 0 : keptFor(own));
    const room = Math.min(most, this.#room + Math.max(0, nowMs - this.#atMs) * this.#perMs);
    const got = Math.max(0, Math.min(want, room - kept));
    this.#room = room - got;
    this.#atMs = nowMs;
    // How long it is waited for: a second more than its share needs to let a call in.
    const lifeMs = 1000 + (Math.max(0, need - got) * gateways) / this.#perMs;
    this.#claims.set(who, { sinceMs: nowMs, unmet: want - got, tillMs: nowMs + lifeMs });
    return { got, gateways };
  }

  /** Whether it is full and nobody has a share, so that a new one would be no different. */
  isIdle(nowMs: number): boolean {
    for (const { tillMs } of this.#claims.values()) {
      if (tillMs >= nowMs) {
        return false;
      }
    }
    return this.#room + (nowMs - this.#atMs) * this.#perMs >= this.#capacity;
  }
}
