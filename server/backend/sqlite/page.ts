import type { DatabaseSync } from "node:sqlite";
import type { Page, PageQuery } from "../contract.ts";
import { keyRange } from "../key-range.ts";
import { PackedValues } from "../values.ts";
import { prepare } from "./query.ts";

/**
 * The most rows, with expired ones, that one page or one step of a count reads. Bounds how long the
 * event loop stands still.
 */
export const MAX_ROWS_PER_STEP = 4096;

/** The most rows in one pack. With the largest values that a row can hold they fill a page. */
const MAX_PACK_ROWS = 64;

/** The rows of the first pack, when their size is not known yet. */
const FIRST_PACK_ROWS = 4;

/** Markers among the lengths: an expired entry, and a large value that is read on its own. */
const EXPIRED = -1;
const LARGE = -2;

const LIVE = "(expires_at_ms IS NULL OR expires_at_ms > ?1)";

const NOTHING = new Uint8Array(0);

/** Reads one page of a scan. `nowMs` counts from 1970. Throws SQLite's errors. */
export type ReadPage = (namespace: string, query: PageQuery, nowMs: number) => Page;

/**
 * Rows come in packs: one JSON array of keys and one BLOB of values. One row and one buffer for
 * each entry would take twice as long for small values.
 *
 * @param getLarge Reads one value.
 */
export function createReadPage(
  db: DatabaseSync,
  getLarge: (namespace: string, key: string, nowMs: number) => Uint8Array | undefined,
): ReadPage {
  // Expired rows come too, without their values, because a page bounds the rows that it passes. An
  // aggregate takes the rows of a subquery in order, and SQLite concatenates BLOBs byte by byte.
  // The limit is an expression: for a bare parameter SQLite would plan the statement again for each
  // value.
  const selectPack = (length: string, value: string, order: "ASC" | "DESC") =>
    prepare<[keys: string, lengths: string | null, values: Uint8Array | null]>(
      db,
      `SELECT json_group_array(CAST(key AS TEXT)), group_concat(length), CAST(group_concat(small, '') AS BLOB)
       FROM (SELECT key, iif(${LIVE}, ${length}, ${EXPIRED}) AS length, iif(${LIVE}, ${value}, NULL) AS small
             FROM entry WHERE namespace = ?2 AND key >= ?3 AND key < ?4 ORDER BY key ${order} LIMIT +?5)`,
    );
  const inOrder = (order: "ASC" | "DESC") => ({
    withValues: selectPack(`ifnull(length(value), ${LARGE})`, "value", order),
    keysOnly: selectPack("0", "NULL", order),
  });
  const forwards = inOrder("ASC");
  const backwards = inOrder("DESC");

  return (namespace, query, nowMs) => {
    const { reverse = false, after, maxEntries, maxBytes, keysOnly } = query;
    const selects = reverse ? backwards : forwards;
    const select = keysOnly ? selects.keysOnly : selects.withValues;
    const keys: string[] = [];
    const values = new PackedValues();
    let bytes = 0;
    let { from, below } = keyRange(query, after);
    let last = "";
    let rows = 0;
    for (let packRows = FIRST_PACK_ROWS; rows < MAX_ROWS_PER_STEP; ) {
      const limit = Math.min(packRows, maxEntries - keys.length);
      const row = select.get(nowMs, namespace, from, below, limit);
      if (row === undefined) {
        throw new Error("an aggregate had no row");
      }
      const packKeys = JSON.parse(row[0]) as string[];
      const lengths = row[1]?.split(",") ?? [];
      const pack = row[2] ?? NOTHING;
      let at = 0;
      for (const [i, key] of packKeys.entries()) {
        last = key;
        const length = Number(lengths[i]);
        if (length === EXPIRED) {
          continue;
        }
        if (!keysOnly) {
          const large = length === LARGE;
          const source = large ? getLarge(namespace, key, nowMs) : pack;
          // The entry was deleted after its row was read.
          if (source === undefined) {
            continue;
          }
          const start = large ? 0 : at;
          const end = large ? source.length : at + length;
          values.add(source, start, end);
          bytes += end - start;
          if (!large) {
            at = end;
          }
        }
        keys.push(key);
        bytes += Buffer.byteLength(key);
        if (keys.length >= maxEntries || bytes >= maxBytes) {
          return { keys, values, next: key };
        }
      }
      if (packKeys.length < limit) {
        return { keys, values, next: undefined };
      }
      ({ from, below } = keyRange(query, last));
      rows += limit;
      // As many rows as still fit the page, if they are as large as those before.
      const rowBytes = Math.max(1, bytes / rows);
      packRows = Math.min(MAX_PACK_ROWS, Math.ceil((maxBytes - bytes) / rowBytes));
    }
    return { keys, values, next: last };
  };
}
