import { PrismError } from "../errors.ts";
import { MAX_KEY_BYTES, MAX_TTL_SECONDS } from "../limits.ts";

/**
 * Checks of request fields, as pure functions. Each throws {@link PrismError} `invalid_field` (or
 * `value_too_large`) with the field's proto name and what would be right.
 */

/** A key of an entry or a list: 1 to MAX_KEY_BYTES bytes of UTF-8. */
export function checkKey(field: "key" | "list_key", key: string): void {
  if (key.length === 0) {
    throw invalid(field, `${field} must not be empty`);
  }
  checkText(field, key);
}

/** A prefix to scan. Like a key, but "" means all. */
export function checkPrefix(prefix: string): void {
  checkText("prefix", prefix);
}

/** A value: any bytes, 0 to `maxValueBytes`. */
export function checkValue(value: Uint8Array, maxValueBytes: number): void {
  if (value.byteLength > maxValueBytes) {
    throw new PrismError(
      "value_too_large",
      `value has ${value.byteLength} bytes; the limit is ${maxValueBytes}`,
      { field: "value" },
    );
  }
}

/** A limit on the number of results; 0 = all. Answers the number, Infinity for all. */
export function checkLimit(limit: number): number {
  if (limit < 0) {
    throw invalid("limit", "limit must be 0 (all) or positive");
  }
  return limit === 0 ? Number.POSITIVE_INFINITY : limit;
}

/** A time to live in seconds; absent or 0 = never expires. Answers milliseconds, 0 for never. */
export function checkTtlSeconds(ttlSeconds: bigint | undefined): number {
  if (ttlSeconds === undefined) {
    return 0;
  }
  if (ttlSeconds < 0n || ttlSeconds > MAX_TTL_SECONDS) {
    throw invalid("ttl_seconds", `ttl_seconds must be 0 (never expires) to ${MAX_TTL_SECONDS}`);
  }
  return Number(ttlSeconds) * 1000;
}

/** JSON can carry lone surrogates, which have no UTF-8 form. Protobuf's binary form cannot. */
function checkText(field: string, text: string): void {
  if (text.length > MAX_KEY_BYTES || Buffer.byteLength(text) > MAX_KEY_BYTES) {
    throw invalid(field, `${field} must be at most ${MAX_KEY_BYTES} bytes of UTF-8`);
  }
  if (!text.isWellFormed()) {
    throw invalid(field, `${field} must be valid UTF-8`);
  }
}

function invalid(field: string, message: string): PrismError {
  return new PrismError("invalid_field", message, { field });
}
