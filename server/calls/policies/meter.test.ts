import { expect, test } from "vitest";
import { NO_RULES } from "../../namespaces/rules.ts";
import { localBuckets } from "./bucket.ts";
import { limitCalls, Meter, MeterTable } from "./meter.ts";

const NONE = NO_RULES.limits;
const ONE_A_SECOND = { ...NONE, maxRps: 1 };

const table = (maxMeters: number) =>
  new MeterTable((name) => new Meter(name, ONE_A_SECOND, localBuckets), maxMeters);

test("which limits can refuse a call", () => {
  expect(limitCalls({ ...NONE, burst: 5 })).toBe(false);
  expect(limitCalls({ ...NONE, maxRps: 1 })).toBe(true);
  expect(limitCalls({ ...NONE, maxInBytesPerSecond: 1 })).toBe(true);
  expect(limitCalls({ ...NONE, maxConcurrentCalls: 1 })).toBe(true);
});

test("a call needs room for itself and for its bytes", () => {
  const meter = new Meter("m", { ...NONE, maxRps: 10, maxInBytesPerSecond: 1000 }, localBuckets);
  meter.take(1000, 0);
  expect(meter.waitMs(500, 0)).toBe(500);
  expect(meter.waitMs(0, 0)).toBe(0);
  for (let i = 0; i < 9; i++) {
    meter.take(0, 0);
  }
  expect(meter.waitMs(0, 0)).toBe(100);
  expect(meter.isIdle(999)).toBe(false);
  expect(meter.isIdle(1000)).toBe(true);
});

test("equal limits change nothing; others begin with full buckets; calls under way stay counted", () => {
  const meter = new Meter("m", { ...ONE_A_SECOND, maxConcurrentCalls: 2 }, localBuckets);
  meter.take(0, 0);
  meter.callsUnderWay = 2;
  meter.set({ ...ONE_A_SECOND, maxConcurrentCalls: 3 });
  expect(meter.waitMs(0, 0)).toBe(1000);
  expect(meter.isBusy).toBe(false);
  meter.set({ ...ONE_A_SECOND, maxRps: 2, maxConcurrentCalls: 1 });
  expect(meter.waitMs(0, 0)).toBe(0);
  expect(meter.isBusy).toBe(true);
});

test("a full table drops the oldest that lost nothing by it", () => {
  const meters = table(3);
  const now = () => 0;
  const spent = meters.of("spent", now);
  spent.take(0, 0);
  meters.of("idle", now);
  meters.of("busy", now).callsUnderWay = 1;
  meters.of("new", now);
  expect(meters.size).toBe(3);
  expect(meters.of("spent", now)).toBe(spent);
});

test("where none is idle one is dropped all the same, but none with a call under way", () => {
  const meters = table(3);
  const now = () => 0;
  const made = ["a", "b", "c"].map((name) => meters.of(name, now));
  for (const meter of made) {
    meter.take(0, 0);
  }
  const [a, , c] = made;
  if (a !== undefined && c !== undefined) {
    a.callsUnderWay = 1;
    c.callsUnderWay = 1;
  }
  meters.of("new", now).callsUnderWay = 1;
  expect(meters.size).toBe(3);
  expect([meters.of("a", now), meters.of("c", now)]).toEqual([a, c]);
});

test("a table that grew by calls under way shrinks again", () => {
  const meters = table(10);
  const now = () => 5000;
  const names = Array.from({ length: 100 }, (_, i) => `caller ${i}`);
  for (const name of names) {
    meters.of(name, now).callsUnderWay = 1;
  }
  expect(meters.size).toBe(100);
  for (const name of names) {
    meters.of(name, now).callsUnderWay = 0;
  }
  for (let i = 0; i < 20; i++) {
    meters.of(`other ${i}`, now);
  }
  expect(meters.size).toBe(10);
});

test("a hundred thousand callers one after another leave as many meters as may be", () => {
  const meters = table(100);
  for (let i = 0; i < 100_000; i++) {
    meters.of(`caller ${i}`, () => 0).take(0, 0);
  }
  expect(meters.size).toBe(100);
});
