import type { DatabaseSync } from "node:sqlite";
import { MAX_ITEM_KEY_BYTES } from "../../limits.ts";
import type { Refusal } from "../contract.ts";
import { isExpected, itemsTooLarge, NEW_ITEM } from "../decide-item.ts";
import { successor } from "../key-range.ts";
import {
  bytesOfItem,
  type HeldItem,
  type ItemPage,
  type ItemRange,
  type ItemSwap,
  type ItemsDelete,
  type ItemsDeleted,
  type ItemsRead,
  type ItemWrite,
  type RecordPut,
  type SwapAnswer,
} from "../records.ts";
import { createPlaceValue } from "./large-value.ts";
import { prepare } from "./query.ts";

/** The most expired items that one page passes: it bounds how long the event loop stands still. */
const MAX_EXPIRED_PER_PAGE = 4096;

/** The smallest key, and bytes above every key. */
const FIRST_KEY = Uint8Array.of(0);
const AFTER_ALL = new Uint8Array(MAX_ITEM_KEY_BYTES + 1).fill(0xff);

const LIVE = "(expires_at_ms IS NULL OR expires_at_ms > ?1)";
const OF_RECORD = "namespace = ?2 AND id = CAST(?3 AS BLOB)";
const VALUE = "ifnull(value, (SELECT value FROM large_value WHERE id = large_value_id))";

type ItemRow = readonly [
  key: Uint8Array,
  /** NULL = the item is expired. */
  value: Uint8Array | null,
  metadata: Uint8Array,
  createdAtMs: number,
  updatedAtMs: number,
  expiresAtMs: number | null,
];

/** The reading statements of records. All answer at once. `nowMs` counts from 1970. */
export interface RecordReader {
  /** Refuses before it reads more than it may. */
  items(namespace: string, read: ItemsRead, nowMs: number): readonly (HeldItem | undefined)[] | Refusal;
  page(namespace: string, range: ItemRange, nowMs: number): ItemPage;
  /** Whether a sweep would find anything. */
  hasExpired(nowMs: number): boolean;
}

/** Makes a {@link RecordReader}. Its methods throw SQLite's errors. */
export function createRecordReader(db: DatabaseSync): RecordReader {
  const columns = `key, iif(${LIVE}, ${VALUE}, NULL), metadata, created_at_ms, updated_at_ms, expires_at_ms`;
  const one = prepare<ItemRow>(db, `SELECT ${columns} FROM record_item WHERE ${OF_RECORD} AND key = ?4`);
  const range = prepare<ItemRow>(
    db,
    `SELECT ${columns} FROM record_item WHERE ${OF_RECORD} AND key >= ?4 AND key < ?5 ORDER BY key`,
  );
  const expired = prepare<[1]>(db, "SELECT 1 FROM record_item WHERE expires_at_ms <= ? LIMIT 1");

  function itemsTogether(
    namespace: string,
    read: ItemsRead,
    nowMs: number,
  ): readonly (HeldItem | undefined)[] | Refusal {
    const items: (HeldItem | undefined)[] = [];
    let bytes = 0;
    for (const key of read.keys) {
      const row = one.get(nowMs, namespace, read.id, key);
      const item = row && itemOf(row);
      items.push(item);
      bytes += item === undefined ? 0 : bytesOfItem(item);
      if (bytes > read.maxBytes) {
        return itemsTooLarge(read);
      }
    }
    return items;
  }

  return {
    items(namespace, read, nowMs) {
      db.exec("BEGIN");
      try {
        return itemsTogether(namespace, read, nowMs);
      } finally {
        db.exec("COMMIT");
      }
    },
    page(namespace, { id, start, end, after, maxItems, maxBytes }, nowMs) {
      const items: HeldItem[] = [];
      let bytes = 0;
      let passed = 0;
      let last: Uint8Array | undefined;
      const from = laterOf(start, after && successor(after));
      // Only the rows that the loop comes to are read.
      for (const row of range.iterate(nowMs, namespace, id, from, end ?? AFTER_ALL)) {
        if (items.length >= maxItems || bytes >= maxBytes || passed >= MAX_EXPIRED_PER_PAGE) {
          return { items, next: last };
        }
        [last] = row;
        const item = itemOf(row);
        if (item === undefined) {
          passed++;
        } else {
          items.push(item);
          bytes += bytesOfItem(item);
        }
      }
      return { items, next: undefined };
    },
    hasExpired: (nowMs) => expired.get(nowMs) !== undefined,
  };
}

/** `undefined` = it is expired. */
function itemOf([key, value, metadata, createdAtMs, updatedAtMs, expiresAtMs]: ItemRow):
  | HeldItem
  | undefined {
  const ttlMs = expiresAtMs === null ? 0 : expiresAtMs - updatedAtMs;
  return value === null ? undefined : { key, value, metadata, ttlMs, createdAtMs, updatedAtMs };
}

/** The later of two bounds. Not an empty one: SQLite would be handed NULL. */
function laterOf(start: Uint8Array = FIRST_KEY, next: Uint8Array = FIRST_KEY): Uint8Array {
  const later = Buffer.compare(start, next) > 0 ? start : next;
  return later.length === 0 ? FIRST_KEY : later;
}

/** Writes one item. */
type WriteItem = (namespace: string, id: string, item: ItemWrite, nowMs: number) => void;

function createWriteItem(db: DatabaseSync): WriteItem {
  const upsert = db.prepare(
    `INSERT INTO record_item
       (namespace, id, key, created_at_ms, updated_at_ms, expires_at_ms, metadata, value, large_value_id)
     VALUES (?2, CAST(?3 AS BLOB), ?4, ?1, ?1, ?5, ?6, ?7, ?8)
     ON CONFLICT DO UPDATE SET
       created_at_ms = iif(${LIVE}, created_at_ms, ?1), updated_at_ms = ?1,
       expires_at_ms = excluded.expires_at_ms, metadata = excluded.metadata, value = excluded.value,
       large_value_id = excluded.large_value_id`,
  );
  const place = createPlaceValue(db);
  return (namespace, id, { key, value, metadata, ttlMs }, nowMs) => {
    const expiresAtMs = ttlMs === 0 ? null : nowMs + ttlMs;
    upsert.get(nowMs, namespace, id, key, expiresAtMs, metadata, ...place(value));
  };
}

/** What calls on records do to the database. If one throws, the transaction must undo it. */
export interface RecordWriter {
  putItems(namespace: string, put: RecordPut, nowMs: number): undefined;
  deleteItems(namespace: string, deletion: ItemsDelete, nowMs: number): ItemsDeleted;
  swapItem(namespace: string, swap: ItemSwap, nowMs: number): SwapAnswer;
  /** Deletes up to `maxItems` expired items; answers how many. */
  sweep(maxItems: number, nowMs: number): number;
}

/** Prepares the statements that write records. */
export function createRecordWriter(db: DatabaseSync): RecordWriter {
  const write = createWriteItem(db);
  const held = prepare<[value: Uint8Array, metadata: Uint8Array, ttlMs: number]>(
    db,
    `SELECT ${VALUE}, metadata, ifnull(expires_at_ms - updated_at_ms, 0)
     FROM record_item WHERE ${OF_RECORD} AND key = ?4 AND ${LIVE}`,
  );
  const remove = db.prepare(`DELETE FROM record_item WHERE ${OF_RECORD} AND key = ?4 AND ${LIVE}`);
  const firstRows = prepare<[rows: number, live: number, last: Uint8Array | null]>(
    db,
    `SELECT count(*), count(*) FILTER (WHERE ${LIVE}), max(key)
     FROM (SELECT key, expires_at_ms FROM record_item WHERE ${OF_RECORD} ORDER BY key LIMIT +?4)`,
  );
  const removeFirst = db.prepare(
    "DELETE FROM record_item WHERE namespace = ? AND id = CAST(? AS BLOB) AND key <= ?",
  );
  const sweep = db.prepare(
    `DELETE FROM record_item WHERE (namespace, id, key) IN
       (SELECT namespace, id, key FROM record_item WHERE expires_at_ms <= ? ORDER BY expires_at_ms LIMIT ?)`,
  );
  return {
    putItems(namespace, { id, items }, nowMs) {
      for (const item of items) {
        write(namespace, id, item, nowMs);
      }
      return undefined;
    },
    deleteItems(namespace, { id, keys, maxItems }, nowMs) {
      if (keys !== undefined) {
        // Leaves expired items to the sweep: they are not there.
        const deleted = keys.reduce(
          (sum, key) => sum + Number(remove.run(nowMs, namespace, id, key).changes),
          0,
        );
        return { deleted, more: false };
      }
      const [rows, live, last] = firstRows.get(nowMs, namespace, id, maxItems) ?? [0, 0, null];
      if (last !== null) {
        removeFirst.get(namespace, id, last);
      }
      return { deleted: live, more: rows === maxItems };
    },
    swapItem(namespace, { id, key, expected, value }, nowMs) {
      const row = held.get(nowMs, namespace, id, key);
      if (!isExpected(row?.[0], expected)) {
        return { swapped: false, actual: row?.[0] };
      }
      const { metadata, ttlMs } = row === undefined ? NEW_ITEM : { metadata: row[1], ttlMs: row[2] };
      write(namespace, id, { key, value, metadata, ttlMs }, nowMs);
      return { swapped: true };
    },
    sweep: (maxItems, nowMs) => Number(sweep.run(nowMs, maxItems).changes),
  };
}
