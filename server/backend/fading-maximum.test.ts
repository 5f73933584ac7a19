import { expect, test } from "vitest";
import { FadingMaximum } from "./fading-maximum.ts";

test("it rises at once, and falls slowly", () => {
  const largest = new FadingMaximum(1);
  largest.see(100);
  largest.see(50);
  expect(largest.value).toBe(100);
  largest.fade();
  largest.see(10);
  expect(largest.value).toBe(90);
  for (let i = 0; i < 100; i++) {
    largest.fade();
    largest.see(10);
  }
  expect(largest.value).toBe(10);
});
