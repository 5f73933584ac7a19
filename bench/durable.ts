/** How much of the speed of a memory store does a durable one keep, over gRPC? */
import { join } from "node:path";
import { temporaryFolder } from "../server/testing/process.ts";
import { fillKeys, KEYS, manyKeysContender } from "./harness/many-keys.ts";
import { startPrism } from "./harness/peers.ts";
import { interleaved, partsOfFirst, report, writeReport } from "./harness/report.ts";

const ROUNDS = 15;
const SHAPE = { connections: 4, streams: 16 };

await using folder = await temporaryFolder();
await using memory = await startPrism();
await using sqlite = await startPrism({ database: { type: "sqlite", path: join(folder.path, "prism.db") } });

await fillKeys(memory, KEYS, SHAPE);
await fillKeys(sqlite, KEYS, SHAPE);
for (const method of ["Get", "Set"] as const) {
  const runs = await interleaved(
    {
      memory: await manyKeysContender(memory, method, SHAPE),
      sqlite: await manyKeysContender(sqlite, method, SHAPE),
    },
    ROUNDS,
  );
  const title = `gRPC ${method} of 100 bytes, 10,000 keys, 64 in flight as 4 x 16`;
  report(title, partsOfFirst(runs, "calls/s"), runs);
}
writeReport("durable");
