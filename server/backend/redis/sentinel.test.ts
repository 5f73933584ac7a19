/** A primary under sentinels, which put its replica in its place. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askRedis, canStartRedis } from "../../../tests/helpers/redis.ts";
import { type RedisSentinel, startRedisSentinel } from "../../../tests/helpers/redis-sentinel.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { CALL, present, setTexts, texts } from "../conformance/harness.ts";
import { useGateways } from "../conformance/shared-store.ts";
import { redisSchema } from "./config.ts";
import { shardKeys } from "./keys.ts";

describe.runIf(canStartRedis())("redis under sentinels", () => {
  let sentinel: RedisSentinel;
  const { open } = useGateways();

  beforeAll(async () => {
    sentinel = await startRedisSentinel();
  });
  afterAll(async () => {
    await sentinel?.[Symbol.asyncDispose]();
  });

  test("a replica that takes the primary's place is followed", async () => {
    const { entries } = await open(
      redisSchema.parse({
        type: "redis",
        sentinel: { name: sentinel.name, urls: sentinel.sentinels.map(({ url }) => url) },
        connect_timeout_ms: 1000,
      }),
    );
    await setTexts(entries, { a: "1" });
    // Otherwise the write could get lost: the replica hears of it a moment later.
    const master = await sentinel.master();
    const replica = present(sentinel.nodes.find((node) => node !== master));
    const name = `${shardKeys("prism", 0).entryPrefix}default:a`;
    await waitFor(async () => expect(await askRedis(replica.url, "EXISTS", name)).toBe(1));
    await sentinel.failover();
    await waitFor(() => setTexts(entries, { c: "3" }));
    expect(texts(await entries.get("default", ["a", "c"], CALL))).toEqual(["1", "3"]);
  });
});
