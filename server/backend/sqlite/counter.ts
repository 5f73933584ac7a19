import type { DatabaseSync } from "node:sqlite";
import { abortError, PrismError } from "../../errors.ts";
import type { Clock } from "../clock.ts";
import type { Call } from "../contract.ts";
import { type KeyRange, keyRange } from "../key-range.ts";
import { toPrismError } from "./errors.ts";
import { createReadGroup } from "./group-keys.ts";
import { prepare } from "./query.ts";
import { createCountStep } from "./reader.ts";
import type { GroupObserver } from "./write-queue.ts";

/** The most long counts at a time. Equal counts share one. */
const MAX_LONG_COUNTS = 16;

/** Counts the live entries with a prefix. It must observe every group that is written. */
export interface Counter extends GroupObserver {
  /**
   * Exact for some moment between the call and its answer, however long the count takes. Rejects
   * with {@link PrismError}.
   */
  count(namespace: string, prefix: string, call: Call): Promise<number>;
  /** Fails the counts under way: the connection closes. */
  close(): void;
}

interface Waiter {
  readonly call: Call;
  readonly resolve: (total: number) => void;
  readonly reject: (error: PrismError) => void;
}

/** A count that takes more than one step. */
interface LongCount {
  readonly namespace: string;
  readonly range: KeyRange;
  /** The first key still to be walked; `range.below` = the walk is done. */
  cursor: Uint8Array;
  /**
   * Live entries from the start of the range to the cursor, except those that the group under way
   * may change.
   */
  total: number;
  /** An entry is live if it expires after this. */
  nowMs: number;
  waiters: Waiter[];
}

/**
 * A short count is one statement. A longer one walks over the range in steps, and other work runs
 * between them. It holds no snapshot, because SQLite cannot restart its log while one is open.
 * Instead it observes the writes behind its cursor as a {@link GroupObserver}: keys that a group
 * may change are left out while the group is under way and read when it is done. So the total is
 * exact at the moment when the walk is done and no group of the range is under way. Writes of other
 * processes may or may not be counted.
 *
 * @param db The reader's connection.
 */
export function createCounter(db: DatabaseSync, clock: Clock): Counter {
  const countStep = createCountStep(db);
  const readGroup = createReadGroup(db);
  const expiredBetween = createExpiredBetween(db);
  /** By namespace and prefix. The first one makes the next step. */
  const counts = new Map<string, LongCount>();
  const nothing = readGroup([]);
  let underWay = nothing;
  let scheduled = false;

  function makeStep(count: LongCount): void {
    const { namespace, range, cursor, nowMs } = count;
    // The group may be committed between two statements of no transaction, so earlier looks are
    // stale.
    underWay.forget();
    db.exec("BEGIN");
    try {
      const step = countStep(namespace, { from: cursor, below: range.below }, nowMs);
      count.cursor = step.next?.from ?? range.below;
      count.total += step.live - underWay.liveIn(namespace, { from: cursor, below: count.cursor }, nowMs);
    } finally {
      db.exec("COMMIT");
    }
  }

  /** Subtracts what expired meanwhile. No group that may change it is under way. */
  function moveTo(count: LongCount, nowMs: number): void {
    count.total -= expiredBetween(count.namespace, walkedOver(count), count.nowMs, nowMs);
    count.nowMs = nowMs;
  }

  /** Nobody knows which of the entries that were counted are gone. */
  function beginAnew(count: LongCount): void {
    count.cursor = count.range.from;
    count.total = 0;
    count.nowMs = clock.now();
    schedule();
  }

  function answerIfDone(id: string, count: LongCount): void {
    if (isWalkedOver(count) && !underWay.isAnyIn(count.namespace, count.range)) {
      moveTo(count, clock.now());
      counts.delete(id);
      for (const waiter of count.waiters) {
        waiter.resolve(count.total);
      }
    }
  }

  /** Runs `work`; its failure ends this count alone and stops no write. */
  function attempt(id: string, count: LongCount, work: () => void): void {
    try {
      work();
    } catch (error) {
      counts.delete(id);
      for (const waiter of count.waiters) {
        waiter.reject(toPrismError(error));
      }
    }
  }

  function schedule(): void {
    if (!scheduled) {
      scheduled = true;
      setImmediate(run);
    }
  }

  /** Makes one step of one count, so that other calls do not wait for many counts. */
  function run(): void {
    scheduled = false;
    for (const [id, count] of counts) {
      dropAborted(id, count);
    }
    for (const [id, count] of counts) {
      if (!isWalkedOver(count)) {
        counts.delete(id);
        counts.set(id, count);
        attempt(id, count, () => {
          makeStep(count);
          answerIfDone(id, count);
        });
        schedule();
        return;
      }
    }
  }

  function dropAborted(id: string, count: LongCount): void {
    for (const { call, reject } of count.waiters) {
      if (call.aborted) {
        reject(abortError(call.signal));
      }
    }
    count.waiters = count.waiters.filter(({ call }) => !call.aborted);
    if (count.waiters.length === 0) {
      counts.delete(id);
    }
  }

  function begin(id: string, namespace: string, prefix: string, nowMs: number): LongCount {
    if (counts.size === MAX_LONG_COUNTS) {
      throw new PrismError("overloaded", "too many counts are under way");
    }
    const range = keyRange({ prefix });
    const count = { namespace, range, cursor: range.from, total: 0, nowMs, waiters: [] };
    counts.set(id, count);
    schedule();
    return count;
  }

  return {
    async count(namespace, prefix, call) {
      const nowMs = clock.now();
      const step = countStep(namespace, keyRange({ prefix }), nowMs);
      if (step.next === undefined) {
        return step.live;
      }
      // A namespace's name never contains NUL.
      const id = `${namespace}\0${prefix}`;
      const count = counts.get(id) ?? begin(id, namespace, prefix, nowMs);
      return new Promise((resolve, reject) => count.waiters.push({ call, resolve, reject }));
    },
    close() {
      for (const [id, count] of counts) {
        attempt(id, count, () => {
          throw new PrismError("store_unavailable", "the store is opened again");
        });
      }
    },
    sending(operations, nowMs) {
      underWay = readGroup(operations);
      const sweeps = operations.some(({ type }) => type === "sweep");
      for (const [id, count] of counts) {
        attempt(id, count, () => {
          // A sweep deletes expired entries only, which no longer count.
          if (sweeps) {
            moveTo(count, nowMs);
          }
          count.total -= underWay.liveIn(count.namespace, walkedOver(count), count.nowMs);
        });
      }
    },
    answered() {
      const done = underWay;
      done.forget();
      underWay = nothing;
      for (const [id, count] of counts) {
        attempt(id, count, () => {
          if (done.erases(count.namespace)) {
            beginAnew(count);
            return;
          }
          count.total += done.liveIn(count.namespace, walkedOver(count), count.nowMs);
          answerIfDone(id, count);
        });
      }
    },
  };
}

function walkedOver({ range, cursor }: LongCount): KeyRange {
  return { from: range.from, below: cursor };
}

function isWalkedOver({ range, cursor }: LongCount): boolean {
  return Buffer.compare(cursor, range.below) >= 0;
}

/**
 * Counts the entries of a range that expire after `afterMs` and not after `untilMs`. It reads only
 * these.
 */
function createExpiredBetween(
  db: DatabaseSync,
): (namespace: string, range: KeyRange, afterMs: number, untilMs: number) => number {
  const expired = prepare<[number]>(
    db,
    `SELECT count(*) FROM entry INDEXED BY entry_by_expiry
     WHERE expires_at_ms > ? AND expires_at_ms <= ? AND namespace = ? AND key >= ? AND key < ?`,
  );
  return (namespace, { from, below }, afterMs, untilMs) =>
    expired.get(afterMs, untilMs, namespace, from, below)?.[0] ?? 0;
}
