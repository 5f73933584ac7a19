import type { Room } from "../room.ts";
import { type RedisConfig, redisSchema } from "./config.ts";

/** A store in Redis. Its shards fail one by one, so that those whose node is away do not take the others with them. */
export const redisRoom = {
  type: "redis",
  schema: redisSchema,
  layers: ["breaker", "coalesced"],
  async create(config) {
    const { createRedisShards } = await import("./backend.ts");
    return createRedisShards(config);
  },
} as const satisfies Room<RedisConfig>;
