/** How long does `prism serve` take from start to ready? Ten starts each, memory and SQLite in turn. */
import { spawnServer, temporaryFolder } from "../server/testing/process.ts";

const STARTS = 10;

const readyMs: Record<string, number[]> = { memory: [], sqlite: [] };
for (let i = 0; i < STARTS; i++) {
  for (const [store, times] of Object.entries(readyMs)) {
    await using folder = await temporaryFolder();
    await using server = await spawnServer(store === "memory" ? ["--memory"] : ["--data-dir", folder.path]);
    times.push(Math.round(server.readyMs));
  }
}
console.table(
  Object.fromEntries(
    Object.entries(readyMs).map(([store, times]) => {
      const sorted = times.toSorted((a, b) => a - b);
      return [store, { "min ms": sorted[0], "median ms": sorted[STARTS >> 1], "max ms": sorted.at(-1) }];
    }),
  ),
);
