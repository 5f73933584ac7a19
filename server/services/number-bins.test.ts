import fc from "fast-check";
import { expect, test } from "vitest";
import { NumberBins } from "./number-bins.ts";

const PERCENTAGES = [1, 50, 95, 99, 100];

function quantilesOf(numbers: readonly number[]): number[] {
  const bins = new NumberBins();
  for (const number of numbers) {
    bins.add(number, 1);
  }
  return bins.quantiles(PERCENTAGES);
}

/** The smallest of the numbers such that so many are at most as large. */
function exactQuantiles(numbers: readonly number[]): number[] {
  const ascending = numbers.toSorted((a, b) => a - b);
  return PERCENTAGES.map((p) => ascending[Math.ceil((p * numbers.length) / 100) - 1] ?? Number.NaN);
}

function expectClose(found: readonly number[], exact: readonly number[]): void {
  expect(found).toHaveLength(exact.length);
  for (const [i, number] of exact.entries()) {
    const off = Math.abs((found[i] ?? Number.NaN) - number);
    expect(off, `${found[i]} for ${number}`).toBeLessThanOrEqual(Math.max(Math.abs(number) * 0.01, 1e-309));
  }
}

test("quantiles of any numbers are off by at most 1%", () => {
  const number = fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer({ min: -1000, max: 1000 }),
    fc.double({ noNaN: true, min: -1e-307, max: 1e-307 }),
    fc.constantFrom(0, -0, Number.MAX_VALUE, -Number.MAX_VALUE, Number.MIN_VALUE, 2.2250738585072014e-308),
  );
  fc.assert(
    fc.property(fc.array(number, { minLength: 1, maxLength: 300, size: "max" }), (numbers) => {
      expectClose(quantilesOf(numbers), exactQuantiles(numbers));
    }),
    { numRuns: 1000 },
  );
});

test("both edges of every bin are less than 1% from its middle", () => {
  let worst = 0;
  for (let power = 2 ** -1022; power < Infinity; power *= 2) {
    for (let bin = 0; bin < 64; bin++) {
      const least = power * (1 + bin / 64);
      const greatest = power * (1 + (bin + 1) / 64 - 2 ** -52);
      for (const edge of [least, greatest, -least, -greatest]) {
        const [middle = Number.NaN] = quantilesOf([edge]);
        worst = Math.max(worst, Math.abs(middle - edge) / Math.abs(edge));
      }
    }
  }
  expect(worst).toBeGreaterThan(0);
  expect(worst).toBeLessThan(0.01);
});

test("zero is zero, among others too", () => {
  expect(quantilesOf([0, 0, 0, -0])).toEqual([0, 0, 0, 0, 0]);
  expect(quantilesOf([-1, 0, 1])[1]).toBe(0);
});

test("a rank is told in integers", () => {
  for (let numbers = 1; numbers <= 300; numbers++) {
    const ascending = Array.from({ length: numbers }, (_, i) => 1.05 ** (i - numbers / 2));
    expectClose(quantilesOf(ascending), exactQuantiles(ascending));
  }
});

test("bins are bounded, however many numbers there are", () => {
  const bins = new NumberBins();
  for (let i = 0; i < 1_000_000; i++) {
    bins.add(1 + i / 1_000_000, 1);
  }
  expect(bins.size).toBe(64);
});

test("no number has no quantile", () => {
  expect(new NumberBins().quantiles(PERCENTAGES)).toEqual([]);
});
