/** Longest value that is kept as a string, in bytes. */
const MAX_STRING_BYTES = 512;

/**
 * A value at rest. A short one is a string of one character for each byte, because a string is one object on the heap and a Uint8Array
 * is three and an allocation outside: at five million values of 100 bytes that is half the memory and a quarter of the time to write
 * (most of it the garbage collector's). A long one is an array, which does not count toward the heap's limit.
 */
export type StoredValue = string | Uint8Array;

/** Copies a value to keep it. */
export function store(value: Uint8Array): StoredValue {
  if (value.length > MAX_STRING_BYTES) {
    return new Uint8Array(value);
  }
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString("latin1");
}

/** The value again. */
export function load(stored: StoredValue): Uint8Array {
  return typeof stored === "string" ? Buffer.from(stored, "latin1") : stored;
}
