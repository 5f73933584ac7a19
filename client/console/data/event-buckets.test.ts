import { expect, test } from "vitest";
import { bucketMsOf, bucketsOf, pathOfMeans } from "./event-buckets.ts";

const DAY_MS = 86_400_000;

test.each([
  [0, 1000],
  [60_000, 1000],
  [60_001, 5000],
  [900_000, 15_000],
  [3_600_000, 60_000],
  [DAY_MS, 3_600_000],
  [365 * DAY_MS, 7 * DAY_MS],
  [3650 * DAY_MS, 90 * DAY_MS],
])("a span of %i ms has buckets of %i ms", (spanMs, bucketMs) => {
  expect(bucketMsOf(spanMs)).toBe(bucketMs);
});

const row = (startMs: number, count: number, avg?: number) => ({ startMs, count, avg, numbers: 0, tags: {} });

test("a span has all its buckets", () => {
  expect(bucketsOf([row(20, 3, 1.5), row(40, 1)], 15, 50, 10)).toEqual([
    { startMs: 10, count: 0, mean: undefined },
    { startMs: 20, count: 3, mean: 1.5 },
    { startMs: 30, count: 0, mean: undefined },
    { startMs: 40, count: 1, mean: undefined },
  ]);
  expect(bucketsOf([], 10, 10, 10)).toEqual([]);
});

test("means are steps, with a break where there is none", () => {
  const means = [1, 3, undefined, 2].map((mean, startMs) => ({ startMs, count: 1, mean }));
  expect(pathOfMeans(means, 100)).toBe("M0,100.0H1L1,0.0H2M3,50.0H4");
  expect(pathOfMeans(means.slice(0, 1), 100)).toBe("M0,50.0H1");
  expect(pathOfMeans([], 100)).toBe("");
});
