import type { Clock } from "../clock.ts";

/** A clock that only `advance` moves. */
export interface ManualClock extends Clock {
  readonly advance: (ms: number) => void;
}

/** Starts at an arbitrary time. */
export function createManualClock(): ManualClock {
  let nowMs = 1_700_000_000_123;
  return {
    now: () => nowMs,
    advance(ms) {
      nowMs += ms;
    },
  };
}
