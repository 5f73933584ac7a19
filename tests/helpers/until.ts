import { setTimeout as delay } from "node:timers/promises";
import { vi } from "vitest";

/** The milliseconds between two checks: the awaited thing sends no event. */
const INTERVAL_MS = 20;

/** Far more than what is waited for takes, so that a busy machine fails no test. */
const TIMEOUT_MS = 30_000;

/**
 * Waits until `isSo` is true; throwing means not yet. Throws if it takes too long; the message has
 * `what` for the reader of the failed test.
 */
export async function until(
  what: string,
  isSo: () => Promise<boolean> | boolean,
  timeoutMs = TIMEOUT_MS,
): Promise<void> {
  const lateAtMs = performance.now() + timeoutMs;
  for (let last: unknown; ; await delay(INTERVAL_MS)) {
    try {
      if (await isSo()) {
        return;
      }
    } catch (error) {
      last = error;
    }
    if (performance.now() > lateAtMs) {
      throw new Error(`waited for ${timeoutMs} ms: ${what}`, { cause: last });
    }
  }
}

/**
 * As `vi.waitFor`, for as long as a busy machine needs: waits until `look` throws no more, and
 * answers what it answers.
 */
export function waitFor<T>(look: () => Promise<T> | T, intervalMs = INTERVAL_MS): Promise<T> {
  return vi.waitFor(look, { interval: intervalMs, timeout: TIMEOUT_MS });
}
