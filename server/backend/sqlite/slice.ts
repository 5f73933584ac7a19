import type { DatabaseSync } from "node:sqlite";
import { placesOf, restOf } from "../list-range.ts";
import type { ListPage, ListSlice } from "../lists.ts";
import { storeError } from "../store-errors.ts";
import { ArrayValues } from "../values.ts";
import { prepare } from "./query.ts";

/**
 * Reads one page of a range. Throws SQLite's errors, and PrismError `corrupt_data` where the list
 * lacks a value.
 */
export type ReadSlice = (namespace: string, slice: ListSlice) => ListPage;

/** One statement, so that the list's ends and its values are those of one moment. */
export function createReadSlice(db: DatabaseSync): ReadSlice {
  const select = prepare<[length: number, place: number | null, value: Uint8Array | null]>(
    db,
    `SELECT tail - head, position - head, value FROM list LEFT JOIN list_item
       ON list_id = id
       AND position >= head + iif(?3 < 0, max(0, tail - head + ?3), ?3)
       AND position <= head + iif(?4 < 0, tail - head + ?4, ?4)
     WHERE namespace = ?1 AND key = CAST(?2 AS BLOB) ORDER BY position LIMIT +?5`,
  );
  return (namespace, { key, start, stop, maxEntries, maxBytes }) => {
    const values: Uint8Array[] = [];
    let places = placesOf({ start, stop }, 0);
    let bytes = 0;
    for (const [length, place, value] of select.iterate(namespace, key, start, stop, maxEntries)) {
      places = placesOf({ start, stop }, length);
      if (places.first === places.end) {
        break;
      }
      if (place !== places.first + values.length || value === null) {
        throw storeError("corrupt_data");
      }
      values.push(value);
      bytes += value.length;
      if (bytes >= maxBytes) {
        break;
      }
    }
    const next = restOf(places, values.length);
    if (next !== undefined && values.length < maxEntries && bytes < maxBytes) {
      throw storeError("corrupt_data");
    }
    return { values: new ArrayValues(values), next };
  };
}
