/**
 * What do 10,000 namespaces on one SQLite store cost? From start to ready, and Gets on one of them
 * beside a server that has only one. How long does it take to make another one where all workers
 * have to hear of it? And how long until a namespace that one gateway makes is served by another,
 * which shares its PostgreSQL?
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { createCatalog } from "../server/catalog/catalogs.ts";
import { NO_WISHES } from "../server/namespaces/catalog.ts";
import { NO_RULES } from "../server/namespaces/rules.ts";
import { canStartPostgres, startPostgres } from "../tests/helpers/postgres.ts";
import { spawnServer, temporaryFolder } from "../tests/helpers/process.ts";
import { canStartRedis, startRedis } from "../tests/helpers/redis.ts";
import { contender, fill, grpcGet, pathOf } from "./harness/calls.ts";
import { hasH2load } from "./harness/h2load.ts";
import { startPrism } from "./harness/peers.ts";
import { interleaved, median, partsOfFirst, report, rounded, writeReport } from "./harness/report.ts";

const NAMESPACES = 10_000;
const STARTS = 5;
const ROUNDS = 7;
/** Namespaces that are made to be served by another gateway. */
const SHARED = 200;
/** Namespaces that are made where workers have to hear of them. */
const MADE = 50;

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

const HEADERS = { "content-type": "application/json" };

async function make(admin: string, name: string): Promise<void> {
  const made = await fetch(`${admin}/namespaces`, {
    method: "POST",
    headers: HEADERS,
    body: JSON.stringify({ name }),
  });
  if (made.status !== 201) {
    throw new Error(await made.text());
  }
}

function tellTimes(title: string, name: string, times: readonly number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number) =>
    rounded(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN);
  report(title, { [name]: { "median ms": at(0.5), "p99 ms": at(0.99), "max ms": at(1) } }, { [name]: times });
}

if (canStartRedis()) {
  await using redis = await startRedis();
  const file = join(many.path, "workers.yaml");
  const control = { type: "sqlite", path: join(many.path, "prism-control.db") };
  const database = { type: "redis", url: redis.url };
  writeFileSync(file, JSON.stringify({ server: { workers: 2 }, control, database }));
  await using server = await spawnServer(["--config", file]);
  const times: number[] = [];
  for (let i = 0; i < MADE; i++) {
    const startMs = performance.now();
    await make(server.adminUrl, `made-${i}`);
    times.push(performance.now() - startMs);
  }
  tellTimes(`Make a namespace with 2 workers and ${NAMESPACES} others`, "2 workers", times);
}

/** From the answer of one gateway to the first Set on the other that succeeds. */
async function servedAfterMs(admin: string, other: string, name: string): Promise<number> {
  await make(admin, name);
  const startMs = performance.now();
  const body = JSON.stringify({ namespace: name, key: "k", value: "" });
  for (;;) {
    const { ok } = await fetch(`${other}${pathOf(KeyValueBasicInterface.method.set)}`, {
      method: "POST",
      headers: HEADERS,
      body,
    });
    if (ok) {
      return performance.now() - startMs;
    }
  }
}

if (canStartPostgres()) {
  await using postgres = await startPostgres();
  const file = join(one.path, "shared.yaml");
  writeFileSync(file, JSON.stringify({ database: { type: "postgres", url: postgres.url } }));
  await using first = await spawnServer(["--config", file]);
  await using second = await spawnServer(["--config", file]);
  const times: number[] = [];
  for (let i = 0; i < SHARED; i++) {
    times.push(await servedAfterMs(first.adminUrl, `http://${second.address}`, `shared-${i}`));
  }
  tellTimes("From made on one gateway to served by the other", "PostgreSQL", times);
}
writeReport("namespaces");
