import { setTimeout as delay } from "node:timers/promises";

/** Between two looks, in milliseconds: what is waited for tells nobody when it happens. */
const INTERVAL_MS = 20;

/** Waits until `isSo`; one that throws is not so yet. Throws if `what`, which a reader of the failed test is told, takes longer. */
export async function until(
  what: string,
  isSo: () => Promise<boolean> | boolean,
  timeoutMs = 15_000,
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
