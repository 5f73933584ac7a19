import type { ConnectError } from "@connectrpc/connect";

/**
 * Why a call was surely not run. "refused": the server says so (RFC 9113 sections 6.8 and 8.7).
 * "unsent": there was no connection to be had. "misplaced": there was none, and another try will
 * have none either: the certificate is not trusted, or what listens there speaks something else.
 */
export type NotRun = "refused" | "unsent" | "misplaced";

/** The errors of such calls. */
const reasons = new WeakMap<ConnectError, NotRun>();

/** Says of a call with this error that it was not run, and why. */
export function markNotRun(error: ConnectError, why: NotRun): ConnectError {
  reasons.set(error, why);
  return error;
}

/** Why the call with this error was surely not run; `undefined` = it may have been. */
export function whyNotRun(error: ConnectError): NotRun | undefined {
  return reasons.get(error);
}

/** Whether this error says that its call had no effect. */
export function wasNotRun(error: ConnectError): boolean {
  return reasons.has(error);
}

/**
 * A refused call is sent again so often. A proxy that ends each connection after some calls refuses
 * more calls than it runs.
 */
const MAX_SENT_AGAIN = 12;
const MIN_PAUSE_MS = 5;
const MAX_PAUSE_MS = 250;

/**
 * How long a call that was refused so many times waits before it is sent again, in milliseconds. 0
 * the first time, since there is mostly another connection. `undefined` = it is not sent again. All
 * pauses together last two seconds at most.
 */
export function refusalPauseMs(refusals: number): number | undefined {
  if (refusals > MAX_SENT_AGAIN) {
    return undefined;
  }
  if (refusals === 1) {
    return 0;
  }
  // Random, so that calls that were refused together do not come back together.
  return Math.min(MAX_PAUSE_MS, MIN_PAUSE_MS * 2 ** (refusals - 2)) * (0.5 + Math.random() / 2);
}
