/** The bucket holds what comes in so many seconds. */
const BURST_SECONDS = 2;

/**
 * Bounds the frames that cost us work and bring no request and no body: PING, SETTINGS, PRIORITY, WINDOW_UPDATE,
 * RST_STREAM, empty DATA and CONTINUATION, streams that we refuse or reset because of what the peer sent (CVE-2019-9512,
 * -9513, -9514, -9515, -9518, CVE-2023-44487, CVE-2025-8671). A bucket fills at a rate per second, and by
 * one with each useful thing that happened on the connection (a stream that ended as it should, a DATA frame that we
 * sent and that a WINDOW_UPDATE will answer), so that honest traffic of any volume is never near the limit.
 */
export class ControlBudget {
  private readonly perSecond: number;
  private readonly burst: number;
  private left: number;
  private filledAt = performance.now();

  /** `extraBurst`: so many at once are honest, as when a client lets go of all its streams. 0 a second = no bound. */
  constructor(perSecond: number, extraBurst: number) {
    this.perSecond = perSecond;
    this.burst = perSecond === 0 ? Number.POSITIVE_INFINITY : perSecond * BURST_SECONDS + extraBurst;
    this.left = this.burst;
  }

  /** Counts one frame; false = over the limit. `now` is `performance.now()`. */
  spend(now: number): boolean {
    if (this.left > 0) {
      this.left--;
      return true;
    }
    const earned = Math.floor(Math.min(((now - this.filledAt) / 1000) * this.perSecond, this.burst));
    if (this.left + earned < 1) {
      return false;
    }
    this.filledAt = now;
    this.left += earned - 1;
    return true;
  }

  /** Counts a call that the peer threw away after we had begun it, by what it cost. Over the limit the next `spend` says so. */
  charge(price: number): void {
    this.left -= price;
  }

  earn(): void {
    if (this.left < this.burst) {
      this.left++;
    }
  }
}
