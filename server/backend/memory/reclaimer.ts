import { MAX_TIMER_MS } from "../../limits.ts";
import type { Clock } from "../clock.ts";

/** Calls a store's reclaim function when its soonest expiry comes due. */
export interface Reclaimer {
  /** Says that something expires at `expiresAtMs`. Cheap where something sooner is awaited already. */
  expect(expiresAtMs: number): void;
  /** Ends all work that is planned. */
  stop(): void;
}

/**
 * @param reclaim Gives back one slice of what is expired at `nowMs`, small enough not to be felt as a pause, and answers the
 * soonest expiry that is left, `undefined` = none. Slices follow each other with a turn of the event loop between them.
 */
export function createReclaimer(clock: Clock, reclaim: (nowMs: number) => number | undefined): Reclaimer {
  let awaitedMs = Infinity;
  let timer: NodeJS.Timeout | undefined;
  let immediate: NodeJS.Immediate | undefined;

  function arm(expiresAtMs: number, nowMs: number): void {
    clearTimeout(timer);
    awaitedMs = expiresAtMs;
    timer = setTimeout(run, Math.min(expiresAtMs - nowMs, MAX_TIMER_MS)).unref();
  }

  function run(): void {
    const nowMs = clock.now();
    const nextMs = reclaim(nowMs);
    if (nextMs === undefined) {
      awaitedMs = Infinity;
    } else if (nextMs > nowMs) {
      arm(nextMs, nowMs);
    } else {
      // Nothing can come sooner than the next slice.
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
