import type { DatabaseSync } from "node:sqlite";
import type { AnswerOf, WriteName } from "../operations.ts";
import { createApplyCommit, type EntryWriter } from "./apply-commit.ts";
import { createListWrites } from "./apply-list.ts";
import { createChunkWriter } from "./chunk-writer.ts";
import { createErase } from "./erase.ts";
import { type Failure, fromFailure } from "./errors.ts";
import { createPlaceValue } from "./large-value.ts";
import {
  isFailure,
  type Operation,
  type Outcome,
  type Result,
  type WriteItems,
  type WriteOf,
} from "./operation.ts";
import { prepare } from "./query.ts";
import { createRecordWriter } from "./records.ts";
import { createStreamRemover } from "./stream-remover.ts";
import { createStreamWriter } from "./stream-writer.ts";
import type { Versions } from "./versions.ts";

/**
 * Does to the database what a call wants for one of its items. A Failure as the answer means that
 * it changed nothing; if it throws, the transaction must undo what it did.
 */
type ApplyItem<W extends WriteName> = (
  namespace: string,
  item: WriteItems[W],
  nowMs: number,
) => AnswerOf<W> | Failure;

/** Applies operations, within a transaction. */
export interface OperationWriter {
  /**
   * A Failure as the outcome means that it changed nothing; if it throws, the transaction must undo
   * what it did.
   */
  apply(operation: Operation, nowMs: number): Outcome;
  /** Writes what the operations have left to write together. Belongs before the commit. */
  flush(): void;
  /** Says that the transaction was undone. */
  undone(): void;
}

/** Prepares the statements that apply operations. */
export function createOperationWriter(db: DatabaseSync, versions: Versions): OperationWriter {
  const put = createPut(db);
  const remove = createRemove(db);
  const { sweep: sweepRecords, ...records } = createRecordWriter(db);
  const chunks = createChunkWriter(db);
  const writes: { readonly [W in WriteName]: ApplyItem<W> } = {
    set(namespace, { key, value, ttlMs }, nowMs) {
      put(namespace, key, value, ttlMs === 0 ? undefined : nowMs + ttlMs, versions.next());
      return undefined;
    },
    delete: remove,
    commit: createApplyCommit(db, { put, remove }, versions.next),
    ...createListWrites(db),
    ...records,
    ...createStreamWriter(db, chunks),
  };
  const sweepEntries = createSweep(db);
  const streams = createStreamRemover(db);
  const erase = createErase(db, streams);
  const probe = createProbe(db);

  function applyItems<W extends WriteName>({ type, namespace, items }: WriteOf<W>, nowMs: number): Outcome {
    const apply: ApplyItem<W> = writes[type];
    const answers: AnswerOf<W>[] = [];
    for (const item of items) {
      const answer = apply(namespace, item, nowMs);
      if (!isFailure(answer)) {
        answers.push(answer);
      } else if (items.length === 1) {
        return answer;
      } else {
        // What was done for the other items goes too.
        throw fromFailure(answer);
      }
    }
    // Thousands of answers cross between threads in a group: those that tell nothing stay.
    return type === "set" || type === "putItems" ? undefined : (answers as Result);
  }

  return {
    apply(operation, nowMs) {
      switch (operation.type) {
        case "sweep":
          chunks.flush();
          return (
            sweepEntries(operation.maxEntries, nowMs) +
            sweepRecords(operation.maxEntries, nowMs) +
            streams.sweep(operation.maxEntries, nowMs)
          );
        case "erase":
          chunks.flush();
          return erase(operation.namespace, operation.maxItems);
        case "probe":
          return probe();
        default:
          return applyItems(operation as WriteOf<WriteName>, nowMs);
      }
    },
    flush: chunks.flush,
    undone: chunks.undone,
  };
}

function createPut(db: DatabaseSync): EntryWriter["put"] {
  const upsert = db.prepare(
    `INSERT INTO entry (namespace, key, expires_at_ms, value, large_value_id, version)
     VALUES (?, CAST(? AS BLOB), ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET expires_at_ms = excluded.expires_at_ms, value = excluded.value,
       large_value_id = excluded.large_value_id, version = excluded.version`,
  );
  const place = createPlaceValue(db);
  return (namespace, key, value, expiresAtMs, version) => {
    const [inline, largeValueId] = place(value);
    // Not `run`, which makes an object that says how many rows changed.
    upsert.get(namespace, key, expiresAtMs ?? null, inline, largeValueId, version);
  };
}

/** Leaves an expired entry to the sweep: it held no value. */
function createRemove(db: DatabaseSync): EntryWriter["remove"] {
  const remove = db.prepare(
    `DELETE FROM entry WHERE namespace = ? AND key = CAST(? AS BLOB) AND (expires_at_ms IS NULL OR expires_at_ms > ?)`,
  );
  return (namespace, key, nowMs) => remove.run(namespace, key, nowMs).changes === 1;
}

function createSweep(db: DatabaseSync): (maxEntries: number, nowMs: number) => number {
  const sweep = db.prepare(
    `DELETE FROM entry WHERE (namespace, key) IN
       (SELECT namespace, key FROM entry WHERE expires_at_ms <= ? ORDER BY expires_at_ms LIMIT ?)`,
  );
  return (maxEntries, nowMs) => Number(sweep.run(nowMs, maxEntries).changes);
}

/** SQLite writes the page that the version is on, whether it is another one or not. */
function createProbe(db: DatabaseSync): () => undefined {
  const version = prepare<[number]>(db, "PRAGMA user_version").get()?.[0] ?? 0;
  return () => {
    db.exec(`PRAGMA user_version = ${version}`);
  };
}
