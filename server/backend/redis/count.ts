import { abortError, PrismError, ReadOnlyError } from "../../errors.ts";
import type { Call } from "../contract.ts";
import type { KeyRange } from "../key-range.ts";
import type { Connection } from "./connection.ts";
import { endsOf, isWithin } from "./index-range.ts";
import type { ShardKeys } from "./keys.ts";
import { isOnItsWay } from "./read-many.ts";
import { asNumbers, asValues } from "./replies.ts";
import { SCRIPTS } from "./scripts.ts";

/**
 * The most entries that one step of a sweep takes out of the index. Redis runs no other command
 * meanwhile, and Lua passes at most 8,000 arguments.
 */
const SWEEP_ENTRIES = 1000;

/** The most expired entries that one step of a count reads when they cannot be removed. */
const EXPIRED_ENTRIES = 5000;

/**
 * Counts the entries of a shard in a range of its index. First removes expired entries from the
 * index; if that is impossible, it subtracts them.
 */
export async function countEntries(
  connection: Connection,
  keys: ShardKeys,
  range: KeyRange,
  call: Call,
): Promise<number> {
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
      const count = await countUnswept(connection, keys, range, call);
      if (count !== undefined) {
        return count;
      }
    }
    throwIfAborted(call);
  }
}

/**
 * Counts while expired entries cannot be removed. `undefined` = they were removed meanwhile after
 * all. The count is not of one moment, because the keys are on two nodes.
 */
async function countUnswept(
  connection: Connection,
  keys: ShardKeys,
  range: KeyRange,
  call: Call,
): Promise<number | undefined> {
  const first = await expiredFrom(connection, keys.expiry, "", 0, EXPIRED_ENTRIES);
  let { members } = first;
  let within = 0;
  for (let seen = 0; members.length > 0; ) {
    within += members.filter((member) => isWithin(member, range)).length;
    seen += members.length;
    if (seen >= first.total) {
      break;
    }
    throwIfAborted(call);
    ({ members } = await expiredFrom(connection, keys.expiry, first.moment, seen, EXPIRED_ENTRIES));
  }
  const { from, below } = endsOf(range);
  const count = Number(await connection.run("repeatable", "zlexcount", [keys.index, from, below]));
  const { total } = await expiredFrom(connection, keys.expiry, first.moment, first.total, EXPIRED_ENTRIES);
  return total === first.total ? count - within : undefined;
}

/**
 * Up to `most` members of an order of expiry that had expired by a moment ("" = now), skipping the
 * first `seen`.
 */
export async function expiredFrom(
  connection: Connection,
  expiry: string,
  moment: string | Buffer,
  seen: number,
  most: number,
): Promise<{ readonly moment: string | Buffer; readonly total: number; readonly members: Buffer[] }> {
  const args = [moment, seen, most];
  const reply = await connection.runScript("repeatable", SCRIPTS.expired, [expiry], args);
  const [at = "", total, ...members] = asValues(reply).filter((each) => each !== undefined);
  return { moment: at, total: Number(total), members };
}

/**
 * Takes some expired entries out of the index (`wasFull`: there may be more), and counts the
 * members between two ends in ZLEXCOUNT's form. The count includes expired entries only if
 * `wasFull`.
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

function throwIfAborted(call: Call): void {
  if (call.aborted) {
    throw abortError(call.signal);
  }
}
