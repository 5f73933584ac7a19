import type { DatabaseSync } from "node:sqlite";
import type { KeyRange } from "../key-range.ts";
import { entryKeysOf, type Operation } from "./operation.ts";
import { prepare } from "./query.ts";

/**
 * The keys of entries that a group of writes may change. Each key is looked up once, however many
 * counts ask.
 */
export interface GroupKeys {
  /** Whether the group removes entries of a namespace without naming them. */
  erases(namespace: string): boolean;
  /** Whether any of them is in a range. */
  isAnyIn(namespace: string, range: KeyRange): boolean;
  /** How many of them in a range are live and expire after `nowMs`. Throws SQLite's errors. */
  liveIn(namespace: string, range: KeyRange, nowMs: number): number;
  /** Forgets all lookups. Call it when the database may have changed. */
  forget(): void;
}

interface GroupKey {
  readonly key: Uint8Array;
  /**
   * When the entry expires. Infinity = never, -Infinity = there is no entry, `undefined` = not
   * looked up.
   */
  expiresAtMs: number | undefined;
}

/** Makes {@link GroupKeys} for groups, over one connection. */
export function createReadGroup(db: DatabaseSync): (operations: readonly Operation[]) => GroupKeys {
  const look = prepare<[expiresAtMs: number | null]>(
    db,
    "SELECT expires_at_ms FROM entry WHERE namespace = ? AND key = ?",
  );

  function expiryOf(namespace: string, key: Uint8Array): number {
    const row = look.get(namespace, key);
    return row === undefined ? -Infinity : (row[0] ?? Infinity);
  }

  return (operations) => {
    const byNamespace = new Map<string, readonly GroupKey[]>();

    /** In ascending order. Made on demand, because there is mostly no count. */
    function keysOf(namespace: string): readonly GroupKey[] {
      let keys = byNamespace.get(namespace);
      if (keys === undefined) {
        keys = keysIn(operations, namespace);
        byNamespace.set(namespace, keys);
      }
      return keys;
    }

    const erases = (namespace: string) =>
      operations.some((each) => each.type === "erase" && each.namespace === namespace);

    return {
      erases,
      isAnyIn(namespace, { from, below }) {
        if (erases(namespace)) {
          return true;
        }
        const keys = keysOf(namespace);
        const first = keys[firstFrom(keys, from)];
        return first !== undefined && Buffer.compare(first.key, below) < 0;
      },
      liveIn(namespace, { from, below }, nowMs) {
        const keys = keysOf(namespace);
        const end = firstFrom(keys, below);
        let live = 0;
        for (let at = firstFrom(keys, from); at < end; at++) {
          const each = keys[at];
          if (each === undefined) {
            break;
          }
          each.expiresAtMs ??= expiryOf(namespace, each.key);
          if (each.expiresAtMs > nowMs) {
            live++;
          }
        }
        return live;
      },
      forget() {
        for (const keys of byNamespace.values()) {
          for (const key of keys) {
            key.expiresAtMs = undefined;
          }
        }
      },
    };
  };
}

/** Without duplicates, in ascending order. */
function keysIn(operations: readonly Operation[], namespace: string): GroupKey[] {
  const keys = new Set<string>();
  for (const operation of operations) {
    for (const key of entryKeysOf(operation, namespace)) {
      keys.add(key);
    }
  }
  return Array.from(keys, (key) => ({ key: Buffer.from(key), expiresAtMs: undefined })).sort((a, b) =>
    Buffer.compare(a.key, b.key),
  );
}

/** The index of the first key at or after `from`; the length = none. */
function firstFrom(keys: readonly GroupKey[], from: Uint8Array): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const key = keys[middle]?.key;
    if (key !== undefined && Buffer.compare(key, from) < 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
