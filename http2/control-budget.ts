/** Owns how many frames that bring no request and no body a peer may still send. */
import { callPrice } from "./call-price.ts";
import { ConnectionError, ErrorCode } from "./errors.ts";

/** The bucket holds what comes in so many seconds. */
const BURST_SECONDS = 2;

/**
 * Bounds the frames that cost work and bring no request and no body: PING, SETTINGS, PRIORITY,
 * WINDOW_UPDATE, RST_STREAM, empty DATA, CONTINUATION, and streams that are refused or reset
 * because of what the peer sent (CVE-2019-9512, -9513, -9514, -9515, -9518, CVE-2023-44487,
 * CVE-2025-8671). A bucket fills at a rate per second, and by one with each useful event: a stream
 * that ended well, or a DATA frame sent, since the peer may answer it with WINDOW_UPDATE. So honest
 * traffic of any volume stays far from the limit.
 */
export class ControlBudget {
  readonly #perSecond: number;
  readonly #burst: number;
  #left: number;
  #filledAt = performance.now();
  #now = this.#filledAt;

  /**
   * `perSecond` 0 = no bound. `extraBurst`: so many more at once are honest, for example when a
   * client cancels all its streams.
   */
  constructor(perSecond: number, extraBurst: number) {
    this.#perSecond = perSecond;
    this.#burst = perSecond === 0 ? Number.POSITIVE_INFINITY : perSecond * BURST_SECONDS + extraBurst;
    this.#left = this.#burst;
  }

  /** What is spent from now on came at `now`, by `performance.now()`. */
  setTime(now: number): void {
    this.#now = now;
  }

  /** Counts one frame. Throws ConnectionError above the limit. */
  spend(): void {
    if (this.#left <= 0) {
      const earned = Math.floor(
        Math.min(((this.#now - this.#filledAt) / 1000) * this.#perSecond, this.#burst),
      );
      if (this.#left + earned < 1) {
        throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "too many control frames");
      }
      this.#filledAt = this.#now;
      this.#left += earned;
    }
    this.#left--;
  }

  /**
   * The peer threw away a call that was begun: counts what the call cost. The next `spend` may
   * throw.
   */
  chargeCall(): void {
    this.#left -= callPrice(this.#now);
  }

  /** Something useful happened. */
  earn(): void {
    if (this.#left < this.#burst) {
      this.#left++;
    }
  }
}
