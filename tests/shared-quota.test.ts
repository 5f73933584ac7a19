/** Two whole gateways whose quotas hold for both together. */
import { randomUUID } from "node:crypto";
import { expect, test } from "vitest";
import { PrismClient } from "../client/node.ts";
import { NO_RULES } from "../server/namespaces/rules.ts";
import { createTestRedis, hasTestRedis } from "./helpers/redis.ts";
import { startTestServer } from "./helpers/server.ts";

test.runIf(hasTestRedis())("calls on two gateways are counted together", async () => {
  await using redis = await createTestRedis();
  // A namespace of its own, because others may use the same Redis.
  const name = `n${randomUUID()}`;
  const rules = { ...NO_RULES, limits: { ...NO_RULES.limits, maxRps: 1, burst: 20 } };
  const start = () =>
    startTestServer({
      adjust: (config) => ({
        ...config,
        namespaces: [{ name, pattern: "keyvalue", backend: "database", rules }],
        quotas: { ...config.quotas, redisUrl: redis.url },
      }),
    });
  await using first = await start();
  await using second = await start();
  const clients = [first, second].map(({ address }) => new PrismClient(address, { namespace: name }));
  const startedAtMs = performance.now();
  const outcomes = await Promise.all(
    clients.flatMap((client) =>
      Array.from({ length: 30 }, () => client.keyvalue.exists("k").catch(asReason)),
    ),
  );
  const passed = outcomes.filter((outcome) => outcome === false).length;
  // One second of a busy machine is one call more.
  expect(passed).toBeLessThanOrEqual(20 + Math.ceil((performance.now() - startedAtMs) / 1000));
  expect(passed).toBeGreaterThanOrEqual(15);
  expect(outcomes.filter((outcome) => outcome === "rate_limited")).toHaveLength(60 - passed);
  await Promise.all(clients.map((client) => client.close()));
  for (const { log } of [first, second]) {
    expect(log.filter(({ level }) => level === 40)).toEqual([]);
  }
});

function asReason(error: unknown): unknown {
  return Reflect.get(Object(error), "reason");
}
