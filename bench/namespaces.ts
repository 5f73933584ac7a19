/**
 * What do 10,000 namespaces on one SQLite store cost? From start to ready, and Gets on one of them
 * beside a server that has only one.
 */
import { join } from "node:path";
import { createCatalog } from "../server/catalog/catalogs.ts";
import { NO_WISHES } from "../server/namespaces/catalog.ts";
import { NO_RULES } from "../server/namespaces/rules.ts";
import { spawnServer, temporaryFolder } from "../tests/helpers/process.ts";
import { contender, fill, grpcGet } from "./harness/calls.ts";
import { hasH2load } from "./harness/h2load.ts";
import { startPrism } from "./harness/peers.ts";
import { interleaved, median, partsOfFirst, report, writeReport } from "./harness/report.ts";

const NAMESPACES = 10_000;
const STARTS = 5;
const ROUNDS = 7;

/** Keeps namespaces where a server with its data in `folder` looks for them. */
async function save(folder: string, count: number): Promise<void> {
  const catalog = await createCatalog({ type: "sqlite", path: join(folder, "prism-control.db") });
  await catalog.open();
  for (let i = 0; i < count; i++) {
    await catalog.save({
      name: `team-${String(i).padStart(5, "0")}`,
      pattern: "keyvalue",
      backend: "database",
      rules: NO_RULES,
      wishes: NO_WISHES,
      createdAtMs: Date.now(),
      deleting: false,
      version: 0,
    });
  }
  await catalog.close();
}

await using one = await temporaryFolder();
await using many = await temporaryFolder();
await save(many.path, NAMESPACES);

const ONE = "1 namespace";
const MANY = `${NAMESPACES} more`;
const starts = async (folder: string): Promise<number> => {
  await using server = await spawnServer(["--data-dir", folder]);
  return Math.round(server.readyMs);
};
const readyMs = await interleaved({ [ONE]: () => starts(one.path), [MANY]: () => starts(many.path) }, STARTS);
const table = Object.fromEntries(
  Object.entries(readyMs).map(([name, times]) => [
    name,
    { "min ms": Math.min(...times), "median ms": median(times), "max ms": Math.max(...times) },
  ]),
);
report("From start to ready", table, readyMs);

if (hasH2load()) {
  await using few = await startPrism({}, ["--data-dir", one.path]);
  await using lots = await startPrism({}, ["--data-dir", many.path]);
  await fill(few);
  await fill(lots);
  const shape = { connections: 4, streams: 16 };
  const runs = await interleaved(
    {
      [ONE]: await contender(few, grpcGet("small"), shape),
      [MANY]: await contender(lots, grpcGet("small"), shape),
    },
    ROUNDS,
  );
  report("gRPC Get on SQLite, 64 in flight as 4 x 16", partsOfFirst(runs, "calls/s"), runs);
}
writeReport("namespaces");
