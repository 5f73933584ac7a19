import { ConnectError } from "@connectrpc/connect";
import type { PrismError } from "./errors.ts";
import { whyNotRun } from "./transport/not-run.ts";

/** How often a call is made again unless a client's options say otherwise. */
export const DEFAULT_RETRIES = 3;

/** The most that options may say. With the pauses between, it takes minutes. */
export const MAX_RETRIES = 100;

/** The pause before the first retry. It doubles from one to the next. */
const MIN_BACKOFF_MS = 50;
const MAX_BACKOFF_MS = 2000;

/**
 * Of all calls of a client a tenth may be retries, and so many besides: more would be a second
 * flood for a gateway that has too much to do.
 */
const MAX_SAVED = 500;
const SAVED_BY_SUCCESS = 0.1;

/** How many retries the calls of one client may make, all together. */
export class RetryBudget {
  #saved = MAX_SAVED;

  /** A call succeeded. */
  earn(): void {
    if (this.#saved < MAX_SAVED) {
      this.#saved += SAVED_BY_SUCCESS;
    }
  }

  /** Whether there may be a retry now. */
  spend(): boolean {
    if (this.#saved < 1) {
      return false;
    }
    this.#saved--;
    return true;
  }
}

/**
 * Milliseconds to wait before a call is made again that failed so often, 1 or more; `undefined` =
 * it would fail again, or could take effect twice.
 */
export function retryPauseMs(error: PrismError, failures: number): number | undefined {
  // The transport itself has sent a refused call again, for some two seconds.
  if (!error.retryable || (error.cause instanceof ConnectError && whyNotRun(error.cause) === "refused")) {
    return undefined;
  }
  const backoffMs = Math.min(MAX_BACKOFF_MS, MIN_BACKOFF_MS * 2 ** (failures - 1));
  // Random, so that calls that failed together do not come back together.
  return error.retryAfterMs + backoffMs * (0.5 + Math.random() / 2);
}
