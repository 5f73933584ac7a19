/**
 * How long does `prism serve` take from start to ready? Ten starts each, memory and SQLite in turn.
 */

import { spawnServer, temporaryFolder } from "../tests/helpers/process.ts";
import { median, report, writeReport } from "./harness/report.ts";

const STARTS = 10;

const readyMs: Record<string, number[]> = { memory: [], sqlite: [] };
for (let i = 0; i < STARTS; i++) {
  for (const [store, times] of Object.entries(readyMs)) {
    await using folder = await temporaryFolder();
    await using server = await spawnServer(store === "memory" ? ["--memory"] : ["--data-dir", folder.path]);
    times.push(Math.round(server.readyMs));
  }
}
const table = Object.fromEntries(
  Object.entries(readyMs).map(([store, times]) => [
    store,
    { "min ms": Math.min(...times), "median ms": median(times), "max ms": Math.max(...times) },
  ]),
);
report("From start to ready", table, readyMs);
writeReport("start");
