/**
 * Are Get, Set and a Scan of 100 as fast among 5,000,000 entries as among 1,000? Over gRPC, and
 * directly at the stores (SQLite there with 1,000,000). How long does the event loop pause while
 * they are written, scanned and expire? Random keys, interleaved, medians of five.
 */
import { join } from "node:path";
import { type Backend, createCall } from "../server/backend/contract.ts";
import { createBackend } from "../server/backend/factory.ts";
import type { BackendConfig } from "../server/backend/rooms.ts";
import { temporaryFolder } from "../tests/helpers/process.ts";
import { fillKeys, manyKeysContender } from "./harness/many-keys.ts";
import { type Pauses, pausesOf } from "./harness/pauses.ts";
import { startPrism } from "./harness/peers.ts";
import { interleaved, median, partsOfFirst, report, rounded, spread, writeReport } from "./harness/report.ts";

/** SQLite gets fewer, because filling it with unordered keys takes minutes. */
const COUNT = { memory: 5_000_000, sqlite: 1_000_000 } as const;
const FEW = 1_000;
const ROUNDS = 5;
const IN_FLIGHT = 64;
const RUN_MS = 500;
/** The entries in one Set while a store is filled. */
const BATCH = { memory: 64, sqlite: 1_000 } as const;
const VALUE = Buffer.alloc(100, "v");
const CALL = createCall();
const HOUR_MS = 3_600_000;

/** 16 bytes. Consecutive numbers are far apart in key order. */
function keyOf(i: number): string {
  return `key:${String((i * 7_368_787) % 1_000_000_007).padStart(12, "0")}`;
}

type Operation = (backend: Backend, namespace: string, key: string) => Promise<unknown> | undefined;

const OPERATIONS: Record<string, Operation> = {
  Get: (backend, namespace, key) => backend.entries?.get(namespace, [key], CALL),
  Set: (backend, namespace, key) => backend.entries?.set(namespace, [{ key, value: VALUE, ttlMs: 0 }], CALL),
  "Scan of 100": (backend, namespace, key) =>
    backend.scans?.scanPage(
      namespace,
      { prefix: "", after: key, maxEntries: 100, maxBytes: 2 ** 18, keysOnly: false },
      CALL,
    ),
};

/** Writes `count` entries. Answers the longest pauses and the entries a second. */
async function fill(backend: Backend, namespace: string, count: number, batch: number, ttlMs = 0) {
  let next = 0;
  const startedAtMs = performance.now();
  const pauses = await pausesOf(async () => {
    const writes = Array.from({ length: Math.min(batch, count - next) }, () => ({
      key: keyOf(next++),
      value: VALUE,
      ttlMs,
    }));
    await backend.entries?.set(namespace, writes, CALL);
    return next < count;
  });
  return { pauses, perSecond: count / ((performance.now() - startedAtMs) / 1000) };
}

/** Calls a second, 64 in flight, keys drawn evenly. */
async function rate(run: (key: string) => Promise<unknown> | undefined, count: number): Promise<number> {
  const startedAtMs = performance.now();
  let calls = 0;
  const lane = async () => {
    while (performance.now() - startedAtMs < RUN_MS) {
      await run(keyOf(Math.floor(Math.random() * count)));
      calls++;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  return calls / ((performance.now() - startedAtMs) / 1000);
}

async function scanAll(backend: Backend, namespace: string): Promise<Pauses> {
  let after: string | undefined;
  return await pausesOf(async () => {
    const page = await backend.scans?.scanPage(
      namespace,
      { prefix: "", after, maxEntries: 1024, maxBytes: 2 ** 18, keysOnly: false },
      CALL,
    );
    after = page?.next;
    return after !== undefined;
  });
}

const pauseRow = ({ wallMs, cpuMs, gcMs }: Pauses) => ({
  "longest turn, ms": rounded(wallMs),
  "of that on the processor": rounded(cpuMs),
  "longest GC": rounded(gcMs),
});

const MANY = 5_000_000;
const SHAPE = { connections: 4, streams: 16 };

/** Over gRPC, with one server for few entries and one for many. */
async function askGateways(
  name: string,
  databases: { readonly few: BackendConfig; readonly many: BackendConfig },
) {
  await using few = await startPrism({ database: databases.few });
  await using many = await startPrism({ database: databases.many });
  await fillKeys(few, FEW, SHAPE);
  await fillKeys(many, MANY, SHAPE);
  for (const method of ["Get", "Set", "Scan"] as const) {
    const contenders = {
      [`among ${FEW}`]: await manyKeysContender(few, method, SHAPE, FEW),
      [`among ${MANY}`]: await manyKeysContender(many, method, SHAPE, MANY),
    };
    const runs = await interleaved(contenders, ROUNDS);
    report(`${name}: gRPC ${method}, 64 in flight as 4 x 16`, partsOfFirst(runs, "calls/s"), runs);
  }
}

await using folder = await temporaryFolder();
await askGateways("memory", { few: { type: "memory" }, many: { type: "memory" } });
await askGateways("sqlite", {
  few: { type: "sqlite", path: join(folder.path, "few.db") },
  many: { type: "sqlite", path: join(folder.path, "many.db") },
});

/** Moved by hand, so that all entries expire at once. */
let clockMs = Date.now();
const clock = { now: () => clockMs };
for (const config of [
  { type: "memory" } as const,
  { type: "sqlite", path: join(folder.path, "prism.db") } as const,
]) {
  const total = COUNT[config.type];
  const rows: Record<string, object> = {};
  const allRuns: Record<string, unknown> = {};
  const pauses: Record<string, object> = {};
  const backend = await createBackend(config, { clock });
  await backend.open();
  await fill(backend, "few", FEW, BATCH[config.type]);
  const filled = await fill(backend, "many", total, BATCH[config.type]);
  pauses.fill = { ...pauseRow(filled.pauses), "entries/s": Math.round(filled.perSecond) };
  for (const [name, operation] of Object.entries(OPERATIONS)) {
    const contenders = {
      few: () => rate((key) => operation(backend, "few", key), FEW),
      many: () => rate((key) => operation(backend, "many", key), total),
    };
    await interleaved(contenders, 1);
    const runs = await interleaved(contenders, ROUNDS);
    const { few = [], many = [] } = runs;
    allRuns[name] = runs;
    rows[name] = {
      [`calls/s at ${FEW}`]: Math.round(median(few)),
      [`calls/s at ${total}`]: Math.round(median(many)),
      spread: spread(many),
      ratio: rounded(median(many) / median(few)),
    };
  }
  pauses["scan of all"] = pauseRow(await scanAll(backend, "many"));
  if (config.type === "memory") {
    const again = await fill(backend, "many", total, BATCH.memory, HOUR_MS);
    pauses["write all again, with a time to live"] = {
      ...pauseRow(again.pauses),
      "entries/s": Math.round(again.perSecond),
    };
    clockMs += HOUR_MS;
    const startedAtMs = performance.now();
    let left: number | undefined;
    backend.scans?.count("many", "", CALL).then((count) => (left = count));
    const expiring = await pausesOf(async () => left === undefined);
    pauses["all expire"] = {
      ...pauseRow(expiring),
      "entries/s": Math.round(total / ((performance.now() - startedAtMs) / 1000)),
    };
  }
  await backend.close();
  report(`${config.type}: among ${FEW} and ${total} entries, ${IN_FLIGHT} in flight`, rows, allRuns);
  report(`${config.type}: the longest turn of the event loop, ${total} entries`, pauses, pauses);
}
writeReport("entry-count");
