import { expect, test } from "vitest";
import { UNKNOWN } from "../calls/policies/bucket.ts";
import { type Lease, LeasedBucket } from "./leased-bucket.ts";

/** A bucket with a clock that stands still, whose lessor answers `leases` one after another. */
function setUp(leases: readonly (Lease | undefined)[], size = { perSecond: 10, capacity: 10 }) {
  const clock = { ms: 1000 };
  const asked: { want: number; need: number }[] = [];
  const lessor = {
    isThere: true,
    async lease(_name: string, _size: object, want: number, need: number) {
      asked.push({ want, need });
      return leases[asked.length - 1];
    },
  };
  const bucket = new LeasedBucket("b", size, lessor, () => clock.ms);
  const look = (amount = 1) => bucket.waitMs(amount, clock.ms);
  return { clock, asked, lessor, bucket, look, take: (amount = 1) => bucket.take(amount, clock.ms) };
}

test("calls that come together ask once, for all of them and a little ahead", async () => {
  const { asked, bucket, look, take } = setUp([{ got: 4, gateways: 1 }]);
  for (let i = 0; i < 3; i++) {
    expect(look()).toBe(UNKNOWN);
  }
  await Promise.all([bucket.known(), bucket.known()]);
  expect(asked).toEqual([{ want: 4, need: 1 }]);
  for (let i = 0; i < 4; i++) {
    expect(look()).toBe(0);
    take();
  }
  expect(look()).toBe(UNKNOWN);
});

test("a lease that is half used up is filled behind the calls", async () => {
  const size = { perSecond: 1000, capacity: 1000 };
  const { asked, bucket, look, take } = setUp(
    [
      { got: 51, gateways: 1 },
      { got: 26, gateways: 1 },
    ],
    size,
  );
  expect(look()).toBe(UNKNOWN);
  await bucket.known();
  for (let i = 0; i < 26; i++) {
    expect(look()).toBe(0);
    take();
  }
  expect(asked).toHaveLength(1);
  take();
  await bucket.known();
  expect(asked[1]).toEqual({ want: 26, need: 0 });
  expect(look(50)).toBe(0);
});

test("a lease that is too small: calls are told when its share has the rest, and it asks again sooner", async () => {
  const { asked, bucket, clock, look } = setUp([
    { got: 0.25, gateways: 2 },
    { got: 0.75, gateways: 2 },
  ]);
  expect(look()).toBe(UNKNOWN);
  await bucket.known();
  // 0.75 tokens at half of ten a second.
  expect(look()).toBe(150);
  clock.ms += 19;
  expect(look()).toBe(131);
  clock.ms += 1;
  expect(look()).toBe(UNKNOWN);
  await bucket.known();
  expect(asked[1]).toMatchObject({ need: 0.75 });
  expect(look()).toBe(0);
});

test("an empty shared bucket is asked fifty times a second at most", async () => {
  const { bucket, clock, look } = setUp([{ got: 0, gateways: 1 }], { perSecond: 100_000, capacity: 100_000 });
  expect(look()).toBe(UNKNOWN);
  await bucket.known();
  expect(look()).toBe(20);
  clock.ms += 20;
  expect(look()).toBe(UNKNOWN);
});

test("while the lessor is away it has the whole bucket for itself, and then none of it", async () => {
  const { bucket, lessor, look, take } = setUp([undefined, { got: 1.5, gateways: 1 }]);
  expect(look()).toBe(UNKNOWN);
  await bucket.known();
  lessor.isThere = false;
  for (let i = 0; i < 10; i++) {
    expect(look()).toBe(0);
    take();
  }
  expect(look()).toBe(100);
  lessor.isThere = true;
  expect(look()).toBe(UNKNOWN);
});

test("it counts as full when nobody used it for as long as it takes to fill", async () => {
  const { bucket, clock, look, take } = setUp([{ got: 1.5, gateways: 1 }]);
  look();
  await bucket.known();
  look();
  take();
  clock.ms += 999;
  expect(bucket.isFull(clock.ms)).toBe(false);
  clock.ms += 1;
  expect(bucket.isFull(clock.ms)).toBe(true);
});
