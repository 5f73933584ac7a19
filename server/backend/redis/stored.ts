import type { HeldEntry } from "../commit.ts";
import { isRefusal, Refusal } from "../contract.ts";
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

function damaged(): Refusal {
  return new Refusal("corrupt_data", STORE_MESSAGES.corrupt_data);
}
