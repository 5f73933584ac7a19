import {
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleWhen,
  isBrokenCircuitError,
} from "cockatiel";
import { PrismError, StartError } from "../errors.ts";
import type { Backend, Call } from "./contract.ts";
import { wrapMethods } from "./wrapped.ts";

/** How long the start waits for a store that is away. After that everything else is served. */
const OPEN_WAIT_MS = 5_000;

/**
 * While a store is away, one call or attempt in so long looks whether it is back; the first ones sooner, because it may be one
 * connection that broke.
 */
const RETRY_MS = 500;
const FIRST_RETRY_MS = 50;

/**
 * Stands in front of a store that is a server of its own, and can go and come back. While it is away calls fail at once, as
 * `store_unavailable`, and do not pile up; one now and then finds out that it is back. `open` waits for it a while, then leaves that
 * to the background; it throws {@link StartError} where that is no use.
 */
export function createBreakerBackend(inner: Backend, openWaitMs = OPEN_WAIT_MS): Backend {
  const breaker = circuitBreaker(handleWhen(isAway), {
    halfOpenAfter: new ExponentialBackoff({ initialDelay: FIRST_RETRY_MS, maxDelay: RETRY_MS }),
    // The first that says so: what passes with another try, the store itself has tried again.
    breaker: new ConsecutiveBreaker(1),
  });
  let opened = false;
  let opening = Promise.resolve();
  let closing = new AbortController();
  /** Why it is away, for the log. */
  let cause: unknown;

  async function guarded<T>(work: () => Promise<T>): Promise<T> {
    if (!opened) throw away(cause);
    try {
      return await breaker.execute(work);
    } catch (error) {
      if (isBrokenCircuitError(error)) throw away(cause);
      if (isAway(error)) cause = error;
      throw error;
    }
  }

  /** Until it is open, or closed again. `early` errors are told, later ones tried again. */
  async function keepOpening(isEarly: () => boolean): Promise<void> {
    const { signal } = closing;
    while (!signal.aborted) {
      try {
        await inner.open();
        opened = true;
        return;
      } catch (error) {
        cause = error;
        if (isEarly() && error instanceof StartError) throw error;
      }
      await pause(RETRY_MS, signal);
    }
  }

  return {
    ...inner,
    ...wrapMethods(
      inner,
      (method) => (namespace, argument, call: Call) => guarded(() => method(namespace, argument, call)),
    ),
    async open() {
      closing = new AbortController();
      let early = true;
      opening = keepOpening(() => early);
      const waiting = new AbortController();
      try {
        await Promise.race([opening, pause(openWaitMs, waiting.signal)]);
      } finally {
        // Nobody waits for it from here on, and it does not throw.
        early = false;
        waiting.abort();
      }
    },
    check: () => guarded(() => inner.check()),
    async close() {
      closing.abort();
      await opening.catch(() => {});
      if (opened) await inner.close();
      opened = false;
    },
  };
}

function isAway(error: unknown): boolean {
  return (
    error instanceof PrismError &&
    (error.reason === "store_unavailable" || error.reason === "outcome_unknown")
  );
}

function away(cause: unknown): PrismError {
  return new PrismError("store_unavailable", "the store cannot be reached", { cause });
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
