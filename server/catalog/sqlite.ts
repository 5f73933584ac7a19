import type { DatabaseSync } from "node:sqlite";
import { loadMigrations } from "../backend/migration-files.ts";
import { openLoneReader, openWriter } from "../backend/sqlite/database.ts";
import { FILES_GONE, isIoError, toPrismError } from "../backend/sqlite/errors.ts";
import { type Claim, claimDatabase, createPresence } from "../backend/sqlite/files.ts";
import { prepare } from "../backend/sqlite/query.ts";
import { PrismError, StartError } from "../errors.ts";
import {
  changedMeanwhile,
  type NamespaceCatalog,
  nameTaken,
  type SavedNamespace,
} from "../namespaces/catalog.ts";
import type { SqliteControl } from "./config.ts";
import { readDocument, writeDocument } from "./document.ts";

/** "Prsn" in the file's header, so that no store takes a catalog for its own, and vice versa. */
const APPLICATION_ID = 0x5072736e;

const MIGRATIONS = loadMigrations(new URL("./sqlite/", import.meta.url));

/** The file of a catalog, for `prism doctor`. */
export function sqliteCatalogStore({ path }: SqliteControl) {
  return {
    place: path,
    async *diagnose() {
      const { diagnose } = await import("../backend/sqlite/diagnose.ts");
      yield* diagnose({ path }, { applicationId: APPLICATION_ID, migrations: MIGRATIONS });
    },
  };
}

/** An open catalog. */
interface Opened {
  readonly claim: Claim;
  /** `undefined` = the disk is full, and there was no catalog yet. */
  readonly db: DatabaseSync | undefined;
  /** False: there is no room on the disk to open it for writing. */
  readonly isWritable: boolean;
  readonly isPresent: () => boolean;
}

/**
 * Keeps namespaces in a SQLite file of its own, which belongs to one gateway at a time. What was
 * saved is on the disk. On a full disk it can be read.
 */
export function createSqliteCatalog({ path }: SqliteControl): NamespaceCatalog {
  const options = { path, maxBytes: undefined, applicationId: APPLICATION_ID };
  let opened: Opened | undefined;

  function current(): Opened {
    if (opened === undefined) {
      throw new PrismError("store_unavailable", "the catalog of namespaces is not open");
    }
    return opened;
  }

  function openClaimed(claim: Claim): Opened {
    try {
      const db = openWriter(options, MIGRATIONS);
      return { claim, db, isWritable: true, isPresent: createPresence(path) };
    } catch (error) {
      if (toPrismError(error).reason !== "store_full") {
        throw error;
      }
      const db = claim.origin === "filled" ? openLoneReader(options, MIGRATIONS) : undefined;
      return { claim, db, isWritable: false, isPresent: () => true };
    }
  }

  /** The catalog, if it can be written now. */
  function writable(): DatabaseSync {
    let { claim, db, isWritable, isPresent } = current();
    if (!isWritable) {
      db?.close();
      opened = openClaimed(claim);
      ({ db, isWritable, isPresent } = opened);
    }
    if (db === undefined || !isWritable) {
      throw new PrismError("store_full", "there is no room on the disk to keep a namespace");
    }
    if (!isPresent()) {
      throw new PrismError("store_unavailable", FILES_GONE);
    }
    return db;
  }

  /** Makes a change and answers its version. It takes effect whole or not at all. */
  function change(apply: (db: DatabaseSync, version: number) => void): number {
    const db = writable();
    try {
      db.exec("BEGIN IMMEDIATE");
      db.exec("UPDATE last_version SET version = version + 1");
      const version = prepare<[number]>(db, "SELECT version FROM last_version").get()?.[0] ?? 0;
      apply(db, version);
      db.exec("COMMIT");
      return version;
    } catch (error) {
      if (db.isTransaction) {
        db.exec("ROLLBACK");
      }
      throw isIoError(error)
        ? new PrismError("outcome_unknown", "the catalog failed; the change may be kept or not", {
            cause: error,
          })
        : toPrismError(error);
    }
  }

  return {
    async open() {
      let claim: Claim | undefined;
      try {
        claim = claimDatabase(path);
        opened = openClaimed(claim);
      } catch (error) {
        claim?.release();
        const { message } = toPrismError(error);
        throw new StartError(`the catalog of namespaces: ${message}`, error);
      }
    },
    async load() {
      const { db } = current();
      if (db === undefined) {
        return [];
      }
      try {
        const rows = prepare<[string, number, string]>(
          db,
          "SELECT name, version, document FROM namespace ORDER BY name",
        );
        return Array.from(rows.iterate(), ([name, version, text]) => readDocument(name, version, text));
      } catch (error) {
        throw toPrismError(error);
      }
    },
    async save(namespace): Promise<SavedNamespace> {
      const { name, version: expected } = namespace;
      const document = writeDocument(namespace);
      const version = change((db, next) => {
        const isNew = expected === 0;
        const { changes } = isNew
          ? db
              .prepare("INSERT INTO namespace VALUES (?, ?, ?) ON CONFLICT DO NOTHING")
              .run(name, next, document)
          : db
              .prepare("UPDATE namespace SET version = ?, document = ? WHERE name = ? AND version = ?")
              .run(next, document, name, expected);
        if (changes === 0) {
          throw isNew ? nameTaken(name) : changedMeanwhile(name);
        }
      });
      return { ...namespace, version };
    },
    async remove(name, expected) {
      change((db) => {
        const { changes } = db
          .prepare("DELETE FROM namespace WHERE name = ? AND version = ?")
          .run(name, expected);
        if (changes === 0) {
          throw changedMeanwhile(name);
        }
      });
    },
    // Nobody else changes the file: its lock is this gateway's.
    watch: () => () => {},
    async close() {
      const closing = opened;
      opened = undefined;
      closing?.db?.close();
      closing?.claim.release();
    },
  };
}
