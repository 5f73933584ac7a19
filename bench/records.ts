/**
 * How long does a page of 100 items out of the middle of a record of 1,000,000 take, straight at
 * the stores? And how much memory does a reader of all items take?
 */
import { join } from "node:path";
import { type Backend, createCall, isRefusal, type RecordStore } from "../server/backend/contract.ts";
import { createBackend } from "../server/backend/factory.ts";
import type { ItemPage, ItemRange } from "../server/backend/records.ts";
import { type BackendConfig, backendSchema } from "../server/backend/rooms.ts";
import { canStartPostgres, startPostgres } from "../tests/helpers/postgres.ts";
import { temporaryFolder } from "../tests/helpers/process.ts";
import { quantile } from "./harness/open-loop.ts";
import { report, rounded, writeReport } from "./harness/report.ts";

const ITEMS = 1_000_000;
const ITEMS_OF_PUT = 1_000;
const PAGE_ITEMS = 100;
const PAGES = 500;
const NAMESPACE = "default";
const ID = "large";
const VALUE = Buffer.alloc(100, "v");
const NOTHING = new Uint8Array(0);
const CALL = createCall();
const RANGE: ItemRange = {
  id: ID,
  start: undefined,
  end: undefined,
  after: undefined,
  maxItems: PAGE_ITEMS,
  maxBytes: 1024 * 1024,
};

const keyOf = (i: number) => Buffer.from(`item:${String(i).padStart(9, "0")}`);

async function fill(records: RecordStore): Promise<void> {
  for (let from = 0; from < ITEMS; from += ITEMS_OF_PUT) {
    const items = Array.from({ length: ITEMS_OF_PUT }, (_, i) => ({
      key: keyOf(from + i),
      value: VALUE,
      metadata: NOTHING,
      ttlMs: 0,
    }));
    await records.putItems(NAMESPACE, [{ id: ID, items }], CALL);
  }
}

async function pageOf(records: RecordStore, range: ItemRange): Promise<ItemPage> {
  const [page] = await records.pageItems(NAMESPACE, [range], CALL);
  if (page === undefined || isRefusal(page)) {
    throw new Error("no page");
  }
  return page;
}

/** Of each page, in ascending order. */
async function rangesMs(records: RecordStore): Promise<Float64Array> {
  const times: number[] = [];
  for (let i = 0; i < PAGES; i++) {
    const start = keyOf(ITEMS / 2 + Math.floor((Math.random() * ITEMS) / 4));
    const fromMs = performance.now();
    const { items } = await pageOf(records, { ...RANGE, start });
    times.push(performance.now() - fromMs);
    if (items.length !== PAGE_ITEMS) {
      throw new Error(`${items.length} items`);
    }
  }
  return Float64Array.from(times).sort();
}

/** Reads all; answers by how many MiB the process grew at most, and the seconds that it took. */
async function readAll(records: RecordStore): Promise<{ grownMiB: number; seconds: number }> {
  globalThis.gc?.();
  const before = process.memoryUsage.rss();
  const fromMs = performance.now();
  let grown = 0;
  let count = 0;
  let after: Uint8Array | undefined;
  do {
    const { items, next } = await pageOf(records, { ...RANGE, after, maxItems: 1_024 });
    count += items.length;
    after = next;
    grown = Math.max(grown, process.memoryUsage.rss() - before);
  } while (after !== undefined);
  if (count !== ITEMS) {
    throw new Error(`${count} items`);
  }
  return { grownMiB: Math.round(grown / 1024 / 1024), seconds: (performance.now() - fromMs) / 1000 };
}

async function ask(backend: Backend): Promise<object> {
  const { records } = backend;
  if (records === undefined) {
    throw new Error("no records");
  }
  await backend.open();
  await fill(records);
  // Once before it counts, because the store and this process do it for the first time.
  await rangesMs(records);
  const times = await rangesMs(records);
  const { grownMiB, seconds } = await readAll(records);
  await backend.close();
  return {
    "p50 ms": rounded(quantile(times, 0.5)),
    "p99 ms": rounded(quantile(times, 0.99)),
    "all: grown MiB": grownMiB,
    "all: items/s": Math.round(ITEMS / seconds),
  };
}

await using folder = await temporaryFolder();
const stores: Record<string, BackendConfig> = {
  sqlite: backendSchema.parse({ type: "sqlite", path: join(folder.path, "prism.db") }),
};
await using server = canStartPostgres() ? await startPostgres({ durable: true }) : undefined;
if (server !== undefined) {
  stores.postgres = backendSchema.parse({ type: "postgres", url: server.url });
}
const rows: Record<string, object> = {};
for (const [name, config] of Object.entries(stores)) {
  rows[name] = await ask(await createBackend(config));
}
report(`A record of ${ITEMS} items: ${PAGE_ITEMS} out of its middle, and all of it`, rows, rows);
writeReport("records");
