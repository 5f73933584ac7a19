/*
 * A bin is all float64 numbers with the same sign, the same exponent and the same first bits of the
 * fraction. So it is as wide as its numbers are large, from the smallest to the largest alike, and
 * finding the bin of a number takes no logarithm.
 */

/** With 64 bins between two powers of two, the middle of a bin is at most 1/128 off. */
const FRACTION_BITS = 6;

/** The bits of the upper half of a float64 that do not tell bins apart. */
const REST_BITS = 20 - FRACTION_BITS;

const view = new DataView(new ArrayBuffer(Float64Array.BYTES_PER_ELEMENT));

/**
 * Counts numbers by their size, so that their quantiles can be told without keeping them: off by at
 * most 1%, or by 1e-309.
 */
export class NumberBins {
  readonly #counts = new Map<number, number>();

  /** How many bins have numbers. At most 262,144. */
  get size(): number {
    return this.#counts.size;
  }

  /** Counts `times` finite numbers that are equal. */
  add(number: number, times: number): void {
    const bin = binOf(number);
    this.#counts.set(bin, (this.#counts.get(bin) ?? 0) + times);
  }

  /**
   * For each percentage, about the smallest number such that so many of the numbers are at most as
   * large. The percentages are integers and ascend. Without a number there is no answer.
   */
  quantiles(percentages: readonly number[]): number[] {
    const bins = Int32Array.from(this.#counts.keys()).sort();
    let total = 0;
    for (const count of this.#counts.values()) {
      total += count;
    }
    const found: number[] = [];
    let passed = 0;
    for (const bin of bins) {
      passed += this.#counts.get(bin) ?? 0;
      // In integers, because 0.95 * 60 may come to more than 57.
      while (passed * 100 >= (percentages[found.length] ?? Infinity) * total) {
        found.push(middleOf(bin));
      }
    }
    return found;
  }
}

/** Bins ascend with their numbers; those of negative numbers are negative. */
function binOf(number: number): number {
  view.setFloat64(0, Math.abs(number));
  const bin = view.getUint32(0) >>> REST_BITS;
  return number < 0 ? -bin : bin;
}

/** The number in the middle of a bin. */
function middleOf(bin: number): number {
  if (bin === 0) {
    return 0;
  }
  view.setUint32(0, (Math.abs(bin) << REST_BITS) | (1 << (REST_BITS - 1)));
  view.setUint32(Uint32Array.BYTES_PER_ELEMENT, 0);
  return Math.sign(bin) * view.getFloat64(0);
}
