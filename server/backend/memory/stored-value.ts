/** The longest value kept as a string, in bytes. */
const MAX_STRING_BYTES = 512;

/**
 * A value at rest. A short one is a string with one character for each byte: a string is one heap
 * object, a Uint8Array is three and an allocation outside the heap. For five million values of 100
 * bytes, strings take half the memory and a quarter of the time to write, most of it the garbage
 * collector's. A long one is an array, which does not count toward the heap's limit.
 */
export type StoredValue = string | Uint8Array;

/** Copies a value for keeping. */
export function store(value: Uint8Array): StoredValue {
  if (value.length > MAX_STRING_BYTES) {
    return new Uint8Array(value);
  }
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString("latin1");
}

/** Turns a stored value back into bytes. */
export function load(stored: StoredValue): Uint8Array {
  return typeof stored === "string" ? Buffer.from(stored, "latin1") : stored;
}

/** Makes a function that tells whether a stored value has these bytes. */
export function isStored(value: Uint8Array): (stored: StoredValue) => boolean {
  const wanted = value.length > MAX_STRING_BYTES ? value : store(value);
  return typeof wanted === "string"
    ? (stored) => stored === wanted
    : (stored) => typeof stored !== "string" && Buffer.compare(stored, wanted) === 0;
}
