import type { DatabaseSync } from "node:sqlite";
import { prepare } from "./query.ts";

/** Markers among the lengths: no value, and a large value that is read on its own. */
const ABSENT = -1;
const LARGE = -2;

/** Reads the values of many keys; `undefined` where there is no entry. Throws SQLite's errors. */
export type GetMany = (
  namespace: string,
  keys: readonly string[],
  nowMs: number,
) => (Uint8Array | undefined)[];

/**
 * Uses one statement, with all small values in one BLOB. Each value is a view of it. A row and an
 * array for each key would cost more than finding it. The keys are passed as JSON, because a
 * statement has a fixed number of parameters.
 *
 * @param getLarge Reads one value.
 */
export function createGetMany(
  db: DatabaseSync,
  getLarge: (namespace: string, key: string, nowMs: number) => Uint8Array | undefined,
): GetMany {
  const query = prepare<[pack: Uint8Array | null, lengths: string]>(
    db,
    // SQLite concatenates BLOBs byte by byte, whatever they hold. A LEFT JOIN keeps the order of
    // its left side.
    `SELECT CAST(group_concat(entry.value, '') AS BLOB),
            group_concat(ifnull(length(entry.value), iif(large_value_id IS NULL, ${ABSENT}, ${LARGE})))
     FROM json_each(?2) AS wanted LEFT JOIN entry
       ON namespace = ?1 AND entry.key = CAST(wanted.value AS BLOB)
       AND (expires_at_ms IS NULL OR expires_at_ms > ?3)`,
  );
  return (namespace, keys, nowMs) => {
    if (keys.length === 0) {
      return [];
    }
    const row = query.get(namespace, JSON.stringify(keys), nowMs);
    if (row === undefined) {
      throw new Error("an aggregate had no row");
    }
    const [pack, lengths] = row;
    let start = 0;
    return lengths.split(",").map((text, i) => {
      const length = Number(text);
      if (length === ABSENT) {
        return undefined;
      }
      if (length === LARGE) {
        return getLarge(namespace, keys[i] ?? "", nowMs);
      }
      if (pack === null || length === 0) {
        return new Uint8Array(0);
      }
      start += length;
      return new Uint8Array(pack.buffer, pack.byteOffset + start - length, length);
    });
  };
}
