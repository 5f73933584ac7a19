/** Of what is seen, the largest of late: each time that something is seen, so much is left of what was before. */
const FADE = 0.9;

/** An estimate of how large the next thing will be: it rises at once, and falls slowly. */
export class FadingMaximum {
  #value: number;

  /** `value`: what is expected at first. */
  constructor(value: number) {
    this.#value = value;
  }

  get value(): number {
    return this.#value;
  }

  /** Forgets a part of what was seen. Call it before the next group is seen. */
  fade(): void {
    this.#value *= FADE;
  }

  see(value: number): void {
    this.#value = Math.max(this.#value, value);
  }
}
