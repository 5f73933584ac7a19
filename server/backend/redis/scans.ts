import { abortError, PrismError, ReadOnlyError } from "../../errors.ts";
import type { Call, Page, ScanStore } from "../contract.ts";
import { type KeyRange, keyRange } from "../key-range.ts";
import { ArrayValues } from "../values.ts";
import type { Connection } from "./connection.ts";
import type { ShardKeys } from "./keys.ts";
import { isOnItsWay, readExistence } from "./read-many.ts";
import { asNumbers, asTexts, asValues, asValuesOrSizes } from "./replies.ts";
import { SCRIPTS } from "./scripts.ts";

/** Entries that one step of a sweep takes out of the index: nobody else's command runs meanwhile. Lua passes on no more than 8,000. */
const SWEEP_ENTRIES = 1000;

/** Expired entries that one step of a count reads where they cannot be taken out. */
const EXPIRED_ENTRIES = 5000;

/** Pages and counts of one shard, by its index. */
export function createScans(connection: Connection, keys: ShardKeys): ScanStore {
  return {
    async scanPage(
      namespace,
      { prefix, after, maxEntries, maxBytes, keysOnly, inlineBytes = Number.MAX_SAFE_INTEGER },
    ) {
      const start = `${namespace}:`;
      const { from, below } = endsOf(rangeOf(namespace, prefix, after));
      // One more tells whether there is more.
      const args = [keys.index, from, below, "limit", 0, maxEntries + 1];
      const members = asTexts(await connection.run("repeatable", "zrangebylex", args));
      const candidates = members.slice(0, maxEntries).map((member) => member.slice(start.length));
      const isLast = members.length <= maxEntries;
      return keysOnly
        ? await readKeys(keys.entryPrefix + start, candidates, isLast, maxBytes)
        : await readEntries(keys.entryPrefix + start, candidates, isLast, maxBytes, inlineBytes);
    },
    async count(namespace, prefix, call) {
      const range = rangeOf(namespace, prefix, undefined);
      const { from, below } = endsOf(range);
      for (;;) {
        try {
          const { wasFull, count } = await sweepStep(connection, keys, from, below);
          if (!wasFull) {
            return count;
          }
        } catch (error) {
          if (!isOnItsWay(error) && !takesNoWrites(error)) {
            throw error;
          }
          const count = await countUnswept(range, call);
          if (count !== undefined) {
            return count;
          }
        }
        if (call.aborted) {
          throw abortError(call.signal);
        }
      }
    },
  };

  /**
   * Of a store where what is expired cannot be taken out now; `undefined` = it could after all meanwhile. Not of one moment, for of keys that
   * are on two nodes nothing is.
   */
  async function countUnswept(range: KeyRange, call: Call): Promise<number | undefined> {
    const { from, below } = endsOf(range);
    const first = await expiredFrom("", 0);
    let { members } = first;
    let within = 0;
    for (let seen = 0; members.length > 0; ) {
      within += members.filter((member) => isWithin(member, range)).length;
      seen += members.length;
      if (seen >= first.total) {
        break;
      }
      if (call.aborted) {
        throw abortError(call.signal);
      }
      ({ members } = await expiredFrom(first.moment, seen));
    }
    const count = Number(await connection.run("repeatable", "zlexcount", [keys.index, from, below]));
    const { total } = await expiredFrom(first.moment, first.total);
    return total === first.total ? count - within : undefined;
  }

  /** Some of what had expired by a moment ("" = now), after the first `seen` of it. */
  async function expiredFrom(moment: string | Buffer, seen: number) {
    const args = [moment, seen, EXPIRED_ENTRIES];
    const reply = await connection.runScript("repeatable", SCRIPTS.expired, [keys.expiry], args);
    const [at = "", total, ...members] = asValues(reply).filter((each) => each !== undefined);
    return { moment: at, total: Number(total), members };
  }

  /** The page that these keys of the index are. One of an entry that has expired, or was deleted meanwhile, is in the index alone. */
  async function readEntries(
    entryPrefix: string,
    candidates: readonly string[],
    isLast: boolean,
    maxBytes: number,
    inlineBytes: number,
  ): Promise<Page> {
    const names = candidates.map((key) => entryPrefix + key);
    const found = await readValues(names, entryPrefix.length, maxBytes, inlineBytes);
    const pageKeys: string[] = [];
    const values: Uint8Array[] = [];
    const later = new Map<number, number>();
    for (const [i, value] of found.entries()) {
      const key = candidates[i];
      if (key === undefined || value === undefined) {
        continue;
      }
      if (typeof value === "number") {
        later.set(values.length, value);
      }
      pageKeys.push(key);
      values.push(typeof value === "number" ? NOTHING : value);
    }
    const isWhole = isLast && found.length === candidates.length;
    return {
      keys: pageKeys,
      values: new ArrayValues(values),
      ...(later.size > 0 && { later }),
      next: isWhole ? undefined : candidates[found.length - 1],
    };
  }

  /**
   * Up to the one that takes keys and values to so many bytes, or how many bytes a value has that is left out. `keyAt`: where in a name the
   * key begins.
   */
  async function readValues(
    names: readonly string[],
    keyAt: number,
    maxBytes: number,
    inlineBytes: number,
  ): Promise<(Buffer | number | undefined)[]> {
    if (names.length === 0) {
      return [];
    }
    try {
      const args = [keyAt, maxBytes, inlineBytes];
      return asValuesOrSizes(await connection.runScript("repeatable", SCRIPTS.values, names, args));
    } catch (error) {
      if (!isOnItsWay(error)) {
        throw error;
      }
    }
    const values: (Buffer | undefined)[] = [];
    let bytes = 0;
    for (const name of names) {
      const [value] = asValues(await connection.run("repeatable", "mget", [name]));
      values.push(value);
      if (value !== undefined) {
        bytes += Buffer.byteLength(name) - keyAt + value.length;
      }
      if (bytes >= maxBytes) {
        break;
      }
    }
    return values;
  }

  async function readKeys(
    entryPrefix: string,
    candidates: readonly string[],
    isLast: boolean,
    maxBytes: number,
  ): Promise<Page> {
    const found = await readExistence(
      connection,
      candidates.map((key) => entryPrefix + key),
    );
    const pageKeys: string[] = [];
    let next = isLast ? undefined : candidates.at(-1);
    let bytes = 0;
    for (const [i, key] of candidates.entries()) {
      if (found[i] !== true) {
        continue;
      }
      pageKeys.push(key);
      bytes += Buffer.byteLength(key);
      if (bytes < maxBytes) {
        continue;
      }
      if (!isLast || i < candidates.length - 1) {
        next = key;
      }
      break;
    }
    return { keys: pageKeys, values: new ArrayValues([]), next };
  }
}

/**
 * Takes entries that are expired out of the index, some at a time (`wasFull`: there may be more), and counts those between two ends that
 * ZLEXCOUNT takes: of these some are expired only where it was full.
 */
export async function sweepStep(
  connection: Connection,
  { index, expiry }: ShardKeys,
  from: string | Buffer,
  below: string | Buffer,
): Promise<{ readonly wasFull: boolean; readonly count: number }> {
  const args = [SWEEP_ENTRIES, from, below];
  const reply = await connection.runScript("repeatable", SCRIPTS.sweep, [index, expiry], args);
  const [swept = 0, count = 0] = asNumbers(reply);
  return { wasFull: swept === SWEEP_ENTRIES, count };
}

function takesNoWrites(error: unknown): boolean {
  return error instanceof PrismError && (error instanceof ReadOnlyError || error.reason === "store_full");
}

/** The members of the index that a scan is about. */
function rangeOf(namespace: string, prefix: string, after: string | undefined): KeyRange {
  const start = `${namespace}:`;
  return keyRange(start + prefix, after === undefined ? undefined : start + after);
}

function isWithin(member: Uint8Array, { from, below }: KeyRange): boolean {
  return Buffer.compare(member, from) >= 0 && Buffer.compare(member, below) < 0;
}

/** As ZRANGEBYLEX takes them: "[" with it, "(" without it. */
function endsOf(range: KeyRange) {
  return { from: Buffer.concat([WITH, range.from]), below: Buffer.concat([WITHOUT, range.below]) };
}

const NOTHING = new Uint8Array(0);

const WITH = Buffer.from("[");
const WITHOUT = Buffer.from("(");
