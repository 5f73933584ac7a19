/** The share of the old estimate that is left after each group. */
const FADE = 0.9;

/**
 * Estimates how large the next thing will be, from the largest seen of late: it rises at once and
 * falls slowly.
 */
export class FadingMaximum {
  #value: number;

  /** `value`: the estimate before anything is seen. */
  constructor(value: number) {
    this.#value = value;
  }

  get value(): number {
    return this.#value;
  }

  /** Lowers the estimate. Call it before the next group is seen. */
  fade(): void {
    this.#value *= FADE;
  }

  see(value: number): void {
    this.#value = Math.max(this.#value, value);
  }
}
