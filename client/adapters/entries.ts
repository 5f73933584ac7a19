import type { PrismNamespace } from "../client.ts";
import { toText } from "../convert.ts";
import { invalidField, KeyNotFoundError } from "../errors.ts";
import type { KeyValueApi } from "../keyvalue.ts";

/** What an adapter calls: a client, or a namespace of one. Its owner closes the client. */
export type EntriesOf = Pick<PrismNamespace, "keyvalue">;

/** An entry to write. */
interface NewEntry {
  readonly key: string;
  readonly value: string;
  /** Absent or 0: it never expires. */
  readonly ttlSeconds: number | undefined;
}

/** A byte order mark is part of the text: what was written is read. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Stored bytes as text; `undefined` = they are no UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Whole seconds that are not less than `ms` milliseconds. A gateway counts whole seconds. */
export function secondsOf(ms: number): number {
  return Math.ceil(ms / 1000);
}

/**
 * Writes entries that need not live equally long: one call, or one call after another, for those
 * that do. Of two with one key the later one wins.
 */
export async function setEntries(
  keyvalue: Pick<KeyValueApi, "setMany">,
  entries: readonly NewEntry[],
): Promise<void> {
  const latest = new Map(entries.map((entry) => [entry.key, entry]));
  for (const [ttlSeconds, alike] of Map.groupBy(latest.values(), (entry) => entry.ttlSeconds)) {
    await keyvalue.setMany(
      alike.map(({ key, value }) => [key, value] as const),
      { ttlSeconds },
    );
  }
}

/**
 * What the keys of an adapter begin with. Throws `invalid_field` for nothing: to clear the adapter
 * would be to delete every entry of the namespace.
 */
export function ownPrefix(name: string, given: unknown): string {
  const prefix = toText(name, given);
  if (prefix === "") {
    throw invalidField(`${name} must not be empty: the adapter has to know its own entries`);
  }
  return prefix;
}

/** What `call` answers; `undefined` = there is no such key. */
export async function unlessAbsent<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof KeyNotFoundError) {
      return undefined;
    }
    throw error;
  }
}
