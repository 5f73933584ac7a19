import type { Clock } from "../clock.ts";

/** A clock that stands still but for `advance`. */
export interface ManualClock extends Clock {
  readonly advance: (ms: number) => void;
}

/** Starts at some time that is not special. */
export function createManualClock(): ManualClock {
  let nowMs = 1_700_000_000_123;
  return {
    now: () => nowMs,
    advance(ms) {
      nowMs += ms;
    },
  };
}
