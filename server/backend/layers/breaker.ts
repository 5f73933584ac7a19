import { PrismError, ReadOnlyError, StartError } from "../../errors.ts";
import type { Backend, Call } from "../contract.ts";
import { wrapMethods } from "./wrapped.ts";

/** How long the start waits for a store that is away. After that everything else is served. */
const OPEN_WAIT_MS = 5_000;

/** While a store is away it is asked so often whether it is back; sooner at first, because it may be one connection that broke. */
const RETRY_MS = 500;
const FIRST_RETRY_MS = 50;

/**
 * Stands in front of a store that is a server of its own, and can go and come back. The first call that finds it away ends the
 * passage: from then on calls fail at once, as `store_unavailable`, and do not pile up, until `check` in the background says that it
 * is back. No caller's own call is the one that finds out, and none waits for it. `open` waits for the store a while, then leaves that to
 * the background; it throws {@link StartError} where that is no use.
 */
export function createBreakerBackend(inner: Backend, openWaitMs = OPEN_WAIT_MS): Backend {
  let opened = false;
  /** Why calls do not pass; `undefined` = they do. */
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

  /** Goes on until the store is there, or closed; `isEarly` says whether somebody still waits for an error that is no use to wait out. */
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

  return {
    ...inner,
    ...wrapMethods(
      inner,
      (method) => (namespace, argument, call: Call) => pass(() => method(namespace, argument, call)),
    ),
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
        // Nobody waits for it from here on, and it does not throw.
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

/** A store that takes no writes is there. */
function passReadOnly(error: unknown): void {
  if (!(error instanceof ReadOnlyError)) {
    throw error;
  }
}

/** `isForCallers`: what the store said of a call or a check, as of tables that are missing, tells callers why; why it could not be opened does not. */
function unavailable(cause: unknown, isForCallers: boolean): PrismError {
  const message =
    isForCallers && cause instanceof PrismError && cause.reason === "store_unavailable"
      ? cause.message
      : "the store cannot be reached";
  return new PrismError("store_unavailable", message, { cause });
}

/** Waits; not so long where `signal` is aborted. */
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
