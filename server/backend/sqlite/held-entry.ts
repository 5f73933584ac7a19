import type { DatabaseSync } from "node:sqlite";
import type { Held } from "../decide.ts";
import { storeError } from "../store-errors.ts";
import { prepare } from "./query.ts";

/**
 * Finds the unexpired entry of a key. A large value is read when somebody asks, in the same
 * transaction. Throws SQLite's errors.
 */
export type FindHeld = (namespace: string, key: string, nowMs: number) => Held | undefined;

/** Prepares {@link FindHeld} over one connection to a migrated database. */
export function createFindHeld(db: DatabaseSync): FindHeld {
  const find = prepare<
    [value: Uint8Array | null, largeId: number | null, version: number, expiresAtMs: number | null]
  >(
    db,
    `SELECT value, large_value_id, version, expires_at_ms FROM entry
     WHERE namespace = ? AND key = CAST(? AS BLOB) AND (expires_at_ms IS NULL OR expires_at_ms > ?)`,
  );
  const large = prepare<[value: Uint8Array]>(db, "SELECT value FROM large_value WHERE id = ?");
  // SQLite tells the length of a BLOB without reading it.
  const largeBytes = prepare<[bytes: number]>(db, "SELECT length(value) FROM large_value WHERE id = ?");

  return (namespace, key, nowMs) => {
    const row = find.get(namespace, key, nowMs);
    if (row === undefined) {
      return undefined;
    }
    const [inline, largeId, version, expiresAt] = row;
    const expiresAtMs = expiresAt ?? undefined;
    if (inline !== null) {
      return { value: inline, bytes: inline.length, version, expiresAtMs };
    }
    return {
      get value() {
        return present(large.get(largeId));
      },
      get bytes() {
        return present(largeBytes.get(largeId));
      },
      version,
      expiresAtMs,
    };
  };
}

function present<T>(row: readonly [T] | undefined): T {
  if (row === undefined) {
    throw storeError("corrupt_data", new Error("an entry lacks its large value"));
  }
  return row[0];
}
