import { expect, test } from "vitest";
import { minutesOf, withGaps } from "./curves.ts";

test("a gap breaks the lines, a short pause does not", () => {
  expect(withGaps([100, 102, 112, 130], [[1, 2, 3, 4], new Float32Array([5, 6, 7, 8])])).toEqual([
    [100, 102, 112, 117, 130],
    [1, 2, 3, null, 4],
    [5, 6, 7, null, 8],
  ]);
  expect(withGaps([], [[]])).toEqual([[], []]);
});

test("a minute has the mean of the numbers that there are", () => {
  const curves = [
    [1, 3, 10],
    [null, null, 4],
  ];
  expect(minutesOf([120, 179, 180], curves)).toEqual([
    { time: 180, means: [10, 4] },
    { time: 120, means: [2, null] },
  ]);
});
