/** How much of the speed of a memory store does a durable one keep, over gRPC? */
import { join } from "node:path";
import { temporaryFolder } from "../server/testing/process.ts";
import { contender, fill, grpcGet, grpcSet } from "./harness/calls.ts";
import { hasH2load } from "./harness/h2load.ts";
import { startPrism } from "./harness/peers.ts";
import { interleaved, median, report, rounded, spread, writeReport } from "./harness/report.ts";

const ROUNDS = 5;
const SHAPE = { connections: 4, streams: 16 };

if (!hasH2load()) {
  process.exit(1);
}
await using folder = await temporaryFolder();
await using memory = await startPrism();
await using sqlite = await startPrism({ database: { type: "sqlite", path: join(folder.path, "prism.db") } });
await fill(memory);
await fill(sqlite);

for (const [name, call] of Object.entries({ Get: grpcGet("small"), Set: grpcSet("small") })) {
  const runs = await interleaved(
    { memory: await contender(memory, call, SHAPE), sqlite: await contender(sqlite, call, SHAPE) },
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
writeReport("durable");
