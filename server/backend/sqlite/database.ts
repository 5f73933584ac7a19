import { DatabaseSync } from "node:sqlite";
import type { Migration } from "../migration-files.ts";
import { isBusy, openError } from "./errors.ts";
import { expectMigrated, identify, migrate } from "./migrations.ts";
import { prepare } from "./query.ts";

/** How long the writer waits for another process's lock. It waits on its own thread. */
const WRITER_BUSY_TIMEOUT_MS = 5000;

/**
 * How long a reader waits. In WAL mode it only waits while another process recovers or removes the
 * log. It waits on the main thread.
 */
const READER_BUSY_TIMEOUT_MS = 250;

/** The pause between tries where SQLite itself does not wait. */
const BUSY_RETRY_MS = 5;

/** The log's size in pages at which a commit also copies it to the database. */
const CHECKPOINT_PAGES = 1000;

/** A log larger than this is truncated after it is copied. A long read or a burst makes it grow. */
const MAX_IDLE_LOG_BYTES = 16 * 1024 * 1024;

/** What the writer knows of the configuration. */
export interface DatabaseOptions {
  /** An absolute path. */
  readonly path: string;
  /** The most bytes of the database file. `undefined` = no bound. */
  readonly maxBytes: number | undefined;
  /** The mark in the file's header of what it is for. Absent = a store. */
  readonly applicationId?: number;
}

/**
 * Opens the connection that writes, and creates a missing file and missing tables. A commit is on
 * the disk when it returns. Throws {@link PrismError} with a message for the operator that names
 * the file.
 */
export function openWriter(options: DatabaseOptions, migrations: readonly Migration[]): DatabaseSync {
  const { path, applicationId } = options;
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: WRITER_BUSY_TIMEOUT_MS });
    identify(db, migrations, path, applicationId);
    enableLog(db);
    db.exec(`PRAGMA synchronous = FULL;
      PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES};
      PRAGMA journal_size_limit = ${MAX_IDLE_LOG_BYTES}`);
    migrate(db, migrations, applicationId);
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

/**
 * SQLite does not wait for the lock when two processes switch a new file to WAL at once, so this
 * does.
 */
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
      // Blocks the writer's own thread only, as SQLite's waiting does.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BUSY_RETRY_MS);
    }
  }
}

/**
 * Opens a connection that only reads. The writer's must be open first, because it creates the file.
 * Throws as {@link openWriter} does.
 *
 * @param cacheBytes The most memory for cached pages; absent = SQLite's 2,000 KiB.
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
 * Opens the only connection to a database, for reading. It needs no room on the disk: with an
 * exclusive lock SQLite keeps the shared memory on the heap and reads the log in place
 * (sqlite.org/wal.html, Use of WAL Without Shared-Memory). Throws as {@link openWriter} does, and
 * when the tables are of an older Prism.
 */
export function openLoneReader(
  { path, applicationId }: Pick<DatabaseOptions, "path" | "applicationId">,
  migrations: readonly Migration[],
  cacheBytes?: number,
): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { timeout: READER_BUSY_TIMEOUT_MS });
    // Must come before the first read.
    db.exec("PRAGMA locking_mode = EXCLUSIVE");
    readOnly(db, cacheBytes);
    identify(db, migrations, path, applicationId);
    expectMigrated(db, migrations);
    return db;
  } catch (error) {
    db?.close();
    throw openError(error, path);
  }
}

/**
 * SQLite opens a write-protected file for reading and tells only the first writer. This tells at
 * the start.
 */
function expectWritable(db: DatabaseSync, version: number): void {
  db.exec(`BEGIN IMMEDIATE; PRAGMA user_version = ${version}; ROLLBACK`);
}

function limitSize(db: DatabaseSync, maxBytes: number): void {
  const pageBytes = prepare<[number]>(db, "PRAGMA page_size").get()?.[0] ?? 4096;
  db.exec(`PRAGMA max_page_count = ${Math.floor(maxBytes / pageBytes)}`);
}
