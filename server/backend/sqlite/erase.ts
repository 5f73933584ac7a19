import type { DatabaseSync } from "node:sqlite";
import { ERASE_STEP_BYTES } from "../../limits.ts";
import { prepare } from "./query.ts";

/** What a step may still remove. At 0 or below it ends. */
interface Room {
  items: number;
  bytes: number;
}

/** Removes some of a namespace's rows in one key space. */
type Erase = (namespace: string, room: Room) => void;

/**
 * Prepares the statements that remove up to `maxItems` entries, values of lists and items of
 * records of a namespace. Answers whether there may be more.
 */
export function createErase(db: DatabaseSync): (namespace: string, maxItems: number) => boolean {
  const spaces: readonly Erase[] = [eraseEntries(db), eraseLists(db), eraseItems(db)];
  return (namespace, maxItems) => {
    const room = { items: maxItems, bytes: ERASE_STEP_BYTES };
    for (const erase of spaces) {
      erase(namespace, room);
    }
    return isUsedUp(room);
  };
}

function isUsedUp({ items, bytes }: Room): boolean {
  return items <= 0 || bytes <= 0;
}

/** The last row that has room, with all before it. `undefined` = there is none. */
function lastWithin<Row extends readonly [bytes: number, ...unknown[]]>(
  rows: Iterable<Row>,
  room: Room,
): Row | undefined {
  let last: Row | undefined;
  for (const row of rows) {
    if (isUsedUp(room)) {
      break;
    }
    last = row;
    room.items--;
    room.bytes -= row[0];
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
  return (namespace, room) => {
    const last = lastWithin(rows.iterate(namespace), room);
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
  return (namespace, room) => {
    const last = lastWithin(rows.iterate(namespace), room);
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

  function eraseFrom(id: number, room: Room): void {
    // A list counts too, because a damaged one has no values.
    room.items--;
    const last = lastWithin(items.iterate(id), room);
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

  return (namespace, room) => {
    while (!isUsedUp(room)) {
      const list = find.get(namespace);
      if (list === undefined) {
        return;
      }
      eraseFrom(list[0], room);
    }
  };
}
