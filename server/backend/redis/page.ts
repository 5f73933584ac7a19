import { answerOf, type Page } from "../contract.ts";
import { ArrayValues } from "../values.ts";
import type { Connection } from "./connection.ts";
import { isOnItsWay, readExistence } from "./read-many.ts";
import { asValues, asValuesOrSizes } from "./replies.ts";
import { SCRIPTS } from "./scripts.ts";
import { VERSION_BYTES, valueIn } from "./stored.ts";

/**
 * Keys from the index, in order. An entry that expired or was deleted meanwhile is only in the
 * index.
 */
export interface Candidates {
  readonly keys: readonly string[];
  /** An entry's name in Redis is this followed by its key. */
  readonly entryPrefix: string;
  /** The index has no keys after these. */
  readonly isLast: boolean;
}

/**
 * The page of these keys with their values. It ends at `maxBytes`; values over `inlineBytes` are
 * left out.
 */
export async function readEntries(
  connection: Connection,
  candidates: Candidates,
  maxBytes: number,
  inlineBytes: number,
): Promise<Page> {
  const found = await readStored(connection, candidates, maxBytes, inlineBytes);
  const keys: string[] = [];
  const values: Uint8Array[] = [];
  const later = new Map<number, number>();
  for (const [i, stored] of found.entries()) {
    const key = candidates.keys[i];
    if (key === undefined || stored === undefined) {
      continue;
    }
    if (typeof stored === "number") {
      later.set(values.length, stored);
    }
    keys.push(key);
    values.push(typeof stored === "number" ? NOTHING : answerOf(valueIn(stored)));
  }
  const isWhole = candidates.isLast && found.length === candidates.keys.length;
  return {
    keys,
    values: new ArrayValues(values),
    ...(later.size > 0 && { later }),
    next: isWhole ? undefined : candidates.keys[found.length - 1],
  };
}

/** The page of those keys that hold a value, without values. */
export async function readKeys(
  connection: Connection,
  { keys: candidates, entryPrefix, isLast }: Candidates,
  maxBytes: number,
): Promise<Page> {
  const names = candidates.map((key) => entryPrefix + key);
  const found = await readExistence(connection, names);
  const keys: string[] = [];
  let next = isLast ? undefined : candidates.at(-1);
  let bytes = 0;
  for (const [i, key] of candidates.entries()) {
    if (found[i] !== true) {
      continue;
    }
    keys.push(key);
    bytes += Buffer.byteLength(key);
    if (bytes < maxBytes) {
      continue;
    }
    if (!isLast || i < candidates.length - 1) {
      next = key;
    }
    break;
  }
  return { keys, values: new ArrayValues([]), next };
}

/**
 * The strings of the entries up to the one that brings keys and values to `maxBytes`. A number
 * stands for a value left out: its size in bytes.
 */
async function readStored(
  connection: Connection,
  { keys, entryPrefix }: Candidates,
  maxBytes: number,
  inlineBytes: number,
): Promise<(Buffer | number | undefined)[]> {
  if (keys.length === 0) {
    return [];
  }
  const names = keys.map((key) => entryPrefix + key);
  try {
    const args = [entryPrefix.length, maxBytes, inlineBytes];
    return asValuesOrSizes(await connection.runScript("repeatable", SCRIPTS.values, names, args));
  } catch (error) {
    if (!isOnItsWay(error)) {
      throw error;
    }
  }
  // The keys are on two nodes while their slot moves, so no script can read them all.
  const found: (Buffer | undefined)[] = [];
  let bytes = 0;
  for (const name of names) {
    const [stored] = asValues(await connection.run("repeatable", "mget", [name]));
    found.push(stored);
    if (stored !== undefined) {
      bytes += Buffer.byteLength(name) - entryPrefix.length + stored.length - VERSION_BYTES;
    }
    if (bytes >= maxBytes) {
      break;
    }
  }
  return found;
}

const NOTHING = new Uint8Array(0);
