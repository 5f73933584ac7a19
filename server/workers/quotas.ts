import type { BucketMaker } from "../calls/policies/bucket.ts";
import { MAX_METERED_CALLERS } from "../limits.ts";
import { type Lease, LeasedBucket } from "../quota/leased-bucket.ts";
import { SharedBucket } from "../quota/shared-bucket.ts";
import type { LeaseRequest } from "./calls.ts";

/** After so many new buckets the full ones are dropped. */
const SWEEP_EVERY = 1024;

/** The most buckets. The oldest are dropped for new ones, and are full when they come again. */
const MAX_BUCKETS = 4 * MAX_METERED_CALLERS;

/** The quotas that the workers share. They are in the primary's memory. */
export class WorkerQuotas {
  readonly #buckets = new Map<string, SharedBucket>();
  readonly #nowMs: () => number;
  #untilSweep = SWEEP_EVERY;

  constructor(nowMs = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  /** Leases a part of a bucket to a worker. */
  lease(worker: number, { name, size, want, need }: LeaseRequest): Lease {
    const nowMs = this.#nowMs();
    // Other limits make another bucket.
    const id = `${size.perSecond} ${size.capacity} ${name}`;
    let bucket = this.#buckets.get(id);
    if (bucket === undefined) {
      this.#sweep(nowMs);
      bucket = new SharedBucket(size, nowMs);
      this.#buckets.set(id, bucket);
    }
    return bucket.lease(String(worker), want, need, nowMs);
  }

  #sweep(nowMs: number): void {
    this.#untilSweep--;
    if (this.#untilSweep > 0) {
      return;
    }
    this.#untilSweep = SWEEP_EVERY;
    for (const [id, bucket] of this.#buckets) {
      if (this.#buckets.size > MAX_BUCKETS || bucket.isIdle(nowMs)) {
        this.#buckets.delete(id);
      }
    }
  }
}

/** A worker's buckets, whose room the primary leases. `ask` asks it. */
export function leasedFromPrimary(ask: (request: LeaseRequest) => Promise<Lease>): BucketMaker {
  const lessor = {
    isThere: true,
    // Without the primary the worker ends too.
    lease: (name: string, size: LeaseRequest["size"], want: number, need: number) =>
      ask({ name, size, want, need }).catch(() => undefined),
  };
  return (name, size) => new LeasedBucket(name, size, lessor, () => performance.now());
}
