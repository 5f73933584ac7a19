import { extname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { ReadOnlyError } from "../../errors.ts";
import type { Clock } from "../clock.ts";
import type { StoreLog } from "../contract.ts";
import { STORE_MESSAGES } from "../store-errors.ts";
import { type Counter, createCounter } from "./counter.ts";
import { type DatabaseOptions, openLoneReader, openReader } from "./database.ts";
import { type Failure, FILES_GONE, fromFailure, toFailure } from "./errors.ts";
import { type Claim, claimDatabase, createPresence, findOpenToOthers } from "./files.ts";
import { createGetQueue, type GetQueue } from "./get-queue.ts";
import { createItemPages, type ItemPages } from "./item-pages.ts";
import { MIGRATIONS } from "./migrations.ts";
import { createReader, type Reader } from "./reader.ts";
import { createRefusingThread } from "./refusing-thread.ts";
import { createReserve } from "./reserve.ts";
import { createWriteQueue, type WriteQueue, type WriterThread } from "./write-queue.ts";
import type { FromWriter } from "./writer.ts";

/**
 * A few thousand scattered keys are on as many pages. With these pages in memory Gets of them take
 * half the time.
 */
const READER_CACHE_BYTES = 16 * 1024 * 1024;

/** The pause between checks of the files and of writing. */
const WATCH_MS = 250;

/** The parts of an open store. */
export interface Session {
  readonly reader: Reader;
  readonly gets: GetQueue;
  readonly counter: Counter;
  readonly itemPages: ItemPages;
  readonly writes: WriteQueue;
  /**
   * True: the database's path no longer leads to the file that is read and written. It stays true
   * until the store is opened again.
   */
  readonly filesAreGone: boolean;
  /**
   * Throws {@link ReadOnlyError} if recent writes failed, and `store_unavailable` if the writer's
   * thread died.
   */
  checkWrites(): void;
  /** Answers all waiting calls and releases everything. */
  close(): Promise<void>;
}

/**
 * Claims the database and opens it. On a disk too full for that it opens it for reading only.
 * `onRoom` is called, maybe repeatedly, when there is room again. Throws {@link PrismError} with a
 * message for the operator and SQLite's own words.
 */
export async function openSession(
  options: DatabaseOptions,
  clock: Clock,
  log: StoreLog,
  onRoom: () => void,
): Promise<Session> {
  const { path } = options;
  const claim = claimDatabase(path);
  let connections: Connections | undefined;
  try {
    connections = await connect(options, claim);
    const session = createSession({ ...connections, claim, path, clock, log, onRoom });
    if (claim.origin !== "filled") {
      const was = claim.origin === "empty" ? "an empty file was there" : "there was none";
      log.info({ path }, `made a new database: ${was}`);
    }
    for (const found of findOpenToOthers(path)) {
      log.warn(found, "other users may read or change what is stored");
    }
    return session;
  } catch (error) {
    connections?.db.close();
    if (connections?.worker instanceof Worker) {
      await connections.worker.terminate();
    }
    claim.release();
    throw error;
  }
}

interface Connections {
  readonly worker: WriterThread;
  /** Why writes fail from the start. */
  readonly refusal: Failure | undefined;
  readonly db: DatabaseSync;
  /** True: reading only, until there is room to reopen the database. */
  readonly onlyReads: boolean;
}

async function connect(options: DatabaseOptions, { origin }: Claim): Promise<Connections> {
  const { path } = options;
  let started: Awaited<ReturnType<typeof startWriter>>;
  try {
    started = await startWriter(options);
  } catch (error) {
    const failure = toFailure(error);
    const db = origin === "filled" && failure.reason === "store_full" ? tryLoneReader(path) : undefined;
    if (db === undefined) {
      throw error;
    }
    const refusal = { ...failure, message: STORE_MESSAGES.store_full };
    return { worker: createRefusingThread(refusal), refusal, db, onlyReads: true };
  }
  try {
    return { ...started, db: openReader(path, READER_CACHE_BYTES), onlyReads: false };
  } catch (error) {
    await started.worker.terminate();
    throw error;
  }
}

/** `undefined` = this fails too, and the first failure is the one to report. */
function tryLoneReader(path: string): DatabaseSync | undefined {
  try {
    return openLoneReader({ path }, MIGRATIONS, READER_CACHE_BYTES);
  } catch {
    return undefined;
  }
}

interface Parts extends Connections {
  readonly claim: Claim;
  readonly path: string;
  readonly clock: Clock;
  readonly log: StoreLog;
  readonly onRoom: () => void;
}

function createSession({ worker, refusal, db, onlyReads, claim, path, clock, log, onRoom }: Parts): Session {
  const reader = createReader(db);
  const counter = createCounter(db, clock);
  const gets = createGetQueue(reader, clock);
  const itemPages = createItemPages(reader.records, clock);
  const writes = createWriteQueue(worker, clock, [counter, itemPages], refusal);
  const areFilesThere = createPresence(path);
  const reserve = onlyReads ? createReserve(path) : undefined;
  let filesAreGone = false;
  // The start itself logs the first refusal.
  let told = refusal;
  let probing = false;

  function watch(): void {
    if (!filesAreGone && !areFilesThere()) {
      filesAreGone = true;
      log.error({ path }, FILES_GONE);
    }
    if (!filesAreGone) {
      tellRefusal();
      probe();
      if (reserve?.make() === true) {
        onRoom();
      }
    }
  }

  function tellRefusal(): void {
    const { refusal } = writes;
    if (refusal !== undefined && refusal.detail !== told?.detail) {
      log.warn({ path, err: fromFailure(refusal) }, "store takes no writes");
    } else if (refusal === undefined && told !== undefined) {
      log.info({ path }, "store takes writes again");
    }
    told = refusal;
  }

  /** While health refuses writes no caller makes any, so this finds out when they work again. */
  function probe(): void {
    if (writes.refusal !== undefined && !probing) {
      probing = true;
      const done = () => {
        probing = false;
      };
      writes.write({ type: "probe" }, 0).then(done, done);
    }
  }

  const timer = setInterval(watch, WATCH_MS).unref();
  return {
    reader,
    gets,
    counter,
    itemPages,
    writes,
    get filesAreGone() {
      return filesAreGone;
    },
    checkWrites() {
      writes.check();
      if (writes.refusal !== undefined) {
        throw new ReadOnlyError("the store takes no writes now", fromFailure(writes.refusal));
      }
    },
    async close() {
      clearInterval(timer);
      gets.flush();
      counter.close();
      itemPages.close();
      // The last connection to close copies the log into the database; that has to be the writer's.
      db.close();
      await writes.close();
      claim.release();
    },
  };
}

/** Starts the writing thread and waits until it has opened the database. */
async function startWriter(
  options: DatabaseOptions,
): Promise<{ readonly worker: Worker; readonly refusal: Failure | undefined }> {
  // The build does not rewrite this name, so it takes this file's own extension.
  const entry = new URL(`./writer${extname(import.meta.filename)}`, import.meta.url);
  const worker = new Worker(entry, { workerData: options });
  const message = await new Promise<FromWriter>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", () => reject(new Error("the writer's thread ended before it was ready")));
  });
  if ("openFailure" in message) {
    throw fromFailure(message.openFailure);
  }
  return { worker, refusal: "opened" in message ? message.opened.refusal : undefined };
}
