import { readFileAtMost } from "../read-file.ts";

/** The largest key set, from a file or a URL. Those of large identity providers have 10 KiB. */
export const MAX_KEY_SET_BYTES = 256 * 1024;

/** The keys of a JWK Set (RFC 7517 section 5), or what is wrong with it in the operator's words. */
export type KeySetRead = { readonly keys: readonly object[] } | { readonly error: string };

/** Reads a JWK Set from a file. */
export function readKeyFile(path: string): KeySetRead {
  const read = readFileAtMost(path, MAX_KEY_SET_BYTES);
  return "error" in read ? read : parseKeySet(Buffer.from(read.bytes).toString("utf8"));
}

/**
 * Parses a JWK Set. A set with secret keys is refused: whoever reads them could issue tokens, so
 * they are in the wrong place.
 */
export function parseKeySet(text: string): KeySetRead {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return { error: "holds no JSON" };
  }
  const keys: unknown = Reflect.get(Object(parsed), "keys");
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === "object" && key !== null)) {
    return { error: 'holds no JWK Set: {"keys": [...]}' };
  }
  return keys.some((key) => "d" in key || "k" in key)
    ? { error: "holds a secret key; only public ones belong here" }
    : { keys };
}
