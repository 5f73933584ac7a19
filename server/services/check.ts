import { PrismError } from "../errors.ts";
import { MAX_CALL_ITEMS, MAX_KEY_BYTES, MAX_TTL_SECONDS } from "../limits.ts";

/**
 * Checks of request fields, as pure functions. Each throws {@link PrismError} `invalid_field` (or
 * `value_too_large`) with the field's proto name and what would be right. A message begins with the
 * name of its field.
 */

/** A key of an entry or a list, the id of a record or the name of a stream: 1 to MAX_KEY_BYTES. */
export function checkKey(
  field: "key" | "list_key" | "id" | "stream" | "source_key" | "destination_key",
  key: string,
): void {
  checkFullText(field, key);
}

/** The keys of one call: 1 to MAX_CALL_ITEMS. An error names the key, as `keys[3]`. */
export function checkKeys(keys: readonly string[]): void {
  checkCount("keys", keys.length, 1, MAX_CALL_ITEMS);
  checkEach("keys", keys, (key) => checkFullText("", key));
}

/** A number of items. */
export function checkCount(field: string, count: number, min: number, max: number): void {
  if (count < min || count > max) {
    throw invalid(field, `${field} must be ${min} to ${max}, and ${count} came`);
  }
}

/**
 * Checks each item of a list. The error of an item names its place: `key` becomes `items[2].key`.
 */
export function checkEach<T, R>(field: string, items: readonly T[], check: (item: T) => R): R[] {
  return items.map((item, index) => {
    try {
      return check(item);
    } catch (error) {
      throw inPart(`${field}[${index}]`, error);
    }
  });
}

/** Checks a part. Its error names the part: `value` becomes `set.value`. */
export function checkPart<R>(path: string, check: () => R): R {
  try {
    return check();
  } catch (error) {
    throw inPart(path, error);
  }
}

/** The error of a part with the path of the part in front of the field and of the message. */
function inPart(path: string, error: unknown): unknown {
  if (!(error instanceof PrismError)) {
    return error;
  }
  const { reason, message, field = "" } = error;
  const dot = field === "" ? "" : ".";
  return new PrismError(reason, `${path}${dot}${message}`, { field: `${path}${dot}${field}` });
}

/** What bounds or divides a scan. Like a key, but "" means that there is none. */
export function checkBound(field: "prefix" | "start" | "end" | "delimiter", text: string): void {
  checkText(field, text);
}

/** The bounds of a range, as {@link checkBound}. Its start must not come after its end. */
export function checkRange(range: {
  readonly start: string;
  readonly end: string;
  readonly prefix: string;
}): void {
  const { start, end, prefix } = range;
  checkBound("start", start);
  checkBound("end", end);
  checkBound("prefix", prefix);
  if (end !== "" && Buffer.compare(Buffer.from(start), Buffer.from(end)) > 0) {
    throw invalid("start", "start must not come after end");
  }
}

/** A value: any bytes, 0 to `maxValueBytes`. */
export function checkValue(value: Uint8Array, maxValueBytes: number, field = "value"): void {
  if (value.byteLength > maxValueBytes) {
    throw new PrismError(
      "value_too_large",
      `${field} has ${value.byteLength} bytes; the limit is ${maxValueBytes}`,
      { field },
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

/** The time to live of an entry that is to expire, in seconds. Answers milliseconds. */
export function checkNewTtlSeconds(ttlSeconds: bigint): number {
  if (ttlSeconds < 1n || ttlSeconds > MAX_TTL_SECONDS) {
    throw invalid("ttl_seconds", `ttl_seconds must be 1 to ${MAX_TTL_SECONDS}; delete what is to go now`);
  }
  return Number(ttlSeconds) * 1000;
}

/** A version to compare with: 1 to the largest safe integer. Answers it as a number. */
export function checkVersion(version: bigint): number {
  if (version < 1n || version > Number.MAX_SAFE_INTEGER) {
    throw invalid("version", `version must be 1 to ${Number.MAX_SAFE_INTEGER}`);
  }
  return Number(version);
}

/**
 * The error for a field that is out of its bounds. The message begins with the field's name. ""
 * stands for the part itself (see {@link checkPart}).
 */
export function invalid(field: string, message: string): PrismError {
  return new PrismError("invalid_field", message, { field });
}

function checkFullText(field: string, text: string): void {
  if (text.length === 0) {
    throw invalid(field, `${field} must not be empty`);
  }
  checkText(field, text);
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
