import type { DatabaseSync } from "node:sqlite";
import type { HeldEntry, Read } from "../commit.ts";
import type { Refusal } from "../contract.ts";
import { readHeld } from "../decide.ts";
import { type KeyRange, successor } from "../key-range.ts";
import { createFindHeld } from "./held-entry.ts";
import { createNameReader, type NameReader } from "./names.ts";
import { createGetMany, type GetMany } from "./packed-values.ts";
import { createReadPage, MAX_ROWS_PER_STEP, type ReadPage } from "./page.ts";
import { prepare } from "./query.ts";
import { createRecordReader, type RecordReader } from "./records.ts";
import { createReadSlice, type ReadSlice } from "./slice.ts";
import { createStreamReader, type StreamReader } from "./stream-reader.ts";

/**
 * The reading statements over one connection, each prepared once. All answer at once and leave no
 * transaction open. `nowMs` counts from 1970.
 */
export interface Reader {
  get(namespace: string, key: string, nowMs: number): Uint8Array | undefined;
  getMany: GetMany;
  exists(namespace: string, key: string, nowMs: number): boolean;
  /** Reads all keys at one moment. Refuses before it reads more values than it may. */
  read(namespace: string, read: Read, nowMs: number): readonly (HeldEntry | undefined)[] | Refusal;
  page: ReadPage;
  readonly records: RecordReader;
  readonly streams: StreamReader;
  readonly names: NameReader;
  /** The length of a list; 0 = there is none. */
  length(namespace: string, key: string): number;
  slice: ReadSlice;
  /** Whether a sweep would find anything. */
  hasExpired(nowMs: number): boolean;
}

/** Makes a {@link Reader} of a migrated database. Its methods throw SQLite's errors. */
export function createReader(db: DatabaseSync): Reader {
  const live = "(expires_at_ms IS NULL OR expires_at_ms > ?)";
  const value = prepare<[value: Uint8Array]>(
    db,
    `SELECT ifnull(value, (SELECT value FROM large_value WHERE id = large_value_id)) FROM entry WHERE namespace = ? AND key = CAST(? AS BLOB) AND ${live}`,
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
  const records = createRecordReader(db);
  const streams = createStreamReader(db);
  const get: Reader["get"] = (namespace, key, nowMs) => value.get(namespace, key, nowMs)?.[0];
  return {
    get,
    getMany: createGetMany(db, get),
    exists: (namespace, key, nowMs) => presence.get(namespace, key, nowMs) !== undefined,
    read: createRead(db),
    page: createReadPage(db, get),
    records,
    streams,
    names: createNameReader(db),
    length: (namespace, key) => length.get(namespace, key)?.[0] ?? 0,
    slice: createReadSlice(db),
    hasExpired: (nowMs) =>
      expired.get(nowMs) !== undefined || records.hasExpired(nowMs) || streams.hasExpired(nowMs),
  };
}

function createRead(db: DatabaseSync): Reader["read"] {
  const find = createFindHeld(db);
  return (namespace, read, nowMs) => {
    db.exec("BEGIN");
    try {
      return readHeld(read, (key) => find(namespace, key, nowMs), nowMs);
    } finally {
      db.exec("COMMIT");
    }
  };
}

/**
 * One step of a count: the live keys it found, and where the next step starts. `undefined` = the
 * range is done.
 */
export interface CountStep {
  readonly live: number;
  readonly next: KeyRange | undefined;
}

/** Makes the step function of a count. A step reads at most {@link MAX_ROWS_PER_STEP} rows. */
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
