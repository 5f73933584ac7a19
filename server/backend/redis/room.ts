import type { Room } from "../room.ts";
import { describePlace, type RedisConfig, redisSchema } from "./config.ts";

/**
 * A store in Redis. Its shards fail separately: shards whose node is away do not affect the others.
 */
export const redisRoom = {
  type: "redis",
  schema: redisSchema,
  layers: ["measured", "breaker", "coalesced"],
  async create(config) {
    const { createRedisShards } = await import("./backend.ts");
    return createRedisShards(config);
  },
  async *diagnose(config, timeoutMs) {
    const { diagnose } = await import("./diagnose.ts");
    yield* diagnose(config, timeoutMs);
  },
  place: describePlace,
} as const satisfies Room<RedisConfig>;
