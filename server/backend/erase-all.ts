import { setTimeout as delay } from "node:timers/promises";
import { abortError, PrismError } from "../errors.ts";
import type { Backend, Call } from "./contract.ts";

/**
 * The entries, values and items that one step of {@link eraseAll} removes: other callers of the
 * store wait for a step as they wait for each other.
 */
const STEP_ITEMS = 1000;

/** The same on a full disk: SQLite needs some room for each step. */
const FRUGAL_ITEMS = 8;

/**
 * Removes all data of a namespace from an open store, in steps. It pauses after each step for as
 * long as the step took, so others have at least half of the store's time. Nobody should write to
 * the namespace meanwhile, because that may stay.
 *
 * Throws {@link PrismError}: what the store says, or the abort's own error between two steps. What
 * is removed by then stays removed. It may be called again.
 */
export async function eraseAll(
  erase: NonNullable<Backend["erase"]>,
  namespace: string,
  call: Call,
): Promise<void> {
  let after: string | undefined;
  let maxItems = STEP_ITEMS;
  for (;;) {
    const startedAtMs = performance.now();
    try {
      after = await erase(namespace, { after, maxItems }, call);
    } catch (error) {
      if (maxItems === FRUGAL_ITEMS || !isFull(error)) {
        throw error;
      }
      maxItems = FRUGAL_ITEMS;
      continue;
    }
    if (after === undefined) {
      return;
    }
    await delay(performance.now() - startedAtMs);
    if (call.aborted) {
      throw abortError(call.signal);
    }
  }
}

function isFull(error: unknown): boolean {
  return error instanceof PrismError && error.reason === "store_full";
}
