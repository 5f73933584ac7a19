/**
 * How much of the speed of a memory store does Redis keep, over gRPC? The gateway has the server's core for itself; Redis shares that of
 * the load, which has room for both.
 */
import { backendSchema } from "../server/backend/config.ts";
import { contender, fill, grpcGet, grpcSet } from "./harness/calls.ts";
import { hasH2load } from "./harness/h2load.ts";
import { startPrism, startRedis } from "./harness/peers.ts";
import { hasRedis } from "./harness/redis.ts";
import { interleaved, median, report, rounded, spread, writeReport } from "./harness/report.ts";

const ROUNDS = 5;
const SHAPE = { connections: 4, streams: 16 };

if (!hasH2load() || !hasRedis()) {
  process.exit(1);
}
await using memory = await startPrism();
await using server = await startRedis("load");
await using redis = await startPrism({
  database: backendSchema.parse({ type: "redis", url: `redis://127.0.0.1:${server.port}` }),
});
await fill(memory);
await fill(redis);

for (const [name, call] of Object.entries({ Get: grpcGet("small"), Set: grpcSet("small") })) {
  const runs = await interleaved(
    { memory: await contender(memory, call, SHAPE), redis: await contender(redis, call, SHAPE) },
    ROUNDS,
  );
  const fastest = median(runs.memory ?? []);
  const table = Object.fromEntries(
    Object.entries(runs).map(([store, rates]) => [
      store,
      {
        "calls/s": Math.round(median(rates)),
        spread: spread(rates),
        "it / memory": rounded(median(rates) / fastest),
      },
    ]),
  );
  report(`gRPC ${name} of 100 bytes, 64 in flight as 4 x 16`, table, runs);
}
writeReport("redis");
