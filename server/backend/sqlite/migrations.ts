import type { DatabaseSync } from "node:sqlite";
import { PrismError } from "../../errors.ts";
import { loadMigrations, type Migration } from "../migration-files.ts";
import { prepare, type Query } from "./query.ts";

/**
 * "Prsm" in the file's header: marks a database as a store of Prism
 * (https://www.sqlite.org/pragma.html#pragma_application_id).
 */
export const APPLICATION_ID = 0x5072736d;

/** The migrations that this version knows, in order. */
export const MIGRATIONS: readonly Migration[] = loadMigrations(new URL("./migrations/", import.meta.url));

/**
 * Throws {@link PrismError} `store_unavailable` unless the database is empty, or is one of Prism's
 * for the same purpose that these migrations know. Changes nothing, so another program's database
 * stays intact.
 */
export function identify(
  db: DatabaseSync,
  migrations: readonly Migration[],
  path: string,
  applicationId: number = APPLICATION_ID,
): void {
  // One transaction, so that the three values are of one moment: another process may be creating
  // the file.
  db.exec("BEGIN");
  const version = userVersion(db);
  const [id] = one<[number]>(db, "PRAGMA application_id");
  const [tables] = one<[number]>(db, "SELECT count(*) FROM sqlite_schema");
  db.exec("COMMIT");
  if (id !== applicationId && (id !== 0 || version !== 0 || tables !== 0)) {
    throw new PrismError(
      "store_unavailable",
      `${path} is a SQLite database of another program or for another purpose: choose another path, Prism does not change it`,
    );
  }
  if (version > migrations.length) {
    throw new PrismError(
      "store_unavailable",
      `${path} was written by a newer Prism (schema ${version}, this one knows ${migrations.length}): run that version or a later one`,
    );
  }
}

/**
 * Applies missing migrations, each whole or not at all. Several processes may do this to one file
 * at once.
 */
export function migrate(
  db: DatabaseSync,
  migrations: readonly Migration[],
  applicationId: number = APPLICATION_ID,
): void {
  for (const { version, sql } of migrations) {
    if (userVersion(db) >= version) {
      continue;
    }
    db.exec("BEGIN IMMEDIATE");
    try {
      // Another process may have applied it while this one waited for the lock.
      if (userVersion(db) < version) {
        db.exec(sql);
        db.exec(`PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${version}`);
      }
      db.exec("COMMIT");
    } catch (error) {
      if (db.isTransaction) {
        db.exec("ROLLBACK");
      }
      throw error;
    }
  }
}

/** Throws {@link PrismError} `store_unavailable` if a migration is missing. */
export function expectMigrated(db: DatabaseSync, migrations: readonly Migration[]): void {
  if (userVersion(db) < migrations.length) {
    throw new PrismError("store_unavailable", "the tables are of an older Prism");
  }
}

function userVersion(db: DatabaseSync): number {
  return one<[number]>(db, "PRAGMA user_version")[0];
}

function one<Row extends readonly unknown[]>(db: DatabaseSync, sql: string): Row {
  const query: Query<Row> = prepare(db, sql);
  const row = query.get();
  if (row === undefined) {
    throw new Error(`no answer to ${sql}`);
  }
  return row;
}
