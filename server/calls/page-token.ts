import { hash } from "node:crypto";
import { PrismError } from "../errors.ts";
import { MAX_KEY_BYTES } from "../limits.ts";

/*
 * A page token tells where a call goes on. It holds the position and a checksum of the position and
 * of the request that it belongs to, and nothing is kept for it. It has no secret: a caller who
 * computes one gets what he could ask for anyway. The checksum finds mistakes.
 *
 *     version (1 byte) | checksum (8 bytes) | position
 */
const VERSION = 1;
const CHECKSUM_BYTES = 8;
const HEAD_BYTES = 1 + CHECKSUM_BYTES;

/**
 * What a token is bound to: the call's name, the namespace, and every field that decides what comes
 * in which order. Texts are well-formed.
 */
export type TokenScope = readonly (string | boolean)[];

/**
 * The token with which a call of this scope goes on at `position`. Never empty.
 */
export function writePageToken(scope: TokenScope, position: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.of(VERSION), checksum(scope, position), position]);
}

/**
 * The position of a token. `field` is the request's field that it came in. Throws {@link
 * PrismError} `invalid_field` if it is no token of this scope, or if its position has more than
 * `maxBytes`.
 */
export function readPageToken(
  scope: TokenScope,
  token: Uint8Array,
  field: string,
  maxBytes = MAX_KEY_BYTES,
): Uint8Array {
  const position = token.subarray(HEAD_BYTES);
  const known =
    token.length >= HEAD_BYTES &&
    position.length <= maxBytes &&
    token[0] === VERSION &&
    checksum(scope, position).equals(token.subarray(1, HEAD_BYTES));
  if (!known) {
    const message = `${field} is damaged or of another request: only what limits the number of results may differ`;
    throw new PrismError("invalid_field", message, { field });
  }
  return position;
}

/**
 * The key that the token in the field `page_token` goes on behind; `undefined` = there is none.
 * Throws as {@link readPageToken}.
 */
export function positionOf(scope: TokenScope, pageToken: Uint8Array): string | undefined {
  return pageToken.length === 0
    ? undefined
    : Buffer.from(readPageToken(scope, pageToken, "page_token")).toString();
}

/** The token that goes on behind a key. */
export function tokenAt(scope: TokenScope, key: string): Uint8Array {
  return writePageToken(scope, Buffer.from(key));
}

function checksum(scope: TokenScope, position: Uint8Array): Buffer {
  const scoped = Buffer.concat([Buffer.from(JSON.stringify([VERSION, ...scope])), position]);
  return hash("sha256", scoped, "buffer").subarray(0, CHECKSUM_BYTES);
}
