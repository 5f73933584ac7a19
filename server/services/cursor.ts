import { createHash } from "node:crypto";
import { invalid } from "./check.ts";

/** Where a token is good: of another call or record it is refused. */
export interface CursorScope {
  /** The call that makes and takes it. */
  readonly method: string;
  readonly namespace: string;
  readonly id: string;
}

/**
 * The digest at the start of a token. Long enough that nobody meets one by chance. It has no
 * secret, so every gateway knows every token, also after a restart. Who makes up a token reaches
 * only what the call would answer anyway.
 */
const DIGEST_BYTES = 12;

/** Makes the token of a place. */
export function makeCursor(scope: CursorScope, place: Uint8Array): Uint8Array {
  return Buffer.concat([digestOf(scope, place), place]);
}

/**
 * The place of a token. An absent or an empty token is the beginning: `undefined`. Throws {@link
 * PrismError} `invalid_field` for a token that {@link makeCursor} did not make for this scope.
 */
export function readCursor(scope: CursorScope, token: Uint8Array | undefined): Uint8Array | undefined {
  if (token === undefined || token.length === 0) {
    return undefined;
  }
  const place = token.subarray(DIGEST_BYTES);
  if (Buffer.compare(token.subarray(0, DIGEST_BYTES), digestOf(scope, place)) !== 0) {
    throw invalid("cursor", "cursor is not one of this call for this namespace and id");
  }
  return place;
}

function digestOf({ method, namespace, id }: CursorScope, place: Uint8Array): Uint8Array {
  // JSON keeps the parts apart.
  const name = JSON.stringify(["prism cursor 1", method, namespace, id]);
  return createHash("sha256").update(name).update(place).digest().subarray(0, DIGEST_BYTES);
}
