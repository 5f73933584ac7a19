import { extname } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { Worker } from "node:worker_threads";
import { ReadOnlyError } from "../../errors.ts";
import type { Clock } from "../clock.ts";
import type { StoreLog } from "../contract.ts";
import { type Counter, createCounter } from "./counter.ts";
import { type DatabaseOptions, openReader } from "./database.ts";
import { type Failure, FILES_GONE, fromFailure } from "./errors.ts";
import { type Claim, claimDatabase, createPresence, findOpenToOthers } from "./files.ts";
import { createGetQueue, type GetQueue } from "./get-queue.ts";
import { createReader, type Reader } from "./reader.ts";
import { createWriteQueue, type WriteQueue } from "./write-queue.ts";
import type { FromWriter } from "./writer.ts";

/** A few thousand keys here and there are on as many pages: with these in memory Gets of them take half the time. */
const READER_CACHE_BYTES = 16 * 1024 * 1024;

/** Between two looks whether the files are there and writes go through. */
const WATCH_MS = 250;

/** What an open store has. */
export interface Session {
  readonly reader: Reader;
  readonly gets: GetQueue;
  readonly counter: Counter;
  readonly writes: WriteQueue;
  /** True: what is read and written is not in the file at the database's path. It stays so until the store is opened again. */
  readonly filesAreGone: boolean;
  /** Throws {@link ReadOnlyError} where writes fail of late, and `store_unavailable` where the writer's thread died. */
  checkWrites(): void;
  /** Answers what waits, and gives everything back. */
  close(): Promise<void>;
}

/** Claims the database and opens it. Throws {@link PrismError} with a message for the operator, and what SQLite says. */
export async function openSession(options: DatabaseOptions, clock: Clock, log: StoreLog): Promise<Session> {
  const { path } = options;
  const claim = claimDatabase(path);
  let worker: Worker | undefined;
  let db: DatabaseSync | undefined;
  try {
    const started = await startWriter(options);
    worker = started.worker;
    db = openReader(path, READER_CACHE_BYTES);
    const session = createSession({ ...started, db, claim, path, clock, log });
    if (claim.origin !== "filled") {
      const was = claim.origin === "empty" ? "an empty file was there" : "there was none";
      log.info({ path }, `made a new database: ${was}`);
    }
    for (const found of findOpenToOthers(path)) {
      log.warn(found, "other users may read or change what is stored");
    }
    return session;
  } catch (error) {
    db?.close();
    await worker?.terminate();
    claim.release();
    throw error;
  }
}

interface Parts {
  readonly worker: Worker;
  readonly refusal: Failure | undefined;
  readonly db: DatabaseSync;
  readonly claim: Claim;
  readonly path: string;
  readonly clock: Clock;
  readonly log: StoreLog;
}

function createSession({ worker, refusal, db, claim, path, clock, log }: Parts): Session {
  const reader = createReader(db);
  const counter = createCounter(db, clock);
  const gets = createGetQueue(reader, clock);
  const writes = createWriteQueue(worker, clock, counter, refusal);
  const areFilesThere = createPresence(path);
  let filesAreGone = false;
  // The start tells by itself what `check` says.
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

  /** Nobody may write while health says that it is no use, so somebody has to find out that it is. */
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
      // The last connection to close copies the log into the database: let that be the writer's.
      db.close();
      await writes.close();
      claim.release();
    },
  };
}

/** Starts the thread that writes, and waits until it has opened the database. */
async function startWriter(
  options: DatabaseOptions,
): Promise<{ readonly worker: Worker; readonly refusal: Failure | undefined }> {
  // The build does not rewrite this name, so it takes the extension that this file has.
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
