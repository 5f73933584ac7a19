/** Greater than every key: UTF-8 has no byte 0xFF. */
const AFTER_ALL = Buffer.of(0xff);

/** The keys from `from` (included) to `below` (excluded), as bytes. */
export interface KeyRange {
  readonly from: Uint8Array;
  readonly below: Uint8Array;
}

/** The keys that start with `prefix` and come after `after`. `undefined` = no lower bound. */
export function keyRange(prefix: string, after: string | undefined): KeyRange {
  const start = Buffer.from(prefix);
  if (after === undefined) {
    return { from: start, below: endOf(start) };
  }
  const next = successor(Buffer.from(after));
  return { from: Buffer.compare(next, start) > 0 ? next : start, below: endOf(start) };
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
