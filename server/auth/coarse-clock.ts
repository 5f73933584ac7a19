/** How far it may be behind. */
const TICK_MS = 100;

/**
 * The clock of `performance.now()`, up to a tenth of a second behind. Reading it is reading a
 * field: the clock itself would cost as much as all else that a known caller needs.
 */
export class CoarseClock {
  nowMs = performance.now();
  #timer: NodeJS.Timeout | undefined;

  /** It stands still before that. */
  start(): void {
    this.#timer = setInterval(() => {
      this.nowMs = performance.now();
    }, TICK_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
