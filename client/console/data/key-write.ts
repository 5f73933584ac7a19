import { Code } from "@connectrpc/connect";
import { PrismError } from "../../errors.ts";
import type { Entry, KeyValueApi } from "../../web.ts";

/** An entry, and when it was told. */
export interface SeenEntry extends Entry {
  /** As `performance.now()`. */
  readonly seenAtMs: number;
}

/** What became of a write or a delete of an entry, or of an item of a record. */
export type Outcome<T = SeenEntry> =
  /** `entry` is there now; `undefined` = none. */
  | { readonly kind: "done"; readonly entry: T | undefined }
  /** Nothing was done: somebody else had changed it; `theirs` = `undefined`: deleted it. */
  | { readonly kind: "conflict"; readonly theirs: T | undefined };

/** Reads an entry; `undefined` = there is none. */
export async function readEntry(
  keyvalue: Pick<KeyValueApi, "getEntries">,
  key: string,
  signal?: AbortSignal,
): Promise<SeenEntry | undefined> {
  const [entry] = await keyvalue.getEntries([key], { signal });
  return seen(entry);
}

/** The milliseconds that are left of an entry; 0 = it has expired, `undefined` = it never does. */
export function leftMs({ ttlMs, seenAtMs }: SeenEntry, nowMs: number): number | undefined {
  return ttlMs === undefined ? undefined : Math.max(0, ttlMs - (nowMs - seenAtMs));
}

/**
 * The time to live that a write needs so that the entry expires when it would have; `undefined` =
 * never, also where it has expired already: who writes it then wants it to stay.
 */
export function ttlToKeep(entry: SeenEntry, nowMs: number): number | undefined {
  const ms = leftMs(entry, nowMs);
  return ms === undefined || ms === 0 ? undefined : Math.ceil(ms / 1000);
}

/**
 * Writes a value if the entry is still what `base` is (`undefined` = none). A write whose answer
 * was lost is looked for. What another wrote is no conflict if it is the same value.
 */
export async function saveEntry(
  keyvalue: Pick<KeyValueApi, "getEntries" | "compareAndSwap">,
  key: string,
  base: SeenEntry | undefined,
  value: Uint8Array<ArrayBuffer>,
  ttlSeconds: number | undefined,
): Promise<Outcome> {
  const expected = base === undefined ? ({ absent: true } as const) : { version: base.version };
  let actual: SeenEntry | undefined;
  let isLost = false;
  try {
    const swap = await keyvalue.compareAndSwap(key, expected, value, { ttlSeconds });
    if (swap.swapped) {
      const ttlMs = ttlSeconds === undefined ? undefined : ttlSeconds * 1000;
      return { kind: "done", entry: seen({ value, version: swap.version, ttlMs }) };
    }
    actual = seen(swap.actual);
  } catch (thrown) {
    actual = await lookAfter(() => readEntry(keyvalue, key), thrown);
    if (actual?.version === base?.version) {
      throw thrown;
    }
    isLost = true;
  }
  // A new entry that another made is a conflict whatever its value: it was there before.
  return actual !== undefined && (base !== undefined || isLost) && isSame(actual.value, value)
    ? { kind: "done", entry: actual }
    : { kind: "conflict", theirs: actual };
}

/** Deletes an entry if it is still what `base` is. An entry that is gone already is no conflict. */
export async function deleteEntry(
  keyvalue: Pick<KeyValueApi, "getEntries" | "compareAndDelete">,
  key: string,
  { version }: SeenEntry,
): Promise<Outcome> {
  let theirs: SeenEntry | undefined;
  try {
    const outcome = await keyvalue.compareAndDelete(key, { version });
    theirs = outcome.deleted ? undefined : seen(outcome.actual);
  } catch (thrown) {
    theirs = await lookAfter(() => readEntry(keyvalue, key), thrown);
    if (theirs?.version === version) {
      throw thrown;
    }
  }
  return theirs === undefined ? { kind: "done", entry: undefined } : { kind: "conflict", theirs };
}

/** Whether two values have the same bytes. */
export function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** What `read` says after a call that may have been done. Throws `thrown` if that is not known. */
export async function lookAfter<T>(read: () => Promise<T>, thrown: unknown): Promise<T> {
  if (!mayBeDone(thrown)) {
    throw thrown;
  }
  try {
    return await read();
  } catch {
    throw thrown;
  }
}

function mayBeDone(thrown: unknown): boolean {
  return (
    thrown instanceof PrismError &&
    (thrown.reason === "outcome_unknown" ||
      thrown.reason === "deadline_exceeded" ||
      (thrown.reason === "unspecified" && thrown.code === Code.Unavailable))
  );
}

function seen(entry: Entry | undefined): SeenEntry | undefined {
  return entry && { ...entry, seenAtMs: performance.now() };
}
