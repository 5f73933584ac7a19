import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, test } from "vitest";
import {
  askRedis,
  canStartRedis,
  createTestRedis,
  hasTestRedis,
  startRedis,
} from "../../tests/helpers/redis.ts";
import { waitFor } from "../../tests/helpers/until.ts";
import { type Bucket, type BucketSize, UNKNOWN } from "../calls/policies/bucket.ts";
import { createSharedQuotas } from "./redis-lessor.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) {
    close();
  }
});

/** A gateway: its part of a shared bucket, and what it says in the log. */
function gateway(url: string, name: string, size: BucketSize) {
  const told: string[] = [];
  const log = {
    info: (_: object, message: string) => told.push(message),
    warn: (_: object, message: string) => told.push(message),
  };
  // A busy machine must not take its Redis for one that is away.
  const quotas = createSharedQuotas(url, log, { commandTimeoutMs: 20_000 });
  closers.push(() => quotas.close());
  return { bucket: quotas.makeBucket(name, size), told };
}

/** As the policy: takes a place and answers 0, or how long to wait for one. */
async function call(bucket: Bucket): Promise<number> {
  for (;;) {
    const nowMs = performance.now();
    const waitMs = bucket.waitMs(1, nowMs);
    if (waitMs !== UNKNOWN) {
      if (waitMs === 0) {
        bucket.take(1, nowMs);
      }
      return waitMs;
    }
    await bucket.known?.();
  }
}

const AWAY = "the Redis of shared quotas is away: each gateway limits by itself";
const BACK = "the Redis of shared quotas is back";

describe.runIf(hasTestRedis())("gateways with one Redis", () => {
  test("together let in no more than the limit, each its share", async () => {
    await using redis = await createTestRedis();
    const name = randomUUID();
    const size = { perSecond: 100, capacity: 40 };
    const startedAtMs = performance.now();
    let total = 0;
    const each = [0, 1].map(async () => {
      const { bucket } = gateway(redis.url, name, size);
      let mine = 0;
      while (total < 240) {
        if ((await call(bucket)) === 0) {
          mine++;
          total++;
          // Nobody leased anything before it began, so there is nothing to add.
          const most = size.capacity + ((performance.now() - startedAtMs) * size.perSecond) / 1000;
          expect(total).toBeLessThanOrEqual(most + 1);
        } else {
          await delay(1);
        }
      }
      return mine;
    });
    for (const mine of await Promise.all(each)) {
      expect(mine).toBeGreaterThan(240 / 5);
    }
  });

  test("one that asks seldom finds room when it was told, whatever the other takes", async () => {
    await using redis = await createTestRedis();
    const name = randomUUID();
    const size = { perSecond: 10, capacity: 1 };
    let stops = false;
    const greedy = (async () => {
      const { bucket } = gateway(redis.url, name, size);
      let mine = 0;
      for (; !stops; await delay(1)) {
        mine += (await call(bucket)) === 0 ? 1 : 0;
      }
      return mine;
    })();
    const { bucket } = gateway(redis.url, name, size);
    // Both wait from the second round on, and so know of each other.
    for (let rounds = -2; rounds < 5; ) {
      const waitMs = await call(bucket);
      if (waitMs === 0) {
        continue;
      }
      const askedAtMs = performance.now();
      // Node's timers can be a millisecond early.
      await delay(Math.ceil(waitMs) + 1);
      // It is waited for a second longer than it was told.
      const isLate = performance.now() - askedAtMs - waitMs > 900;
      const outcome = await call(bucket);
      if (!isLate) {
        expect(rounds < 0 ? 0 : outcome).toBe(0);
        rounds++;
      }
    }
    stops = true;
    expect(await greedy).toBeGreaterThan(0);
  });

  test("a script that the Redis has forgotten is sent again", async () => {
    await using redis = await createTestRedis();
    const { bucket, told } = gateway(redis.url, randomUUID(), { perSecond: 1000, capacity: 1000 });
    expect(await call(bucket)).toBe(0);
    await redis.query("SCRIPT", "FLUSH");
    for (let i = 0; i < 200; i++) {
      expect(await call(bucket)).toBe(0);
    }
    expect(told).toEqual([]);
  });
});

test.runIf(canStartRedis())("while the Redis is away each gateway has the limit for itself", async () => {
  await using redis = await startRedis();
  const size = { perSecond: 1, capacity: 20 };
  const name = randomUUID();
  const [a, b] = [gateway(redis.url, name, size), gateway(redis.url, name, size)];
  expect(await call(a.bucket)).toBe(0);
  expect(await call(b.bucket)).toBe(0);
  await redis.kill();
  for (const { bucket, told } of [a, b]) {
    let calls = 0;
    for (; (await call(bucket)) === 0; calls++) {}
    expect(calls).toBeGreaterThanOrEqual(size.capacity);
    expect(told).toEqual([AWAY]);
  }
  await redis.start();
  await waitFor(() =>
    expect([a.told, b.told]).toEqual([
      [AWAY, BACK],
      [AWAY, BACK],
    ]),
  );
  expect(await call(a.bucket)).toBe(0);
});

describe.runIf(canStartRedis())("a Redis that answers, and leases nothing, is away until it does", () => {
  const KEY = "prism:quota:orders";

  /** How often a lease was asked for. */
  async function asked(url: string): Promise<number> {
    const stats = String(await askRedis(url, "INFO", "commandstats"));
    const counts = stats.matchAll(/^cmdstat_evalsha:calls=(\d+),.*rejected_calls=(\d+)/gm);
    return [...counts].reduce((sum, [, calls, refused]) => sum + Number(calls) + Number(refused), 0);
  }

  test.each<[string, readonly [string, ...string[]], readonly [string, ...string[]]]>([
    ["no right", ["ACL", "SETUSER", "default", "-eval", "-evalsha"], ["ACL", "SETUSER", "default", "+@all"]],
    ["a key of another type", ["SET", KEY, "x"], ["DEL", KEY]],
    ["a replica", ["REPLICAOF", "127.0.0.1", "1"], ["REPLICAOF", "NO", "ONE"]],
  ])("%s", async (_, breaking, mending) => {
    await using redis = await startRedis();
    await askRedis(redis.url, ...breaking);
    const { bucket, told } = gateway(redis.url, "orders", { perSecond: 1000, capacity: 1000 });
    expect(await call(bucket)).toBe(0);
    const before = await asked(redis.url);
    await waitFor(async () => expect(await asked(redis.url)).toBeGreaterThan(before + 2));
    expect(told).toEqual([AWAY]);
    await askRedis(redis.url, ...mending);
    await waitFor(() => expect(told).toEqual([AWAY, BACK]));
    expect(await call(bucket)).toBe(0);
    expect(told).toEqual([AWAY, BACK]);
  });
});
