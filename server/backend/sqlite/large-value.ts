import type { DatabaseSync } from "node:sqlite";
import { prepare } from "./query.ts";

/** A larger value has a row of its own: see migration 2. */
export const MAX_INLINE_VALUE_BYTES = 4096;

/** Where a value goes: into its row, or into a row of its own, whose id its row has. */
export type PlacedValue =
  | readonly [value: Uint8Array, largeValueId: null]
  | readonly [value: null, largeValueId: number];

/** Prepares what stores a large value; answers what the row of any value has. */
export function createPlaceValue(db: DatabaseSync): (value: Uint8Array) => PlacedValue {
  const insert = prepare<[id: number]>(db, "INSERT INTO large_value (value) VALUES (?) RETURNING id");
  return (value) => {
    if (value.length <= MAX_INLINE_VALUE_BYTES) {
      return [value, null];
    }
    const row = insert.get(value);
    if (row === undefined) {
      throw new Error("an insert has no id");
    }
    return [null, row[0]];
  };
}
