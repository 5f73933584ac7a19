import { extname, resolve } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { PrismError } from "../../errors.ts";
import type { Clock } from "../clock.ts";
import type { Backend, EntryStore, ListStore, ScanStore } from "../contract.ts";
import { createSweeper, type Sweeper } from "../sweeper.ts";
import type { SqliteConfig } from "./config.ts";
import { type Counter, createCounter } from "./counter.ts";
import { type DatabaseOptions, openReader } from "./database.ts";
import { fromFailure, openError, toPrismError } from "./errors.ts";
import { createGetQueue, type GetQueue } from "./get-queue.ts";
import { createReader, type Reader } from "./reader.ts";
import { createWriteQueue, type WriteQueue } from "./write-queue.ts";
import type { FromWriter } from "./writer.ts";

/** Entries that one write of a sweep deletes: calls wait no longer for it than for each other. */
const SWEEP_ENTRIES = 512;

/** A few thousand keys here and there are on as many pages: with these in memory Gets of them take half the time. */
const READER_CACHE_BYTES = 16 * 1024 * 1024;

/** A {@link Backend} on a file. */
export interface SqliteBackend extends Backend {
  /** Deletes everything that is expired now; answers how many entries that was. The store also does so by itself, every second. */
  sweep(): Promise<number>;
}

/** What an open store has. */
interface Session {
  readonly db: DatabaseSync;
  readonly reader: Reader;
  readonly gets: GetQueue;
  readonly counter: Counter;
  readonly writes: WriteQueue;
  readonly sweeper: Sweeper;
}

/**
 * A store in one SQLite file. A thread of its own writes, many calls to a commit; this thread reads, and sees each write that was
 * acknowledged. What is acknowledged is on the disk.
 */
export function createSqliteBackend(
  config: SqliteConfig,
  { clock }: { readonly clock: Clock },
): SqliteBackend {
  const options: DatabaseOptions = { path: resolve(config.path), maxBytes: config.max_bytes };
  let session: Session | undefined;

  function current(): Session {
    if (session === undefined) throw new PrismError("store_unavailable", "the store is not open");
    return session;
  }

  async function sweep(): Promise<number> {
    const mine = current();
    const { reader, writes } = mine;
    let total = 0;
    while (session === mine && reader.hasExpired(clock.now()))
      total += await writes.write({ type: "sweep", maxEntries: SWEEP_ENTRIES }, 0);
    return total;
  }

  return {
    type: config.type,
    entries: createEntries(current, clock),
    scans: createScans(current, clock),
    lists: createLists(current),
    sweep,
    async open() {
      let writes: WriteQueue | undefined;
      try {
        const worker = await startWriter(options);
        const db = openReader(options.path, READER_CACHE_BYTES);
        const counter = createCounter(db, clock);
        writes = createWriteQueue(worker, clock, counter);
        const sweeper = createSweeper(sweep);
        const reader = createReader(db);
        const gets = createGetQueue(reader, clock);
        session = { db, reader, gets, counter, writes, sweeper };
      } catch (error) {
        await writes?.close();
        throw openError(error, options.path);
      }
    },
    async check() {
      const { reader, writes } = current();
      writes.check();
      reading(() => reader.hasExpired(clock.now()));
    },
    async close() {
      const { db, gets, sweeper, writes } = current();
      session = undefined;
      gets.flush();
      await sweeper.stop();
      // The last connection to close copies the log into the database: let that be the writer's.
      db.close();
      await writes.close();
    },
  };
}

/** Starts the thread that writes, and waits until it has opened the database. */
async function startWriter(options: DatabaseOptions): Promise<Worker> {
  // The build does not rewrite this name, so it takes the extension that this file has.
  const entry = new URL(`./writer${extname(import.meta.filename)}`, import.meta.url);
  const worker = new Worker(entry, { workerData: options });
  const message = await new Promise<FromWriter>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("the writer's thread ended before it was ready")));
  });
  if (typeof message === "object" && "openFailure" in message) throw fromFailure(message.openFailure);
  return worker;
}

function createEntries(current: () => Session, clock: Clock): EntryStore {
  return {
    get: async (namespace, keys) => await current().gets.get(namespace, keys),
    async exists(namespace, keys) {
      const { reader } = current();
      const nowMs = clock.now();
      return reading(() => keys.map((key) => reader.exists(namespace, key, nowMs)));
    },
    async set(namespace, entries, call) {
      const copies = entries.map(({ key, value, ttlMs }) => ({ key, value: Buffer.from(value), ttlMs }));
      await current().writes.write({ type: "set", namespace, entries: copies }, totalBytes(copies), call);
    },
    async delete(namespace, keys, call) {
      const bytes = keys.reduce((sum, key) => sum + key.length, 0);
      return current().writes.write({ type: "delete", namespace, keys }, bytes, call);
    },
  };
}

function createScans(current: () => Session, clock: Clock): ScanStore {
  return {
    async scanPage(namespace, query) {
      const { reader } = current();
      return reading(() => reader.page(namespace, query, clock.now()));
    },
    async count(namespace, prefix, call) {
      try {
        return await current().counter.count(namespace, prefix, call);
      } catch (error) {
        throw toPrismError(error);
      }
    },
  };
}

function createLists(current: () => Session): ListStore {
  return {
    async push(namespace, pushes, call) {
      const copies = pushes.map(({ key, end, value }) => ({ key, end, value: Buffer.from(value) }));
      return current().writes.write({ type: "push", namespace, pushes: copies }, totalBytes(copies), call);
    },
    async pop(namespace, pops, call) {
      const bytes = pops.reduce((sum, { key }) => sum + key.length, 0);
      return current().writes.write({ type: "pop", namespace, pops }, bytes, call);
    },
    async length(namespace, keys) {
      const { reader } = current();
      return reading(() => keys.map((key) => reader.length(namespace, key)));
    },
  };
}

/** Near enough for a bound: keys count by their UTF-16 length. */
function totalBytes(items: readonly { readonly key: string; readonly value: Uint8Array }[]): number {
  return items.reduce((sum, { key, value }) => sum + key.length + value.length, 0);
}

function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw toPrismError(error);
  }
}
