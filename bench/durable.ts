/** How much of a memory store's speed does a durable store keep, over gRPC? */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { openWriter } from "../server/backend/sqlite/database.ts";
import { MIGRATIONS } from "../server/backend/sqlite/migrations.ts";
import type { Operation } from "../server/backend/sqlite/operation.ts";
import { createApplyGroup } from "../server/backend/sqlite/write-batch.ts";
import { temporaryFolder } from "../tests/helpers/process.ts";
import { fillKeys, KEYS, manyKeysContender } from "./harness/many-keys.ts";
import { startPrism } from "./harness/peers.ts";
import { interleaved, median, partsOfFirst, report, rounded, spread, writeReport } from "./harness/report.ts";

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

/** Sets per commit without a gateway: this shows what SQLite and the disk leave of a core. */
const GROUP = 32;
const GROUPS = 1_000;

{
  using db = openWriter({ path: join(folder.path, "bare.db"), maxBytes: undefined }, MIGRATIONS);
  const apply = createApplyGroup(db);
  const rates: number[] = [];
  const cpuUs: number[] = [];
  for (let round = 0; round <= 5; round++) {
    const from = { ms: performance.now(), cpu: process.cpuUsage() };
    for (let i = 0; i < GROUPS; i++) {
      apply(Array.from({ length: GROUP }, someSet), 0);
    }
    const { user, system } = process.cpuUsage(from.cpu);
    // The first round writes the keys.
    if (round === 0) {
      continue;
    }
    rates.push((GROUP * GROUPS) / ((performance.now() - from.ms) / 1000));
    cpuUs.push((user + system) / (GROUP * GROUPS));
  }
  const row = {
    "sets/s": Math.round(median(rates)),
    spread: spread(rates),
    "us of processor": rounded(median(cpuUs)),
  };
  report(`Sets straight at a file, ${GROUP} to a commit, 10,000 keys`, { SQLite: row }, { rates, cpuUs });
}
writeReport("durable");

function someSet(): Operation {
  const key = `key:${String(Math.floor(Math.random() * KEYS)).padStart(12, "0")}`;
  return { type: "set", namespace: "default", items: [{ key, value: randomBytes(100), ttlMs: 0 }] };
}
