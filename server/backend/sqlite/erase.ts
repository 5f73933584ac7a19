import type { DatabaseSync } from "node:sqlite";
import { ERASE_STEP_BYTES } from "../../limits.ts";
import { prepare } from "./query.ts";
import { isUsedUp, type StepBounds, within } from "./step-bounds.ts";
import type { StreamRemover } from "./stream-remover.ts";

/** Removes some of a namespace's rows in one key space. */
type Erase = (namespace: string, left: StepBounds) => void;

/**
 * Prepares the statements that remove up to `maxItems` entries, values of lists, items of records
 * and chunks of streams of a namespace. Answers whether there may be more.
 */
export function createErase(
  db: DatabaseSync,
  streams: StreamRemover,
): (namespace: string, maxItems: number) => boolean {
  const spaces: readonly Erase[] = [eraseEntries(db), eraseLists(db), eraseItems(db), streams.erase];
  return (namespace, maxItems) => {
    const left: StepBounds = { rows: maxItems, bytes: ERASE_STEP_BYTES };
    for (const erase of spaces) {
      erase(namespace, left);
    }
    return isUsedUp(left);
  };
}

/** The last row that can be removed, with all before it. `undefined` = there is none. */
function lastWithin<Row extends readonly [bytes: number, ...unknown[]]>(
  rows: Iterable<Row>,
  left: StepBounds,
): Row | undefined {
  let last: Row | undefined;
  for (const row of within(rows, left)) {
    last = row;
  }
  return last;
}

/** The size of a value that can be in a row of its own. SQLite does not read it for that. */
const BYTES = "ifnull(length(value), (SELECT length(value) FROM large_value WHERE id = large_value_id))";

function eraseEntries(db: DatabaseSync): Erase {
  const rows = prepare<[bytes: number, key: Uint8Array]>(
    db,
    `SELECT ${BYTES}, key FROM entry WHERE namespace = ? ORDER BY key`,
  );
  const remove = db.prepare("DELETE FROM entry WHERE namespace = ? AND key <= ?");
  return (namespace, left) => {
    const last = lastWithin(rows.iterate(namespace), left);
    if (last !== undefined) {
      remove.run(namespace, last[1]);
    }
  };
}

function eraseItems(db: DatabaseSync): Erase {
  const rows = prepare<[bytes: number, id: Uint8Array, key: Uint8Array]>(
    db,
    `SELECT ${BYTES}, id, key FROM record_item WHERE namespace = ? ORDER BY id, key`,
  );
  const remove = db.prepare("DELETE FROM record_item WHERE namespace = ? AND (id, key) <= (?, ?)");
  return (namespace, left) => {
    const last = lastWithin(rows.iterate(namespace), left);
    if (last !== undefined) {
      remove.run(namespace, last[1], last[2]);
    }
  };
}

function eraseLists(db: DatabaseSync): Erase {
  const find = prepare<[id: number]>(db, "SELECT id FROM list WHERE namespace = ? LIMIT 1");
  const items = prepare<[bytes: number, position: number]>(
    db,
    "SELECT length(value), position FROM list_item WHERE list_id = ? ORDER BY position",
  );
  const removeItems = db.prepare("DELETE FROM list_item WHERE list_id = ? AND position <= ?");
  const begin = db.prepare("UPDATE list SET head = ? WHERE id = ?");
  const remove = db.prepare("DELETE FROM list WHERE id = ?");

  function eraseFrom(id: number, left: StepBounds): void {
    // A list counts too, because a damaged one has no values.
    left.rows--;
    const last = lastWithin(items.iterate(id), left);
    if (last !== undefined) {
      removeItems.run(id, last[1]);
    }
    const [first] = items.iterate(id);
    if (first === undefined) {
      remove.run(id);
    } else {
      begin.run(first[1], id);
    }
  }

  return (namespace, left) => {
    while (!isUsedUp(left)) {
      const list = find.get(namespace);
      if (list === undefined) {
        return;
      }
      eraseFrom(list[0], left);
    }
  };
}
