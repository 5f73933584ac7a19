import { hash, randomBytes } from "node:crypto";
import type { ApiKeySettings } from "./settings.ts";

/** In front of keys that Prism makes, so that scanners of leaked secrets know them. */
const KEY_PREFIX = "prism_";

/** The random bytes of such a key: nobody finds it by trying, even with its hash. */
const KEY_BYTES = 32;

/** Makes a new random key. */
export function createApiKey(): string {
  return KEY_PREFIX + randomBytes(KEY_BYTES).toString("base64url");
}

/**
 * The hash of a key as the configuration has it. SHA-256 and not a slow hash: the keys are random,
 * so there are no words to try, and each call of a new caller waits for it.
 */
export function hashApiKey(key: string): string {
  return `sha256:${hash("sha256", key, "hex")}`;
}

/** The keys by their hashes. */
export type ApiKeys = ReadonlyMap<string, ApiKeySettings>;

/** Puts keys in order. */
export function indexApiKeys(keys: readonly ApiKeySettings[]): ApiKeys {
  return new Map(keys.map((key) => [key.hash, key]));
}
