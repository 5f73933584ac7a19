import fc from "fast-check";
import { expect, test } from "vitest";
import { TokenBucket } from "./bucket.ts";

test("a burst at once, then at the rate: who waits as long as told gets in, and not a millisecond sooner", () => {
  const bucket = new TokenBucket({ perSecond: 8, capacity: 3 });
  for (let i = 0; i < 3; i++) {
    expect(bucket.waitMs(1, 1000)).toBe(0);
    bucket.take(1, 1000);
  }
  expect(bucket.waitMs(1, 1000)).toBe(125);
  expect(bucket.waitMs(1, 1124)).toBe(1);
  expect(bucket.waitMs(1, 1125)).toBe(0);
  bucket.take(1, 1125);
  expect(bucket.waitMs(1, 1125)).toBe(125);
  expect(bucket.isFull(1499)).toBe(false);
  expect(bucket.isFull(1500)).toBe(true);
});

test("an amount larger than the bucket needs a full one, and is paid for", () => {
  const bucket = new TokenBucket({ perSecond: 100, capacity: 100 });
  expect(bucket.waitMs(250, 0)).toBe(0);
  bucket.take(250, 0);
  expect(bucket.waitMs(250, 0)).toBe(2500);
  expect(bucket.waitMs(1, 0)).toBe(1510);
});

test("a clock that stands still or goes back gives nothing", () => {
  const bucket = new TokenBucket({ perSecond: 10, capacity: 1 });
  bucket.take(1, 1000);
  expect(bucket.waitMs(1, 1000)).toBe(100);
  expect(bucket.waitMs(1, 900)).toBe(200);
});

/** Arrivals: the pause before each, in milliseconds, and its amount. */
const arrivals = fc.array(
  fc.tuple(fc.double({ min: 0, max: 50, noNaN: true }), fc.integer({ min: 1, max: 5 })),
  { maxLength: 300 },
);

test("whatever comes when, no span of time lets in more than its length at the rate and the burst", () => {
  const sizes = fc.record({
    perSecond: fc.integer({ min: 1, max: 5000 }),
    capacity: fc.integer({ min: 5, max: 100 }),
  });
  fc.assert(
    fc.property(sizes, arrivals, (size, each) => {
      const bucket = new TokenBucket(size);
      const taken: { atMs: number; amount: number }[] = [];
      let nowMs = 12_345.678;
      for (const [pauseMs, amount] of each) {
        nowMs += pauseMs;
        const waitMs = bucket.waitMs(amount, nowMs);
        if (waitMs > 0) {
          expect(bucket.waitMs(amount, nowMs + Math.ceil(waitMs))).toBe(0);
          expect(bucket.waitMs(amount, nowMs + waitMs * 0.99 - 0.01)).toBeGreaterThan(0);
          continue;
        }
        bucket.take(amount, nowMs);
        taken.push({ atMs: nowMs, amount });
      }
      for (const [from, { atMs }] of taken.entries()) {
        let sum = 0;
        for (const later of taken.slice(from)) {
          sum += later.amount;
          // A thousandth for the errors of adding up.
          const most = size.capacity + ((later.atMs - atMs) * size.perSecond) / 1000;
          expect(sum).toBeLessThanOrEqual(most + 0.001 + size.perSecond * 1e-5);
        }
      }
    }),
  );
});
