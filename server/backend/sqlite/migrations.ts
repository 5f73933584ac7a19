import { readdirSync, readFileSync } from "node:fs";
import type { DatabaseSync } from "node:sqlite";
import { PrismError } from "../../errors.ts";
import { prepare, type Query } from "./query.ts";

/** "Prsm", in the file's header: tells a database of Prism from any other (https://www.sqlite.org/pragma.html#pragma_application_id). */
const APPLICATION_ID = 0x5072736d;

const FILE_NAME = /^(\d{3})_\w+\.sql$/;

/** One step of the schema. Steps are only ever added. */
export interface Migration {
  /** 1 and up without gaps; the database's `user_version` is the last one applied. */
  readonly version: number;
  readonly sql: string;
}

/** Reads `migrations/NNN_name.sql` beside this module, in order. */
export function loadMigrations(): Migration[] {
  const directory = new URL("./migrations/", import.meta.url);
  const files = readdirSync(directory).filter((file) => FILE_NAME.test(file));
  return files.sort().map((file, i) => {
    if (Number.parseInt(file, 10) !== i + 1)
      throw new Error(`migration ${i + 1} is missing: found ${file} in its place`);
    return { version: i + 1, sql: readFileSync(new URL(file, directory), "utf8") };
  });
}

/**
 * Throws {@link PrismError} `store_unavailable` unless the database is empty or one of Prism's that these migrations know.
 * Changes nothing, so that another program's database stays as it was.
 */
export function identify(db: DatabaseSync, migrations: readonly Migration[], path: string): void {
  // In one transaction, so that all three are of one moment: another process may be making the file.
  db.exec("BEGIN");
  const version = userVersion(db);
  const [id] = one<[number]>(db, "PRAGMA application_id");
  const [tables] = one<[number]>(db, "SELECT count(*) FROM sqlite_schema");
  db.exec("COMMIT");
  if (id !== APPLICATION_ID && (id !== 0 || version !== 0 || tables !== 0)) {
    throw new PrismError(
      "store_unavailable",
      `${path} is a SQLite database of another program: choose another path, Prism does not change it`,
    );
  }
  if (version > migrations.length) {
    throw new PrismError(
      "store_unavailable",
      `${path} was written by a newer Prism (schema ${version}, this one knows ${migrations.length}): run that version or a later one`,
    );
  }
}

/** Applies what is missing, each step whole or not at all. Several processes may do this to one file at once. */
export function migrate(db: DatabaseSync, migrations: readonly Migration[]): void {
  for (const { version, sql } of migrations) {
    if (userVersion(db) >= version) continue;
    db.exec("BEGIN IMMEDIATE");
    try {
      // Another process may have applied this step while this one waited for the lock.
      if (userVersion(db) < version) {
        db.exec(sql);
        db.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${version}`);
      }
      db.exec("COMMIT");
    } catch (error) {
      if (db.isTransaction) db.exec("ROLLBACK");
      throw error;
    }
  }
}

function userVersion(db: DatabaseSync): number {
  return one<[number]>(db, "PRAGMA user_version")[0];
}

function one<Row extends readonly unknown[]>(db: DatabaseSync, sql: string): Row {
  const query: Query<Row> = prepare(db, sql);
  const row = query.get();
  if (row === undefined) throw new Error(`no answer to ${sql}`);
  return row;
}
