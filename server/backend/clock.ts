/** The time that a store measures expiry by. */
export interface Clock {
  /** Whole milliseconds since 1970. It never goes back. */
  now(): number;
}

/** The two clocks of a machine, in milliseconds. */
export interface TimeSources {
  /** Advances evenly, from an arbitrary start. */
  readonly monotonic: () => number;
  /** Since 1970. Jumps when somebody sets it. */
  readonly wall: () => number;
}

/** The 0.5: `Date.now()` drops the fraction of a millisecond, which is a half on average. */
const MACHINE: TimeSources = { monotonic: () => performance.now(), wall: () => Date.now() + 0.5 };

/**
 * The most by which this clock runs faster or slower than the monotonic clock while it catches up
 * with the wall clock. So a time to live is right to one percent. An hour of difference is made up
 * in four days; the drift of clocks (at most one in a thousand) is followed at once.
 */
const MAX_SLEW = 0.01;

/** Between two looks at the wall clock. */
const FOLLOW_MS = 100;

/**
 * Starts at the wall clock and advances with the monotonic clock. When somebody sets the wall
 * clock, entries keep the time they have left: this clock does not jump, it approaches the wall
 * clock at {@link MAX_SLEW}. It has to approach it, because SQLite stores deadlines of this clock
 * in its file and compares them with the wall clock after a restart.
 *
 * The monotonic clock stands still while the machine sleeps (CLOCK_MONOTONIC on Linux). That looks
 * as if the wall clock were set forward: entries live by the time that the machine was awake.
 */
export function createSystemClock({ monotonic, wall }: TimeSources = MACHINE): Clock {
  let followedMs = monotonic();
  let offsetMs = wall() - followedMs;
  let latest = 0;

  function follow(monotonicMs: number): void {
    const behindMs = wall() - (monotonicMs + offsetMs);
    const mostMs = (monotonicMs - followedMs) * MAX_SLEW;
    offsetMs += Math.max(-mostMs, Math.min(mostMs, behindMs));
    followedMs = monotonicMs;
  }

  return {
    now() {
      const monotonicMs = monotonic();
      if (monotonicMs - followedMs >= FOLLOW_MS) {
        follow(monotonicMs);
      }
      // Slewing back may subtract more than the time that passed since the last answer.
      latest = Math.max(latest, Math.floor(monotonicMs + offsetMs));
      return latest;
    },
  };
}
