import { PrismError, ReadOnlyError, StartError } from "../../errors.ts";
import type { Backend } from "../contract.ts";
import { sumFigures } from "../figures.ts";
import { STORE_MESSAGES } from "../store-errors.ts";
import { type Wrap, wrapMethods } from "./wrapped.ts";

/** How long the start waits for a store that is away. After that the other stores are served. */
const OPEN_WAIT_MS = 5_000;

/**
 * The pause between checks of a store that is away. The first check comes sooner, because a single
 * connection may have broken.
 */
const RETRY_MS = 500;
const FIRST_RETRY_MS = 50;

/**
 * Protects callers from a store that runs as a server of its own and can go away. The first call
 * that finds it away opens the breaker: calls fail at once as `store_unavailable` and do not pile
 * up. `check` runs in the background and closes the breaker when the store is back, so no call has
 * to try it first and none waits for it. `open` waits for the store a while and then leaves the
 * rest to the background. It throws {@link StartError} when waiting does not help.
 */
export function createBreakerBackend(inner: Backend, openWaitMs = OPEN_WAIT_MS): Backend {
  let opened = false;
  /** Why calls are refused. `undefined` = they pass. */
  let away: { cause: unknown } | undefined = { cause: undefined };
  let watching = Promise.resolve();
  let closing = new AbortController();

  async function pass<T>(work: () => Promise<T>): Promise<T> {
    if (away !== undefined) {
      throw unavailable(away.cause, opened);
    }
    try {
      return await work();
    } catch (error) {
      if (isAway(error) && away === undefined && opened) {
        away = { cause: error };
        watching = watch(() => false, FIRST_RETRY_MS);
      }
      throw error;
    }
  }

  /**
   * Checks until the store is there or closed. `isEarly` tells whether `open` still waits for an
   * error that waiting cannot mend.
   */
  async function watch(isEarly: () => boolean, firstRetryMs: number): Promise<void> {
    const { signal } = closing;
    for (let waitMs = firstRetryMs; !signal.aborted; waitMs = Math.min(waitMs * 2, RETRY_MS)) {
      if (opened) {
        await pause(waitMs, signal);
      }
      if (signal.aborted) {
        return;
      }
      try {
        await (opened ? inner.check().catch(passReadOnly) : inner.open());
        opened = true;
        away = undefined;
        return;
      } catch (error) {
        away = { cause: error };
        if (isEarly() && error instanceof StartError) {
          throw error;
        }
      }
      if (!opened) {
        await pause(waitMs, signal);
      }
    }
  }

  const guard: Wrap = (method) => (namespace, argument, call) =>
    pass(() => method(namespace, argument, call));
  const own = { figures: () => ({ breakers: 1, breakersOpen: away === undefined ? 0 : 1 }) };
  const figures = sumFigures([inner, own]);

  return {
    ...inner,
    ...(figures && { figures }),
    ...wrapMethods(inner, guard),
    ...(inner.erase && { erase: guard(inner.erase, "erase") }),
    async open() {
      closing = new AbortController();
      away = { cause: undefined };
      let early = true;
      const first = watch(() => early, RETRY_MS);
      watching = first.catch(() => {});
      const waiting = new AbortController();
      try {
        await Promise.race([first, pause(openWaitMs, waiting.signal)]);
      } finally {
        // From here on nobody awaits it, and it does not throw.
        early = false;
        waiting.abort();
      }
    },
    check: () => pass(() => inner.check()),
    async close() {
      closing.abort();
      await watching;
      away = { cause: undefined };
      if (opened) {
        await inner.close();
      }
      opened = false;
    },
  };
}

function isAway(error: unknown): boolean {
  return (
    error instanceof PrismError &&
    !(error instanceof ReadOnlyError) &&
    (error.reason === "store_unavailable" || error.reason === "outcome_unknown")
  );
}

/** A read-only store is there. */
function passReadOnly(error: unknown): void {
  if (!(error instanceof ReadOnlyError)) {
    throw error;
  }
}

/**
 * `isForCallers`: callers may read the cause. They may read what the store said of a call or a
 * check (tables are missing), but not why it could not be opened.
 */
function unavailable(cause: unknown, isForCallers: boolean): PrismError {
  const message =
    isForCallers && cause instanceof PrismError && cause.reason === "store_unavailable"
      ? cause.message
      : STORE_MESSAGES.store_unavailable;
  return new PrismError("store_unavailable", message, { cause });
}

/** Waits; ends early when `signal` aborts. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}
