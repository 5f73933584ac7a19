/** Several gateways on one server, and a server that is killed, frozen and away. */
import { describe } from "vitest";
import { canStartRedis, startRedis } from "../../../tests/helpers/redis.ts";
import { describeSharedStore } from "../conformance/shared-store.ts";
import { redisSchema } from "./config.ts";

describe.runIf(canStartRedis())("redis", () => {
  describeSharedStore("redis", async () => {
    const server = await startRedis({ durable: true });
    const { url } = server;
    return { ...server, config: redisSchema.parse({ type: "redis", url, connect_timeout_ms: 500 }) };
  });
});
