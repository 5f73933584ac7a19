import { afterAll, beforeAll, describe } from "vitest";
import { shardOf } from "../../server/backend/layers/sharded.ts";
import { redisSchema } from "../../server/backend/redis/config.ts";
import { createTestRedis, hasTestRedis, type TestRedis } from "../helpers/redis.ts";
import { describeBehindGrpc } from "./conformance-store.ts";

const SHARDS = 2;

describe.runIf(hasTestRedis())("Redis", () => {
  let redis: TestRedis;
  let prefixes = 0;

  beforeAll(async () => {
    redis = await createTestRedis();
  });
  afterAll(async () => {
    await redis[Symbol.asyncDispose]();
  });

  const create = () => {
    const key_prefix = `wire-${process.pid}-${++prefixes}`;
    return {
      config: redisSchema.parse({ type: "redis", url: redis.url, key_prefix, shards: SHARDS }),
      clear: () => redis.flush(`{${key_prefix}:`),
    };
  };
  describeBehindGrpc("redis", create, { shardOf: (key) => shardOf(key, SHARDS), streams: false });
});
