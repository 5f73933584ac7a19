import type { HeldEntry } from "../commit.ts";
import { isRefusal, Refusal } from "../contract.ts";
import type { HeldItem } from "../records.ts";
import { STORE_MESSAGES } from "../store-errors.ts";

/** An entry's string in Redis begins with its version, a big-endian number of this many bytes. */
export const VERSION_BYTES = 8;

/** The value in an entry's string, as a view. A refusal (`corrupt_data`) if there is no version. */
export function valueIn(stored: Buffer): Buffer | Refusal {
  return stored.length < VERSION_BYTES ? damaged() : stored.subarray(VERSION_BYTES);
}

/** The entry in such a string, as its readers get it. `ttlMs`: 0 = it never expires. */
export function entryIn(stored: Buffer, ttlMs: number): HeldEntry | Refusal {
  const value = valueIn(stored);
  if (isRefusal(value)) {
    return value;
  }
  // Exact: a version has 53 bits.
  const version = stored.readUInt32BE(0) * 2 ** 32 + stored.readUInt32BE(4);
  return { value, version, ttlMs };
}

/**
 * The bytes before the metadata and the value of a record's item: three times as 64-bit floating
 * point numbers (created, updated, time to live), and the number of bytes of the metadata.
 */
const ITEM_HEAD_BYTES = 26;

/** The item in the bytes that write-items.lua makes, as views. A refusal if they are others. */
export function heldItemIn(key: Uint8Array, stored: Buffer): HeldItem | Refusal {
  const valueAt = stored.length < ITEM_HEAD_BYTES ? Infinity : ITEM_HEAD_BYTES + stored.readUInt16BE(24);
  if (stored.length < valueAt) {
    return damaged();
  }
  return {
    key,
    value: stored.subarray(valueAt),
    metadata: stored.subarray(ITEM_HEAD_BYTES, valueAt),
    ttlMs: stored.readDoubleBE(16),
    createdAtMs: stored.readDoubleBE(0),
    updatedAtMs: stored.readDoubleBE(8),
  };
}

function damaged(): Refusal {
  return new Refusal("corrupt_data", STORE_MESSAGES.corrupt_data);
}
