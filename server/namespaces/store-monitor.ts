import { setTimeout as delay } from "node:timers/promises";
import type { Backend } from "../backend/contract.ts";
import { asPrismError, ReadOnlyError } from "../errors.ts";

/** How a store is. `read_only` = it takes no writes now, but it reads. */
export type StoreHealth = "serving" | "read_only" | "not_serving";

/** What a check found. Times are in milliseconds since 1970. */
export interface StoreState {
  readonly health: StoreHealth;
  /** Since when it has been so; the first check counts from itself. */
  readonly sinceMs: number;
  readonly checkedAtMs: number;
  /** Why it is not serving, for people; callers may read it. "" = it is serving. */
  readonly problem: string;
}

/** Watches how stores are. */
export interface StoreMonitor {
  /** What the last check found. `undefined` = the store was not checked yet. */
  last(backend: Backend): StoreState | undefined;
  /**
   * Asks the store how it is now, and answers within the time limit. Does not throw. A store is
   * asked once at a time, so questions that come together share an answer.
   */
  check(backend: Backend): Promise<StoreState>;
  /** Ends the periodic checks. */
  close(): void;
}

/** The pause between two checks of a store. */
const INTERVAL_MS = 2_000;

/** A store that does not answer within this time is not serving. */
const TIMEOUT_MS = 2_000;

type Finding = Pick<StoreState, "health" | "problem">;

/** A question to a store. */
interface Asked {
  readonly answer: Promise<Finding>;
  /** The question after it, for those who came too late for this one. */
  next: Promise<Finding> | undefined;
}

/** Checks the `stores` that are open, again and again, until it is closed. */
export function createStoreMonitor(
  stores: () => Iterable<Backend>,
  { intervalMs = INTERVAL_MS, timeoutMs = TIMEOUT_MS } = {},
): StoreMonitor {
  const states = new WeakMap<Backend, StoreState>();
  const asked = new Map<Backend, Asked>();

  function ask(backend: Backend): Promise<Finding> {
    const underWay = asked.get(backend);
    if (underWay !== undefined) {
      // It may have looked already, so its answer may be of before this question.
      underWay.next ??= underWay.answer.then(() => ask(backend));
      return underWay.next;
    }
    const answer = find(backend).finally(() => asked.delete(backend));
    asked.set(backend, { answer, next: undefined });
    return answer;
  }

  async function check(backend: Backend): Promise<StoreState> {
    const late = new AbortController();
    const found = await Promise.race([ask(backend), silence(timeoutMs, late.signal)]);
    late.abort();
    const now = Date.now();
    const before = states.get(backend);
    const sinceMs = before?.health === found.health ? before.sinceMs : now;
    const state = { ...found, sinceMs, checkedAtMs: now };
    states.set(backend, state);
    return state;
  }

  const timer = setInterval(() => {
    for (const backend of stores()) {
      if (!asked.has(backend)) {
        void check(backend);
      }
    }
  }, intervalMs).unref();

  return {
    last: (backend) => states.get(backend),
    check,
    close: () => clearInterval(timer),
  };
}

async function find(backend: Backend): Promise<Finding> {
  try {
    await backend.check();
    return { health: "serving", problem: "" };
  } catch (error) {
    const health = error instanceof ReadOnlyError ? "read_only" : "not_serving";
    return { health, problem: asPrismError(error).message };
  }
}

/** What it means that nothing was heard in time. */
async function silence(timeoutMs: number, signal: AbortSignal): Promise<Finding> {
  await delay(timeoutMs, undefined, { signal, ref: false }).catch(() => {});
  return { health: "not_serving", problem: `the store does not answer within ${timeoutMs} ms` };
}
