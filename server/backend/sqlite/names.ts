import type { DatabaseSync } from "node:sqlite";
import { setImmediate as nextTurn } from "node:timers/promises";
import { abortError } from "../../errors.ts";
import type { Clock } from "../clock.ts";
import type { Call, NamePage, NameQuery } from "../contract.ts";
import { keyRange, successor } from "../key-range.ts";
import { MAX_ROWS_PER_STEP } from "./page.ts";
import { prepare } from "./query.ts";

const LIVE = "(expires_at_ms IS NULL OR expires_at_ms > ?1)";

/**
 * The statements that tell which lists, streams and records there are. `nowMs` counts from 1970.
 */
export interface NameReader {
  /** One page of the keys of lists. */
  lists(namespace: string, query: NameQuery): NamePage;
  /** One page of the names of streams. */
  streams(namespace: string, query: NameQuery): NamePage;
  /** The first item of the first record from `from` on. `undefined` = there is none. */
  firstItem(namespace: string, from: Uint8Array, below: Uint8Array, nowMs: number): ItemRow | undefined;
  /** What follows an item in its record, at most {@link MAX_ROWS_PER_STEP} items. */
  itemsBehind(namespace: string, id: Uint8Array, key: Uint8Array, nowMs: number): ItemsRow;
}

type ItemRow = readonly [id: Uint8Array, key: Uint8Array, isLive: 0 | 1];

/** NULL = there are none. */
type ItemsRow = readonly [rows: number, lastKey: Uint8Array | null, anyLive: 0 | 1 | null];

/** Makes a {@link NameReader}. Its methods throw SQLite's errors. */
export function createNameReader(db: DatabaseSync): NameReader {
  const first = prepare<ItemRow>(
    db,
    `SELECT id, key, ${LIVE} FROM record_item WHERE namespace = ?2 AND id >= ?3 AND id < ?4
     ORDER BY id, key LIMIT 1`,
  );
  const behind = prepare<ItemsRow>(
    db,
    `SELECT count(*), max(key), max(live)
     FROM (SELECT key, ${LIVE} AS live FROM record_item WHERE namespace = ?2 AND id = ?3 AND key > ?4
           ORDER BY key LIMIT ${MAX_ROWS_PER_STEP})`,
  );
  return {
    lists: createNamePages(db, "list", "key"),
    streams: createNamePages(db, "stream", "name"),
    firstItem: (namespace, from, below, nowMs) => first.get(nowMs, namespace, boundOf(from), below),
    itemsBehind: (namespace, id, key, nowMs) => behind.get(nowMs, namespace, id, key) ?? [0, null, null],
  };
}

/** Prepares the pages of a column that has each name once. */
function createNamePages(db: DatabaseSync, table: string, column: string): NameReader["lists"] {
  const names = prepare<[name: Uint8Array]>(
    db,
    `SELECT ${column} FROM ${table} WHERE namespace = ? AND ${column} >= ? AND ${column} < ? ORDER BY ${column}`,
  );
  return (namespace, query) => {
    const { from, below } = keyRange(query, query.after);
    const page: string[] = [];
    // Only the rows that the loop comes to are read.
    for (const [name] of names.iterate(namespace, boundOf(from), below)) {
      if (page.length === query.maxNames) {
        return { names: page, next: page.at(-1) };
      }
      page.push(textOf(name));
    }
    return { names: page, next: undefined };
  };
}

/**
 * One page of the ids of records, which are in no table: it looks at the first item of each. Many
 * expired items in front of a live one are passed in turns of their own. Throws SQLite's errors,
 * and the call's if it aborts.
 */
export async function readIds(
  reader: () => NameReader,
  clock: Clock,
  namespace: string,
  query: NameQuery,
  call: Call,
): Promise<NamePage> {
  const range = keyRange(query, query.after);
  const names: string[] = [];
  let passed = 0;
  for (let { from } = range; ; ) {
    const item = reader().firstItem(namespace, from, range.below, clock.now());
    if (item === undefined || names.length === query.maxNames) {
      return { names, next: item && names.at(-1) };
    }
    const [id, key, isLive] = item;
    let anyLive = isLive === 1;
    for (let last: Uint8Array | null = key; last !== null && !anyLive; ) {
      const [rows, lastKey, live]: ItemsRow = reader().itemsBehind(namespace, id, last, clock.now());
      anyLive = live === 1;
      last = lastKey;
      passed += rows + 1;
      if (passed >= MAX_ROWS_PER_STEP) {
        passed = 0;
        await nextTurn();
        if (call.aborted) {
          throw abortError(call.signal);
        }
      }
    }
    if (anyLive) {
      names.push(textOf(id));
    }
    from = successor(id);
  }
}

/** The least key of all. SQLite would be handed NULL for an empty one. */
const FIRST_KEY = Uint8Array.of(0);

function boundOf(from: Uint8Array): Uint8Array {
  return from.length === 0 ? FIRST_KEY : from;
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString();
}
