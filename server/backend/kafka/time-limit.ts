/** What is thrown when the time is up. */
export const LATE = Symbol("late");

/** How long something may take. Who makes one ends it. */
export class Limit {
  readonly #startMs = performance.now();
  readonly #endMs: number;
  readonly #late: Promise<never>;
  readonly #timer: NodeJS.Timeout;
  #isOver = false;

  /** `endMs`: on the clock of `performance.now()`. */
  constructor(endMs: number) {
    this.#endMs = endMs;
    const { promise, reject } = Promise.withResolvers<never>();
    // Nobody may be waiting when it ends.
    promise.catch(() => {});
    this.#late = promise;
    this.#timer = setTimeout(() => {
      this.end();
      reject(LATE);
    }, this.leftMs);
  }

  get spentMs(): number {
    return performance.now() - this.#startMs;
  }

  /** At least 1. */
  get leftMs(): number {
    return Math.max(1, Math.ceil(this.#endMs - performance.now()));
  }

  /** The same promise, unless the time is up before: then it rejects with {@link LATE}. */
  async before<T>(promise: Promise<T>): Promise<T> {
    const value = await Promise.race([promise, this.#late]);
    if (this.#isOver) {
      throw LATE;
    }
    return value;
  }

  /** The time is up. */
  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }
}
