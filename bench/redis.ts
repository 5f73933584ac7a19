/**
 * How much of a memory store's speed does Redis keep, over gRPC? The gateway has the server's core
 * for itself; Redis shares the load's core, which has room for both.
 */
import { backendSchema } from "../server/backend/rooms.ts";
import { fillKeys, KEYS, manyKeysContender } from "./harness/many-keys.ts";
import { startPrism, startRedis } from "./harness/peers.ts";
import { hasRedis } from "./harness/redis.ts";
import { interleaved, partsOfFirst, report, writeReport } from "./harness/report.ts";

const ROUNDS = 15;
const SHAPE = { connections: 4, streams: 16 };

if (!hasRedis()) {
  process.exit(1);
}
await using memory = await startPrism();
await using server = await startRedis("load");
await using redis = await startPrism({
  database: backendSchema.parse({ type: "redis", url: `redis://127.0.0.1:${server.port}` }),
});

await fillKeys(memory, KEYS, SHAPE);
await fillKeys(redis, KEYS, SHAPE);
for (const method of ["Get", "Set"] as const) {
  const runs = await interleaved(
    {
      memory: await manyKeysContender(memory, method, SHAPE),
      redis: await manyKeysContender(redis, method, SHAPE),
    },
    ROUNDS,
  );
  const title = `gRPC ${method} of 100 bytes, 10,000 keys, 64 in flight as 4 x 16`;
  report(title, partsOfFirst(runs, "calls/s"), runs);
}
writeReport("redis");
