import { PrismError } from "../errors.ts";
import type { Interfaces, ScanRange } from "./contract.ts";
import { keyRange } from "./key-range.ts";
import { type AnyMethod, type AnyRow, buildInterfaces, methodOf } from "./operations.ts";

/** The most prefixes that a message names. */
const MAX_NAMED = 3;

/**
 * A store's interfaces for calls that may touch only keys with one of `call.keyPrefixes`. A call
 * that names another key, or a range that is not within one prefix, fails as `permission_denied`
 * and has no effect. A range is never cut to what is allowed: its reader would take a part for the
 * whole. A call without prefixes may touch nothing.
 *
 * It derives from the table of operations, so a new call obeys it too. It answers the same whether
 * a key exists or not, because it does not look.
 */
export function narrow(store: Interfaces): Interfaces {
  return buildInterfaces((of, method, row) => {
    const inner = methodOf(store, of, method);
    return inner && narrowMethod(inner, row);
  });
}

function narrowMethod(inner: AnyMethod, row: AnyRow): AnyMethod {
  return async (namespace, argument, call) => {
    const prefixes = call.keyPrefixes ?? [];
    if (!isWithin(row, argument, prefixes)) {
      throw outside(row, prefixes);
    }
    return inner(namespace, argument, call);
  };
}

/** Whether a call touches only keys with one of the prefixes. */
function isWithin(row: AnyRow, argument: unknown, prefixes: readonly string[]): boolean {
  const isAllowed = (key: string) => prefixes.some((prefix) => key.startsWith(prefix));
  switch (row.takes) {
    case "items": {
      const items = argument as readonly unknown[];
      return row.keys === "one"
        ? items.every((item) => isAllowed(row.keyOf(item)))
        : items.every((item) => row.keysOf(item).every(isAllowed));
    }
    case "range": {
      const range = row.rangeOf(argument);
      return prefixes.some((prefix) => isPart(range, prefix));
    }
    case "wait":
      return isAllowed(row.keyOf(argument));
  }
}

/** Whether every key of the range starts with the prefix. */
function isPart(range: ScanRange, prefix: string): boolean {
  const { from, below } = keyRange(range);
  const allowed = keyRange({ prefix });
  return Buffer.compare(from, allowed.from) >= 0 && Buffer.compare(below, allowed.below) <= 0;
}

function outside(row: AnyRow, prefixes: readonly string[]): PrismError {
  const named = prefixes.slice(0, MAX_NAMED).map((prefix) => JSON.stringify(prefix));
  const others = prefixes.length > MAX_NAMED ? ` or ${prefixes.length - MAX_NAMED} others` : "";
  const keys = prefixes.length === 0 ? "no keys" : `only keys that start with ${named.join(" or ")}${others}`;
  const advice = row.takes === "range" ? "; name a range that lies within" : "";
  // Prefixes are beginnings of keys.
  return new PrismError("permission_denied", `the caller may use ${keys}${advice}`, { echoes: true });
}
