/** How many counters does each store increment a second, beside Sets, over gRPC? */
import { join } from "node:path";
import { type BackendConfig, backendSchema } from "../server/backend/rooms.ts";
import { canStartPostgres, startPostgres } from "../tests/helpers/postgres.ts";
import { temporaryFolder } from "../tests/helpers/process.ts";
import { manyKeysContender } from "./harness/many-keys.ts";
import { startPrism, startRedis } from "./harness/peers.ts";
import { hasRedis } from "./harness/redis.ts";
import { interleaved, partsOfFirst, report, writeReport } from "./harness/report.ts";

const ROUNDS = 9;
const SHAPE = { connections: 4, streams: 16 };

async function ask(name: string, database: BackendConfig): Promise<void> {
  await using prism = await startPrism({ database });
  const runs = await interleaved(
    {
      Set: await manyKeysContender(prism, "Set", SHAPE),
      Increment: await manyKeysContender(prism, "Increment", SHAPE),
    },
    ROUNDS,
  );
  const title = `gRPC Set of 100 bytes and Increment on ${name}, 10,000 keys, 64 in flight as 4 x 16`;
  report(title, partsOfFirst(runs, "calls/s"), runs);
}

await ask("memory", { type: "memory" });
{
  await using folder = await temporaryFolder();
  await ask("SQLite", backendSchema.parse({ type: "sqlite", path: join(folder.path, "prism.db") }));
}
if (canStartPostgres()) {
  await using server = await startPostgres({ durable: true });
  await ask("PostgreSQL", backendSchema.parse({ type: "postgres", url: server.url }));
}
if (hasRedis()) {
  await using server = await startRedis("load");
  await ask("Redis", backendSchema.parse({ type: "redis", url: `redis://127.0.0.1:${server.port}` }));
}
writeReport("increments");
