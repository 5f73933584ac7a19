import type { DatabaseSync } from "node:sqlite";
import { setImmediate as nextTurn } from "node:timers/promises";
import { abortError, PrismError } from "../../errors.ts";
import type { Call } from "../contract.ts";
import { type KeyRange, keyRange } from "../key-range.ts";
import { openReader } from "./database.ts";
import { createCountStep } from "./reader.ts";

/** Most long counts at one time; each holds a connection. */
const MAX_LONG_COUNTS = 16;

/** Counts the live entries that have a prefix; the count is of one moment, however long it takes. */
export type Counter = (namespace: string, prefix: string, nowMs: number, call: Call) => Promise<number>;

/**
 * A count that one step answers is read from `db`. A longer one gets a connection of its own, and in it a transaction: it sees the
 * database as it was when it began, while other reads go on to see each write that is acknowledged. Between its steps other work runs.
 *
 * @param db The reader's connection to the database at `path`.
 */
export function createCounter(db: DatabaseSync, path: string): Counter {
  const firstStep = createCountStep(db);
  let longCounts = 0;

  async function countLong(namespace: string, all: KeyRange, nowMs: number, call: Call): Promise<number> {
    const snapshot = openReader(path);
    try {
      snapshot.exec("BEGIN");
      const countStep = createCountStep(snapshot);
      let total = 0;
      for (let range: KeyRange | undefined = all; range !== undefined; ) {
        const step = countStep(namespace, range, nowMs);
        total += step.live;
        range = step.next;
        await nextTurn();
        if (call.aborted) throw abortError(call.signal);
      }
      return total;
    } finally {
      snapshot.close();
    }
  }

  return async (namespace, prefix, nowMs, call) => {
    const all = keyRange(prefix, undefined);
    const step = firstStep(namespace, all, nowMs);
    if (step.next === undefined) return step.live;
    if (longCounts === MAX_LONG_COUNTS) throw new PrismError("overloaded", "too many counts are under way");
    longCounts++;
    try {
      return await countLong(namespace, all, nowMs, call);
    } finally {
      longCounts--;
    }
  };
}
