import { DatabaseSync } from "node:sqlite";
import type { Migration } from "../migration-files.ts";
import { isBusy, openError } from "./errors.ts";
import { expectMigrated, identify, migrate } from "./migrations.ts";
import { prepare } from "./query.ts";

/** How long the writer waits for another process's lock. It waits on a thread of its own. */
const WRITER_BUSY_TIMEOUT_MS = 5000;

/** How long a reader waits. In WAL mode it has to only while another process recovers or removes the log. It waits on the main thread. */
const READER_BUSY_TIMEOUT_MS = 250;

/** Between two tries where SQLite itself does not wait. */
const BUSY_RETRY_MS = 5;

/** Pages in the log at which a commit also copies them to the database. */
const CHECKPOINT_PAGES = 1000;

/** A log that a long read or a burst made larger than this is cut back once it is copied. */
const MAX_IDLE_LOG_BYTES = 16 * 1024 * 1024;

/** What the writer needs to know of the configuration. */
export interface DatabaseOptions {
  /** Absolute. */
  readonly path: string;
  /** Most bytes of the database file, `undefined` = no bound. */
  readonly maxBytes: number | undefined;
}

/**
 * Opens the connection that writes; creates the file and its tables where they are missing. A commit is on the disk when it
 * returns. Throws {@link PrismError} with a message for the operator that names the file.
 */
export function openWriter(options: DatabaseOptions, migrations: readonly Migration[]): DatabaseSync {
  const { path } = options;
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: WRITER_BUSY_TIMEOUT_MS });
    identify(db, migrations, path);
    enableLog(db);
    db.exec(`PRAGMA synchronous = FULL;
      PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
      PRAGMA journal_size_limit = ${MAX_IDLE_LOG_BYTES}`);
    migrate(db, migrations);
    expectWritable(db, migrations.length);
    if (options.maxBytes !== undefined) {
      limitSize(db, options.maxBytes);
    }
    return db;
  } catch (error) {
    db?.close();
    throw openError(error, path);
  }
}

/** SQLite does not wait for the lock where two processes change a new file to WAL at once: here it does. */
function enableLog(db: DatabaseSync): void {
  const giveUpAtMs = performance.now() + WRITER_BUSY_TIMEOUT_MS;
  for (;;) {
    try {
      db.exec("PRAGMA journal_mode = WAL");
      return;
    } catch (error) {
      if (!isBusy(error) || performance.now() > giveUpAtMs) {
        throw error;
      }
      // On the writer's own thread, as SQLite waits too.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_RETRY_MS);
    }
  }
}

/**
 * Opens a connection that only reads. The writer's has to be open: it makes the file. Throws as {@link openWriter} does.
 *
 * @param cacheBytes Most memory that pages are kept in, absent = SQLite's 2,000 KiB.
 */
export function openReader(path: string, cacheBytes?: number): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: READER_BUSY_TIMEOUT_MS });
    readOnly(db, cacheBytes);
    return db;
  } catch (error) {
    db?.close();
    throw openError(error, path);
  }
}

function readOnly(db: DatabaseSync, cacheBytes: number | undefined): void {
  db.exec("PRAGMA query_only = ON");
  if (cacheBytes !== undefined) {
    db.exec(`PRAGMA cache_size = ${-Math.round(cacheBytes / 1024)}`);
  }
}

/**
 * Opens the only connection to a database, which then only reads. It needs no room on the disk: with an exclusive lock SQLite keeps in
 * memory what connections share, and reads the log where it is (sqlite.org/wal.html, Use of WAL Without Shared-Memory). Throws as
 * {@link openWriter} does, and where the tables are of an older Prism.
 */
export function openLoneReader(
  path: string,
  migrations: readonly Migration[],
  cacheBytes: number,
): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: READER_BUSY_TIMEOUT_MS });
    // Before anything is read.
    db.exec("PRAGMA locking_mode = EXCLUSIVE");
    readOnly(db, cacheBytes);
    identify(db, migrations, path);
    expectMigrated(db, migrations);
    return db;
  } catch (error) {
    db?.close();
    throw openError(error, path);
  }
}

/** SQLite opens a file that it may not write for reading only, and would say so to the first caller that writes. */
function expectWritable(db: DatabaseSync, version: number): void {
  db.exec(`BEGIN IMMEDIATE; PRAGMA user_version = ${version}; ROLLBACK`);
}

function limitSize(db: DatabaseSync, maxBytes: number): void {
  const pageBytes = prepare<[number]>(db, "PRAGMA page_size").get()?.[0] ?? 4096;
  db.exec(`PRAGMA max_page_count = ${Math.floor(maxBytes / pageBytes)}`);
}
