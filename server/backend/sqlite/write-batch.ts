import type { DatabaseSync } from "node:sqlite";
import { PrismError } from "../../errors.ts";
import {
  type AnswerOf,
  type AnyItemsRow,
  type Interface,
  type ItemOf,
  WRITES,
  type WriteName,
} from "../operations.ts";
import { STORE_MESSAGES } from "../store-errors.ts";
import { type Failure, fromFailure, isIoError, reasonOf, toFailure } from "./errors.ts";
import { prepare } from "./query.ts";

/**
 * One call that writes, as plain data. Each takes effect whole or not at all. A `probe` writes what
 * is there already.
 */
export type Operation =
  | { [W in WriteName]: WriteOf<W> }[WriteName]
  | { readonly type: "sweep"; readonly maxEntries: number }
  | { readonly type: "probe" };

/** A call of the contract. */
export interface WriteOf<W extends WriteName> {
  readonly type: W;
  readonly namespace: string;
  readonly items: readonly ItemOf<W>[];
}

/** An operation of one type. */
export type OperationOf<T extends Operation["type"]> = Extract<Operation, { type: T }>;

/**
 * What an operation answers, by its type: for each item, or `undefined` = nothing of any. `sweep`:
 * how many entries it deleted.
 */
export type Results = { readonly [W in WriteName]: readonly AnswerOf<W>[] | undefined } & {
  readonly sweep: number;
  readonly probe: undefined;
};

/** The keys of the namespace's entries that an operation writes; a sweep names none. */
export function entryKeysOf(operation: Operation, namespace: string): readonly string[] {
  if (operation.type === "sweep" || operation.type === "probe" || operation.namespace !== namespace) {
    return [];
  }
  const { of, row }: { readonly of: Interface; readonly row: AnyItemsRow } = WRITES[operation.type];
  return of === "entries" ? operation.items.map((item) => row.keyOf(item)) : [];
}

/** Any operation's result. */
export type Result = Results[Operation["type"]];

/**
 * What became of one operation: its result, which is on the disk by then, or a {@link Failure},
 * which no result looks like.
 */
export type Outcome = Result | Failure;

/**
 * Tells the two apart. Nothing is wrapped around a result, because thousands cross between threads
 * in each group.
 */
export function isFailure(outcome: unknown): outcome is Failure {
  return typeof outcome === "object" && outcome !== null && "reason" in outcome;
}

/**
 * Applies a group of operations and commits it; the outcomes are in the operations' order. `nowMs`
 * is since 1970.
 */
export type ApplyGroup = (operations: readonly Operation[], nowMs: number) => Outcome[];

/**
 * So many groups after a refused call are written with a savepoint for each call, because further
 * calls are likely to be refused.
 */
const CAREFUL_GROUPS = 64;

/**
 * Prepares the statements that write to `db`, a migrated database. A group is one transaction, with
 * one wait for the disk. A call that is refused has no effect and leaves the others be; what else
 * goes wrong fails the group.
 */
export function createApplyGroup(db: DatabaseSync): ApplyGroup {
  const applyOne = createApplyOne(db);
  const savepoint = db.prepare("SAVEPOINT operation");
  const undo = db.prepare("ROLLBACK TO operation");
  const release = db.prepare("RELEASE operation");
  let carefulGroups = 0;

  /** Throws where a call is refused: what it did by then is to be undone. */
  function applyTogether(
    operations: readonly Operation[],
    nowMs: number,
    apply: (operation: Operation, nowMs: number) => Outcome,
  ): Outcome[] {
    let committing = false;
    try {
      db.exec("BEGIN IMMEDIATE");
      const outcomes = operations.map((operation) => apply(operation, nowMs));
      committing = true;
      db.exec("COMMIT");
      return outcomes;
    } catch (error) {
      // SQLite has rolled back by itself after some errors.
      if (db.isTransaction) {
        db.exec("ROLLBACK");
      }
      if (committing && isIoError(error)) {
        throw outcomeUnknown(error);
      }
      throw error;
    }
  }

  function applyUndoably(operation: Operation, nowMs: number): Outcome {
    savepoint.run();
    let outcome: Outcome;
    try {
      outcome = applyOne(operation, nowMs);
    } catch (error) {
      if (concernsAll(error) || !db.isTransaction) {
        throw error;
      }
      undo.run();
      carefulGroups = CAREFUL_GROUPS;
      outcome = toFailure(error);
    }
    release.run();
    return outcome;
  }

  return (operations, nowMs) => {
    try {
      if (carefulGroups === 0) {
        try {
          return applyTogether(operations, nowMs, applyOne);
        } catch (error) {
          if (operations.length === 1 || concernsAll(error)) {
            throw error;
          }
          // Nothing took effect. Once more, so that the call at fault fails alone.
          carefulGroups = CAREFUL_GROUPS;
        }
      }
      carefulGroups--;
      return applyTogether(operations, nowMs, applyUndoably);
    } catch (error) {
      return operations.map(() => toFailure(error));
    }
  };
}

function concernsAll(error: unknown): boolean {
  const reason = error instanceof PrismError ? error.reason : reasonOf(error);
  return reason === "store_unavailable" || reason === "outcome_unknown";
}

/** The commit may have reached the disk, whatever the operating system said of it. */
function outcomeUnknown(error: unknown): PrismError {
  const { reason, message } = toFailure(error, "outcome_unknown");
  return new PrismError(reason, message, { cause: error });
}

/**
 * Does to the database what a call wants for one of its items. A Failure as the answer means that
 * it changed nothing; if it throws, the transaction must undo what it did.
 */
type ApplyItem<W extends WriteName> = (
  namespace: string,
  item: ItemOf<W>,
  nowMs: number,
) => AnswerOf<W> | Failure;

function createApplyOne(db: DatabaseSync): (operation: Operation, nowMs: number) => Outcome {
  const writes: { readonly [W in WriteName]: ApplyItem<W> } = {
    set: createSet(db),
    delete: createDelete(db),
    push: createPush(db),
    pop: createPop(db),
  };
  const sweep = createSweep(db);
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
    return type === "set" ? undefined : (answers as Result);
  }

  return (operation, nowMs) => {
    switch (operation.type) {
      case "sweep":
        return sweep(operation.maxEntries, nowMs);
      case "probe":
        return probe();
      default:
        return applyItems(operation as WriteOf<WriteName>, nowMs);
    }
  };
}

/** A larger value has a row of its own: see migration 2. */
export const MAX_INLINE_VALUE_BYTES = 4096;

function createSet(db: DatabaseSync): ApplyItem<"set"> {
  const upsert = db.prepare(
    `INSERT INTO entry (namespace, key, expires_at_ms, value, large_value_id) VALUES (?, CAST(? AS BLOB), ?, ?, ?)
     ON CONFLICT DO UPDATE SET
       expires_at_ms = excluded.expires_at_ms, value = excluded.value, large_value_id = excluded.large_value_id`,
  );
  const insertLarge = prepare<[id: number]>(db, "INSERT INTO large_value (value) VALUES (?) RETURNING id");
  return (namespace, { key, value, ttlMs }, nowMs) => {
    const expiresAtMs = ttlMs === 0 ? null : nowMs + ttlMs;
    const large = value.length > MAX_INLINE_VALUE_BYTES;
    const id = large ? insertLarge.get(value)?.[0] : undefined;
    // Not `run`, which makes an object that says how many rows changed.
    upsert.get(namespace, key, expiresAtMs, large ? null : value, id ?? null);
    return undefined;
  };
}

/** Leaves an expired entry to the sweep: it held no value. */
function createDelete(db: DatabaseSync): ApplyItem<"delete"> {
  const remove = db.prepare(
    `DELETE FROM entry WHERE namespace = ? AND key = CAST(? AS BLOB) AND (expires_at_ms IS NULL OR expires_at_ms > ?)`,
  );
  return (namespace, key, nowMs) => remove.run(namespace, key, nowMs).changes === 1;
}

function createPush(db: DatabaseSync): ApplyItem<"push"> {
  const left = prepare<[id: number, position: number, length: number]>(
    db,
    `INSERT INTO list (namespace, key, head, tail) VALUES (?, CAST(? AS BLOB), -1, 0)
     ON CONFLICT DO UPDATE SET head = head - 1 RETURNING id, head, tail - head`,
  );
  const right = prepare<[id: number, position: number, length: number]>(
    db,
    `INSERT INTO list (namespace, key, head, tail) VALUES (?, CAST(? AS BLOB), 0, 1)
     ON CONFLICT DO UPDATE SET tail = tail + 1 RETURNING id, tail - 1, tail - head`,
  );
  // Because of RETURNING, SQLite undoes only the statement if there is no room, and not the
  // transaction.
  const insert = db.prepare("INSERT INTO list_item (list_id, position, value) VALUES (?, ?, ?) RETURNING 1");
  return (namespace, { key, end, value }) => {
    const place = (end === "left" ? left : right).get(namespace, key);
    if (place === undefined) {
      throw new Error("a push found no place");
    }
    const [id, position, length] = place;
    insert.get(id, position, value);
    return length;
  };
}

const DAMAGED: Failure = {
  reason: "corrupt_data",
  message: STORE_MESSAGES.corrupt_data,
  detail: "a list lacks an item",
};

function createPop(db: DatabaseSync): ApplyItem<"pop"> {
  const left = prepare<[id: number, position: number, length: number]>(
    db,
    `UPDATE list SET head = head + 1 WHERE namespace = ? AND key = CAST(? AS BLOB) RETURNING id, head - 1, tail - head`,
  );
  const right = prepare<[id: number, position: number, length: number]>(
    db,
    `UPDATE list SET tail = tail - 1 WHERE namespace = ? AND key = CAST(? AS BLOB) RETURNING id, tail, tail - head`,
  );
  const take = prepare<[value: Uint8Array]>(
    db,
    "DELETE FROM list_item WHERE list_id = ? AND position = ? RETURNING value",
  );
  const removeList = db.prepare("DELETE FROM list WHERE id = ?");
  const putBackLeft = db.prepare("UPDATE list SET head = head - 1 WHERE id = ?");
  const putBackRight = db.prepare("UPDATE list SET tail = tail + 1 WHERE id = ?");
  return (namespace, { key, end }) => {
    const place = (end === "left" ? left : right).get(namespace, key);
    if (place === undefined) {
      return undefined;
    }
    const [id, position, length] = place;
    const item = take.get(id, position);
    if (item === undefined) {
      (end === "left" ? putBackLeft : putBackRight).run(id);
      return DAMAGED;
    }
    if (length === 0) {
      removeList.run(id);
    }
    return item[0];
  };
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
