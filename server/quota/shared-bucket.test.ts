import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { canStartRedis, startRedis, withRedis } from "../../tests/helpers/redis.ts";
import { seeded } from "../backend/conformance/seeded.ts";
import { SharedBucket } from "./shared-bucket.ts";

const START_MS = 1_000;

/** The script with a clock that the test gives. */
const SCRIPT = readFileSync(new URL("./lease.lua", import.meta.url), "utf8")
  .replace("local time = redis.call('TIME')\n", "")
  .replace("local now = time[1] * 1000000 + time[2]", "local now = tonumber(ARGV[6])");

test.runIf(canStartRedis())("it gives what lease.lua gives, over random leases", async () => {
  await using redis = await startRedis();
  const { random, seed } = seeded();
  await withRedis(redis.url, async (client) => {
    for (let round = 0; round < 20; round++) {
      const size = { perSecond: 1 + Math.floor(random() * 100), capacity: 1 + Math.floor(random() * 50) };
      let nowMs = START_MS;
      const bucket = new SharedBucket(size, nowMs);
      for (let step = 0; step < 50; step++) {
        nowMs += Math.floor(random() * random() * 1_000);
        const who = `worker ${Math.floor(random() * 3)}`;
        const need = random() < 0.5 ? 1 : 0;
        const want = need + Math.floor(random() * 10);
        const { got, gateways } = bucket.lease(who, want, need, nowMs);
        const args = [who, size.perSecond, size.capacity, want, need, nowMs * 1000];
        const [said, others] = Object(await client.eval(SCRIPT, 1, `bucket ${round}`, ...args));
        expect([seed, round, step, others]).toEqual([seed, round, step, gateways]);
        expect(Math.abs(Number(said) - got), `seed ${seed}, round ${round}, step ${step}`).toBeLessThan(1e-4);
      }
    }
  });
});

test("it is idle when it is full and nobody has a share", () => {
  const bucket = new SharedBucket({ perSecond: 10, capacity: 10 }, START_MS);
  expect(bucket.isIdle(START_MS)).toBe(true);
  expect(bucket.lease("a", 5, 1, START_MS)).toEqual({ got: 5, gateways: 1 });
  expect(bucket.isIdle(START_MS + 600)).toBe(false);
  expect(bucket.isIdle(START_MS + 1_001)).toBe(true);
});
