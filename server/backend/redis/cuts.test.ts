/** A server that stays up, and a network to it that fails. */
import { describe } from "vitest";
import { canStartRedis, startRedis } from "../../../tests/helpers/redis.ts";
import { describeCutStore } from "../conformance/cut-store.ts";
import { redisSchema } from "./config.ts";

describe.runIf(canStartRedis())("redis", () => {
  const start = async () => {
    const server = await startRedis();
    return {
      ...server,
      configAt: (port: number, key_prefix: string) =>
        redisSchema.parse({
          type: "redis",
          url: `redis://127.0.0.1:${port}`,
          key_prefix,
          connect_timeout_ms: 500,
        }),
    };
  };
  describeCutStore("redis", start, ["streams", "streamNames"]);
});
