import { describe, expect, test } from "vitest";
import { type Clock, createSystemClock } from "./clock.ts";

const HOUR_MS = 3_600_000;
const START_MS = 1_700_000_000_000;

/** A clock on two sources that a test moves: `pass` moves both, `set` only the wall clock. */
function createTime() {
  let monotonicMs = 5000.25;
  let wallMs = START_MS;
  const clock = createSystemClock({ monotonic: () => monotonicMs, wall: () => Math.floor(wallMs) + 0.5 });
  return {
    clock,
    get wallMs() {
      return wallMs;
    },
    pass(ms: number) {
      monotonicMs += ms;
      wallMs += ms;
    },
    set(byMs: number) {
      wallMs += byMs;
    },
  };
}

/**
 * How far the clock advances in `ms`, read every `everyMs`. Each answer is a whole number, and none
 * is less than the one before.
 */
function goesBy(clock: Clock, pass: (ms: number) => void, ms: number, everyMs: number): number {
  const startMs = clock.now();
  let beforeMs = startMs;
  for (let left = ms; left > 0; left -= everyMs) {
    pass(everyMs);
    const nowMs = clock.now();
    expect(Number.isInteger(nowMs)).toBe(true);
    expect(nowMs).toBeGreaterThanOrEqual(beforeMs);
    expect(nowMs - beforeMs).toBeLessThanOrEqual(Math.ceil(everyMs * 1.01) + 2);
    beforeMs = nowMs;
  }
  return beforeMs - startMs;
}

describe("the system clock", () => {
  test("starts at the wall clock, and is where that is as long as nobody sets it", () => {
    const time = createTime();
    expect(time.clock.now()).toBe(START_MS);
    expect(goesBy(time.clock, time.pass, HOUR_MS, 777.7)).toBeCloseTo(HOUR_MS, -4);
    expect(Math.abs(time.clock.now() - time.wallMs)).toBeLessThanOrEqual(2);
  });

  test.each([
    ["back", -HOUR_MS],
    ["forward", HOUR_MS],
  ])("goes on evenly where the wall clock is set %s by an hour", (_, byMs) => {
    const time = createTime();
    time.clock.now();
    time.set(byMs);
    const twoSecondsMs = goesBy(time.clock, time.pass, 2000, 0.5);
    expect(twoSecondsMs).toBeGreaterThanOrEqual(1978);
    expect(twoSecondsMs).toBeLessThanOrEqual(2022);
  });

  test.each([
    ["back", -HOUR_MS],
    ["forward", HOUR_MS],
  ])("has caught up after four days and a half where it was set %s by an hour", (_, byMs) => {
    const time = createTime();
    time.clock.now();
    time.set(byMs);
    goesBy(time.clock, time.pass, 108 * HOUR_MS, 60_000.5);
    expect(Math.abs(time.clock.now() - time.wallMs)).toBeLessThanOrEqual(2);
  });

  test("asked once in an hour, it does not step by more than a hundredth", () => {
    const time = createTime();
    time.clock.now();
    time.set(-HOUR_MS);
    time.pass(HOUR_MS);
    expect(time.clock.now() - START_MS).toBe(0.99 * HOUR_MS);
  });

  test("is the machine's", () => {
    const clock = createSystemClock();
    expect(Math.abs(clock.now() - Date.now())).toBeLessThan(1000);
  });
});
