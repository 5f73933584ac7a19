import { Code } from "@connectrpc/connect";
import { invalidField, PrismError } from "./errors.ts";

/**
 * A value to store: bytes, or text, which is stored as UTF-8. Of a view (a typed array, a DataView,
 * a Buffer) the bytes in view are stored, in the machine's byte order.
 */
export type Value = string | ArrayBufferView | ArrayBufferLike;

const INT32_MAX = 0x7fff_ffff;
const utf8 = new TextEncoder();

/** What `value` is, for an error message. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case "undefined":
      return "undefined";
    case "object":
      return value === null ? "null" : Array.isArray(value) ? "an array" : "an object";
    case "number":
    case "bigint":
    case "boolean":
      return `the ${typeof value} ${value}`;
    default:
      return `a ${typeof value}`;
  }
}

/**
 * Text for the wire. Throws `invalid_field` for a lone surrogate, which has no UTF-8 form and would
 * be stored as another character.
 */
export function toText(name: string, text: unknown): string {
  if (typeof text !== "string") {
    throw invalidField(`${name} must be a string, not ${describe(text)}`);
  }
  if (!text.isWellFormed()) {
    throw invalidField(`${name} has a lone surrogate, which has no UTF-8 form`);
  }
  return text;
}

/** Many things, each converted. Throws `invalid_field` for text, which has many letters. */
export function toArray<T>(name: string, items: unknown, convert: (item: unknown) => T): T[] {
  if (typeof items !== "object" || items === null || !(Symbol.iterator in items)) {
    throw invalidField(`${name} must be an array or another iterable, not ${describe(items)}`);
  }
  return Array.from(items as Iterable<unknown>, convert);
}

/** Many keys. Throws `invalid_field`. */
export function toKeys(keys: unknown): string[] {
  return toArray("keys", keys, (key) => toText("key", key));
}

/** The bytes of a value. Throws `invalid_field` for anything else, instead of converting it. */
export function toBytes(name: string, value: unknown): Uint8Array {
  if (typeof value === "string") {
    return utf8.encode(toText(name, value));
  }
  if (value instanceof Uint8Array) {
    // Only for an empty array, because reading a small array's `buffer` makes one.
    if (value.length === 0) {
      requireAttached(name, value.buffer);
    }
    return value;
  }
  if (ArrayBuffer.isView(value)) {
    requireAttached(name, value.buffer);
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  if (isBuffer(value)) {
    requireAttached(name, value);
    return new Uint8Array(value);
  }
  throw invalidField(
    `${name} must be a string, a Uint8Array or another view of bytes, not ${describe(value)}`,
  );
}

function isBuffer(value: unknown): value is ArrayBufferLike {
  return (
    value instanceof ArrayBuffer ||
    // SharedArrayBuffer exists only in pages that are isolated from others.
    (typeof SharedArrayBuffer !== "undefined" && value instanceof SharedArrayBuffer)
  );
}

/**
 * A transferred buffer looks empty, and would empty the entry. (Browsers before 2024 do not tell.)
 */
function requireAttached(name: string, buffer: ArrayBufferLike): void {
  if ("detached" in buffer && buffer.detached) {
    throw invalidField(`${name} has no bytes any more: its buffer was transferred`);
  }
}

/**
 * An answer's bytes for the caller to keep. A copy, because the received bytes are part of a
 * network buffer that may be many times as large. Also, in Node they are a Buffer, whose methods
 * differ.
 */
export function ownBytes(received: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(received);
}

/** A number of 0 or more for an int64 field. The gateway checks its upper bound. */
export function toInt64(name: string, value: unknown): bigint {
  return BigInt(wholeNumber(name, value, Number.MAX_SAFE_INTEGER));
}

const INT64_MAX = 2n ** 63n - 1n;

/** A whole number of any sign for an int64 field. */
export function toSignedInt64(name: string, value: unknown): bigint {
  if (typeof value === "bigint" && value <= INT64_MAX && value >= -INT64_MAX - 1n) {
    return value;
  }
  if (Number.isSafeInteger(value)) {
    return BigInt(value as number);
  }
  throw invalidField(`${name} must be a safe integer or a bigint of 64 bits, not ${describe(value)}`);
}

/** Throws `invalid_field` unless `value` is true or false. */
export function toFlag(name: string, value: unknown): boolean {
  if (typeof value !== "boolean") {
    throw invalidField(`${name} must be true or false, not ${describe(value)}`);
  }
  return value;
}

/** What a gateway gave, as it was. Text is refused: it would be another token. */
export function toToken(name: string, token: unknown): Uint8Array {
  if (!(token instanceof Uint8Array)) {
    throw invalidField(`${name} must be a Uint8Array, not ${describe(token)}`);
  }
  return token;
}

/** A number of 0 or more for an int32 field. */
export function toInt32(name: string, value: unknown): number {
  return wholeNumber(name, value, INT32_MAX);
}

/** Throws `invalid_field` unless `value` is a whole number from 0 to `max`. */
export function wholeNumber(name: string, value: unknown, max: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > max) {
    throw invalidField(`${name} must be a whole number from 0 to ${max}, not ${describe(value)}`);
  }
  return value;
}

/** The number of an int64 field. */
export function fromInt64(name: string, value: bigint): number {
  const number = Number(value);
  if (!Number.isSafeInteger(number)) {
    throw new PrismError(`${name} ${value} is not a safe integer`, {
      reason: "internal",
      code: Code.Internal,
    });
  }
  return number;
}
