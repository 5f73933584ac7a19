import { afterEach, expect, test, vi } from "vitest";
import { createSystemClock } from "./clock.ts";

afterEach(() => {
  vi.useRealTimers();
});

test("the system clock follows the machine's and never goes back", () => {
  vi.useFakeTimers({ now: 1000 });
  const clock = createSystemClock();
  expect(clock.now()).toBe(1000);
  vi.setSystemTime(400);
  expect(clock.now()).toBe(1000);
  vi.setSystemTime(1001);
  expect(clock.now()).toBe(1001);
});
