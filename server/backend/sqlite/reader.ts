import type { DatabaseSync } from "node:sqlite";
import type { Page, PageQuery } from "../contract.ts";
import { type KeyRange, keyRange, successor } from "../key-range.ts";
import { ArrayValues } from "../values.ts";
import { createGetMany, type GetMany } from "./packed-values.ts";
import { prepare, type Query } from "./query.ts";

/** Rows that one page or one step of a count looks at, expired ones included: a bound on how long the event loop stands still. */
export const MAX_ROWS_PER_STEP = 4096;

/**
 * The statements that read, each prepared once, over one connection. All answer at once and hold no transaction
 * open. `nowMs` is since 1970.
 */
export interface Reader {
  get(namespace: string, key: string, nowMs: number): Uint8Array | undefined;
  getMany: GetMany;
  exists(namespace: string, key: string, nowMs: number): boolean;
  page(namespace: string, query: PageQuery, nowMs: number): Page;
  /** Length of a list, 0 = absent. */
  length(namespace: string, key: string): number;
  /** Whether there is anything to sweep. */
  hasExpired(nowMs: number): boolean;
}

/** Makes a {@link Reader} of a migrated database. Its calls throw SQLite's errors. */
export function createReader(db: DatabaseSync): Reader {
  const live = "(expires_at_ms IS NULL OR expires_at_ms > ?)";
  const value = prepare<[value: Uint8Array]>(
    db,
    `SELECT value FROM entry WHERE namespace = ? AND key = CAST(? AS BLOB) AND ${live}`,
  );
  const presence = prepare<[1]>(
    db,
    `SELECT 1 FROM entry WHERE namespace = ? AND key = CAST(? AS BLOB) AND ${live}`,
  );
  const length = prepare<[number]>(
    db,
    "SELECT tail - head FROM list WHERE namespace = ? AND key = CAST(? AS BLOB)",
  );
  const expired = prepare<[1]>(db, "SELECT 1 FROM entry WHERE expires_at_ms <= ? LIMIT 1");
  const get: Reader["get"] = (namespace, key, nowMs) => value.get(namespace, key, nowMs)?.[0];
  return {
    get,
    getMany: createGetMany(db, get),
    exists: (namespace, key, nowMs) => presence.get(namespace, key, nowMs) !== undefined,
    page: createPage(db),
    length: (namespace, key) => length.get(namespace, key)?.[0] ?? 0,
    hasExpired: (nowMs) => expired.get(nowMs) !== undefined,
  };
}

/** A key, its size, whether it is live (1 or 0), and the value where that was asked for and it is live. */
type PageRow = readonly [key: string, keyBytes: number, live: 0 | 1, value: Uint8Array | null];

function createPage(db: DatabaseSync): Reader["page"] {
  // Expired rows come back too, without their values, because a page has to bound the rows that it passes over.
  const select = (value: string): Query<PageRow> =>
    prepare(
      db,
      `SELECT CAST(key AS TEXT), length(key), expires_at_ms IS NULL OR expires_at_ms > ?1, ${value}
       FROM entry WHERE namespace = ?2 AND key >= ?3 AND key < ?4 ORDER BY key LIMIT ${MAX_ROWS_PER_STEP}`,
    );
  const withValues = select("iif(expires_at_ms IS NULL OR expires_at_ms > ?1, value, NULL)");
  const withoutValues = select("NULL");

  return (namespace, { prefix, after, maxEntries, maxBytes, keysOnly }, nowMs) => {
    const { from, below } = keyRange(prefix, after);
    const keys: string[] = [];
    const values: Uint8Array[] = [];
    let bytes = 0;
    let rows = 0;
    for (const [key, keyBytes, live, value] of (keysOnly ? withoutValues : withValues).iterate(
      nowMs,
      namespace,
      from,
      below,
    )) {
      rows++;
      if (live === 1) {
        keys.push(key);
        if (value !== null) values.push(value);
        bytes += keyBytes + (value?.length ?? 0);
      }
      if (keys.length >= maxEntries || bytes >= maxBytes || rows === MAX_ROWS_PER_STEP) {
        return { keys, values: new ArrayValues(values), next: key };
      }
    }
    return { keys, values: new ArrayValues(values), next: undefined };
  };
}

/** One step of a count: how many keys it found live, and where the next step starts, `undefined` = the range is done. */
export interface CountStep {
  readonly live: number;
  readonly next: KeyRange | undefined;
}

/** Makes the step of a count: it looks at {@link MAX_ROWS_PER_STEP} rows at most. */
export function createCountStep(
  db: DatabaseSync,
): (namespace: string, range: KeyRange, nowMs: number) => CountStep {
  const step = prepare<[rows: number, live: number, last: Uint8Array | null]>(
    db,
    `SELECT count(*), count(*) FILTER (WHERE expires_at_ms IS NULL OR expires_at_ms > ?), max(key)
     FROM (SELECT key, expires_at_ms FROM entry
           WHERE namespace = ? AND key >= ? AND key < ? ORDER BY key LIMIT ${MAX_ROWS_PER_STEP})`,
  );
  return (namespace, { from, below }, nowMs) => {
    const [rows, live, last] = step.get(nowMs, namespace, from, below) ?? [0, 0, null];
    const done = rows < MAX_ROWS_PER_STEP || last === null;
    return { live, next: done ? undefined : { from: successor(last), below } };
  };
}
