import { Code } from "@connectrpc/connect";
import { invalidField, PrismError } from "./errors.ts";

/** A value to store: bytes, or text, which is stored as UTF-8. */
export type Value = Uint8Array | string;

const INT32_MAX = 0x7fff_ffff;
const utf8 = new TextEncoder();

/** Text as the wire carries it. A lone surrogate has no UTF-8 form: it would be stored as another character. */
export function toText(name: string, text: string): string {
  if (!text.isWellFormed()) {
    throw invalidField(`${name} has a lone surrogate, which has no UTF-8 form`);
  }
  return text;
}

/** The bytes of a value. */
export function toBytes(value: Value): Uint8Array {
  return typeof value === "string" ? utf8.encode(toText("value", value)) : value;
}

/**
 * The bytes of an answer, for the caller to keep: a copy, because what arrives is a window on a network
 * buffer that may be many times its size, and in Node a Buffer, whose methods differ.
 */
export function ownBytes(received: Uint8Array): Uint8Array {
  return new Uint8Array(received);
}

/** A number for an int64 field. Its bounds are the gateway's to check. */
export function toInt64(name: string, value: number): bigint {
  if (!Number.isSafeInteger(value)) {
    throw invalidField(`${name} must be a whole number`);
  }
  return BigInt(value);
}

/** A number for an int32 field. Its bounds are the gateway's to check. */
export function toInt32(name: string, value: number): number {
  if (!Number.isInteger(value) || Math.abs(value) > INT32_MAX) {
    throw invalidField(`${name} must be a whole number, at most ${INT32_MAX}`);
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
