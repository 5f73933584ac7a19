import type { DatabaseSync } from "node:sqlite";
import { placeOf, placesOf } from "../list-range.ts";
import type {
  ListInsert,
  ListInsertAnswer,
  ListMove,
  ListPop,
  ListPush,
  ListPut,
  ListPutAnswer,
  ListRange,
  ListRemove,
} from "../lists.ts";
import { STORE_MESSAGES, storeError } from "../store-errors.ts";
import type { Failure } from "./errors.ts";
import { isFailure } from "./operation.ts";
import { prepare } from "./query.ts";

/**
 * Prepares the statements that change lists, by the name of the contract's method. Each takes a
 * namespace and an item. A Failure as the answer means that it changed nothing; if it throws, the
 * transaction must undo what it did.
 */
export function createListWrites(db: DatabaseSync) {
  const push = createPush(db);
  const pop = createPop(db);
  const lists = createFoundLists(db);
  return {
    push,
    pop,
    trim: createTrim(db, lists),
    put: createPut(db, lists),
    insert: createInsert(db, lists),
    remove: createRemove(db, lists),
    move(namespace: string, { key, end, to, toEnd }: ListMove): Uint8Array | undefined | Failure {
      const value = pop(namespace, { key, end });
      if (value !== undefined && !isFailure(value)) {
        push(namespace, { key: to, end: toEnd, value });
      }
      return value;
    },
  };
}

function createPush(db: DatabaseSync): (namespace: string, push: ListPush) => number {
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

function createPop(db: DatabaseSync): (namespace: string, pop: ListPop) => Uint8Array | undefined | Failure {
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

/** A list and its positions, `head` (included) to `tail` (excluded). */
interface FoundList {
  readonly id: number;
  readonly head: number;
  readonly tail: number;
}

/** Finds lists and keeps what became of them. */
interface FoundLists {
  find(namespace: string, key: string): FoundList | undefined;
  /** Notes the positions. A list without any is deleted. */
  note(list: FoundList): void;
  /**
   * Adds `by` to the positions from `from` (included) to `below` (excluded). The new positions must
   * be free or among the old ones.
   */
  shift(id: number, from: number, below: number, by: number): void;
}

function createFoundLists(db: DatabaseSync): FoundLists {
  const find = prepare<[id: number, head: number, tail: number]>(
    db,
    "SELECT id, head, tail FROM list WHERE namespace = ? AND key = CAST(? AS BLOB)",
  );
  const note = db.prepare("UPDATE list SET head = ?, tail = ? WHERE id = ?");
  const remove = db.prepare("DELETE FROM list WHERE id = ?");
  const move = db.prepare("UPDATE list_item SET position = ? WHERE list_id = ? AND position = ?");
  return {
    find(namespace, key) {
      const row = find.get(namespace, key);
      return row && { id: row[0], head: row[1], tail: row[2] };
    },
    note({ id, head, tail }) {
      if (head === tail) {
        remove.run(id);
      } else {
        note.run(head, tail, id);
      }
    },
    shift(id, from, below, by) {
      // One by one, because a position must be free before another row takes it. One statement for
      // all would have to move each row twice.
      if (by < 0) {
        for (let position = from; position < below; position++) {
          move.run(position + by, id, position);
        }
      } else {
        for (let position = below - 1; position >= from; position--) {
          move.run(position + by, id, position);
        }
      }
    },
  };
}

function createTrim(db: DatabaseSync, lists: FoundLists): (namespace: string, range: ListRange) => number {
  const remove = db.prepare("DELETE FROM list_item WHERE list_id = ? AND position >= ? AND position < ?");
  return (namespace, { key, ...range }) => {
    const list = lists.find(namespace, key);
    if (list === undefined) {
      return 0;
    }
    const { id, head, tail } = list;
    const { first, end } = placesOf(range, tail - head);
    remove.run(id, head, head + first);
    remove.run(id, head + end, tail);
    lists.note({ id, head: head + first, tail: head + end });
    return end - first;
  };
}

function createPut(db: DatabaseSync, lists: FoundLists): (namespace: string, put: ListPut) => ListPutAnswer {
  const put = prepare<[1]>(
    db,
    "UPDATE list_item SET value = ? WHERE list_id = ? AND position = ? RETURNING 1",
  );
  return (namespace, { key, index, value }) => {
    const list = lists.find(namespace, key);
    if (list === undefined) {
      return "absent";
    }
    const place = placeOf(index, list.tail - list.head);
    if (place === undefined) {
      return "outside";
    }
    if (put.get(value, list.id, list.head + place) === undefined) {
      throw storeError("corrupt_data");
    }
    return "put";
  };
}

function createInsert(
  db: DatabaseSync,
  lists: FoundLists,
): (namespace: string, insert: ListInsert) => ListInsertAnswer {
  const findPivot = prepare<[position: number]>(
    db,
    "SELECT position FROM list_item WHERE list_id = ? AND value = ? ORDER BY position LIMIT 1",
  );
  const insert = db.prepare("INSERT INTO list_item (list_id, position, value) VALUES (?, ?, ?) RETURNING 1");
  return (namespace, { key, side, pivot, value }) => {
    const list = lists.find(namespace, key);
    if (list === undefined) {
      return { inserted: false, length: 0 };
    }
    const { id, head, tail } = list;
    const found = findPivot.get(id, pivot);
    if (found === undefined) {
      return { inserted: false, length: tail - head };
    }
    const at = side === "before" ? found[0] : found[0] + 1;
    // The shorter side makes room.
    const toLeft = at - head < tail - at;
    if (toLeft) {
      lists.shift(id, head, at, -1);
    } else {
      lists.shift(id, at, tail, 1);
    }
    insert.get(id, toLeft ? at - 1 : at, value);
    lists.note({ id, head: toLeft ? head - 1 : head, tail: toLeft ? tail : tail + 1 });
    return { inserted: true, length: tail - head + 1 };
  };
}

function createRemove(
  db: DatabaseSync,
  lists: FoundLists,
): (namespace: string, remove: ListRemove) => number {
  const select = (order: string) =>
    prepare<[position: number]>(
      db,
      `SELECT position FROM list_item WHERE list_id = ? AND value = ? ORDER BY position ${order} LIMIT ?`,
    );
  const fromLeft = select("ASC");
  const fromRight = select("DESC");
  const remove = db.prepare("DELETE FROM list_item WHERE list_id = ? AND position = ?");
  return (namespace, { key, value, count }) => {
    const list = lists.find(namespace, key);
    if (list === undefined) {
      return 0;
    }
    const { id, head, tail } = list;
    // A limit of -1 is none.
    const limit = count === 0 ? -1 : Math.abs(count);
    const rows = (count < 0 ? fromRight : fromLeft).iterate(id, value, limit);
    const gaps = Array.from(rows, ([position]) => position);
    const [first, last] = count < 0 ? [gaps.at(-1), gaps[0]] : [gaps[0], gaps.at(-1)];
    if (first === undefined || last === undefined) {
      return 0;
    }
    for (const gap of gaps) {
      remove.run(id, gap);
    }
    const ascending = count < 0 ? gaps.reverse() : gaps;
    // The shorter side closes the gaps.
    if (tail - first < last - head) {
      ascending.forEach((gap, i) => {
        lists.shift(id, gap + 1, ascending[i + 1] ?? tail, -(i + 1));
      });
      lists.note({ id, head, tail: tail - gaps.length });
    } else {
      ascending.toReversed().forEach((gap, i) => {
        const before = ascending[gaps.length - i - 2];
        lists.shift(id, before === undefined ? head : before + 1, gap, i + 1);
      });
      lists.note({ id, head: head + gaps.length, tail });
    }
    return gaps.length;
  };
}
