import type { DatabaseSync } from "node:sqlite";
import { loadMigrations } from "../backend/migration-files.ts";
import { openWriter } from "../backend/sqlite/database.ts";
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

/** An open catalog. */
interface Opened {
  readonly claim: Claim;
  readonly db: DatabaseSync;
  readonly isPresent: () => boolean;
}

/**
 * Keeps namespaces in a SQLite file of its own, which belongs to one gateway at a time. What was
 * saved is on the disk.
 */
export function createSqliteCatalog({ path }: SqliteControl): NamespaceCatalog {
  let opened: Opened | undefined;

  function current(): Opened {
    if (opened === undefined) {
      throw new PrismError("store_unavailable", "the catalog of namespaces is not open");
    }
    return opened;
  }

  /** Makes a change and answers its version. It takes effect whole or not at all. */
  function change(apply: (db: DatabaseSync, version: number) => void): number {
    const { db, isPresent } = current();
    if (!isPresent()) {
      throw new PrismError("store_unavailable", FILES_GONE);
    }
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
        const db = openWriter({ path, maxBytes: undefined, applicationId: APPLICATION_ID }, MIGRATIONS);
        opened = { claim, db, isPresent: createPresence(path) };
      } catch (error) {
        claim?.release();
        const { message } = toPrismError(error);
        throw new StartError(`the catalog of namespaces: ${message}`, error);
      }
    },
    async load() {
      const { db } = current();
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
      closing?.db.close();
      closing?.claim.release();
    },
  };
}
