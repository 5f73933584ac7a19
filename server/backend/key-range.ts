import type { ScanRange } from "./contract.ts";

/** Greater than every key: UTF-8 has no byte 0xFF. */
const AFTER_ALL = Buffer.of(0xff);

/** The keys from `from` (included) to `below` (excluded), as bytes. */
export interface KeyRange {
  readonly from: Uint8Array;
  readonly below: Uint8Array;
}

/**
 * The keys of a scan that come after `after` in its order; `undefined` = all. The range is empty if
 * `from` is not less than `below`.
 */
export function keyRange({ prefix, start, end, reverse = false }: ScanRange, after?: string): KeyRange {
  const first = Buffer.from(prefix);
  let from: Uint8Array = first;
  let below = endOf(first);
  if (start !== undefined) {
    from = greater(from, Buffer.from(start));
  }
  if (end !== undefined) {
    below = lesser(below, Buffer.from(end));
  }
  if (after !== undefined && reverse) {
    below = lesser(below, Buffer.from(after));
  } else if (after !== undefined) {
    // The least key that is greater.
    from = greater(from, Buffer.from(`${after}\0`));
  }
  return { from, below };
}

function greater(a: Uint8Array, b: Uint8Array): Uint8Array {
  return Buffer.compare(a, b) < 0 ? b : a;
}

function lesser(a: Uint8Array, b: Uint8Array): Uint8Array {
  return Buffer.compare(a, b) < 0 ? a : b;
}

/** The smallest key that is greater than `key`. */
export function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

/**
 * The smallest bytes above every key with the prefix. No carry: the last byte of UTF-8 is at most
 * 0xF4.
 */
function endOf(prefix: Buffer): Uint8Array {
  if (prefix.length === 0) {
    return AFTER_ALL;
  }
  const end = Buffer.from(prefix);
  end.writeUInt8(end.readUInt8(end.length - 1) + 1, end.length - 1);
  return end;
}
