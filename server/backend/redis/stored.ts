import { Refusal } from "../contract.ts";
import { STORE_MESSAGES } from "../store-errors.ts";

/** An entry's string in Redis begins with its version, a big-endian number of this many bytes. */
export const VERSION_BYTES = 8;

/** The value in an entry's string: a view of it. The refusal `corrupt_data` if there is no version. */
export function valueIn(stored: Buffer): Buffer | Refusal {
  return stored.length < VERSION_BYTES ? damaged() : stored.subarray(VERSION_BYTES);
}

function damaged(): Refusal {
  return new Refusal("corrupt_data", STORE_MESSAGES.corrupt_data);
}
