import { setImmediate as nextTurn } from "node:timers/promises";
import { abortError } from "../../errors.ts";
import { MAX_TIMER_MS } from "../../limits.ts";
import type { Clock } from "../clock.ts";
import type { Call } from "../contract.ts";

/** Calls a store's reclaim function when its soonest expiry comes due. */
export interface Reclaimer {
  /**
   * Tells that something expires at `expiresAtMs`, or has expired. Cheap when an earlier expiry is
   * awaited already.
   */
  expect(expiresAtMs: number): void;
  /** Cancels all planned work. */
  stop(): void;
}

/**
 * @param reclaim Removes one slice of what is expired at `nowMs`, small enough to cause no
 * noticeable pause. Answers the next expiry; `undefined` = none. The event loop turns between two
 * slices.
 */
export function createReclaimer(clock: Clock, reclaim: (nowMs: number) => number | undefined): Reclaimer {
  let awaitedMs = Infinity;
  let timer: NodeJS.Timeout | undefined;
  let immediate: NodeJS.Immediate | undefined;

  function arm(expiresAtMs: number, nowMs: number): void {
    clearTimeout(timer);
    awaitedMs = expiresAtMs;
    // What is added can have expired already.
    const waitMs = Math.max(expiresAtMs - nowMs, 0);
    timer = setTimeout(run, Math.min(waitMs, MAX_TIMER_MS)).unref();
  }

  function run(): void {
    const nowMs = clock.now();
    const nextMs = reclaim(nowMs);
    if (nextMs === undefined) {
      awaitedMs = Infinity;
    } else if (nextMs > nowMs) {
      arm(nextMs, nowMs);
    } else {
      // Until the next slice has run no expiry can change the plan.
      awaitedMs = -Infinity;
      immediate = setImmediate(run).unref();
    }
  }

  return {
    expect(expiresAtMs) {
      if (expiresAtMs < awaitedMs) {
        arm(expiresAtMs, clock.now());
      }
    },
    stop() {
      clearTimeout(timer);
      clearImmediate(immediate);
      awaitedMs = Infinity;
    },
  };
}

/**
 * Removes what is expired, slice by slice, and then answers what `read` does: nothing that it reads
 * is expired. Throws the call's error if it aborts meanwhile.
 */
export async function whenReclaimed<T>(
  table: { reclaim(nowMs: number): number | undefined },
  clock: Clock,
  call: Call,
  read: () => T,
): Promise<T> {
  for (;;) {
    const nowMs = clock.now();
    const soonestMs = table.reclaim(nowMs);
    if (soonestMs === undefined || soonestMs > nowMs) {
      return read();
    }
    await nextTurn();
    if (call.aborted) {
      throw abortError(call.signal);
    }
  }
}
