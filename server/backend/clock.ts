/** The time that a store measures expiry by. */
export interface Clock {
  /** Whole milliseconds since 1970. Never less than an earlier answer. */
  now(): number;
}

/** The two clocks of a machine, in milliseconds. */
export interface TimeSources {
  /** Goes on evenly, from some moment on. */
  readonly monotonic: () => number;
  /** Since 1970. Jumps when somebody sets it. */
  readonly wall: () => number;
}

/** Date.now() leaves out the fraction of a millisecond, which is a half on average. */
const MACHINE: TimeSources = { monotonic: () => performance.now(), wall: () => Date.now() + 0.5 };

/**
 * How much faster or slower than the monotonic clock time goes, at most, to come back to the wall clock. A time to live is
 * right to a hundredth then. An hour is caught up with in four days, and what clocks drift by (a thousandth at most) at once.
 */
const MAX_SLEW = 0.01;

/** Between two looks at the wall clock. */
const FOLLOW_MS = 100;

/**
 * The wall clock of the start, moved on by the monotonic clock. Where somebody sets the wall clock, back or forward, what has
 * time left keeps it: this clock does not jump, but draws near at {@link MAX_SLEW}. It does draw near, because SQLite keeps
 * deadlines of this clock in its file, and reads them by the wall clock after a restart.
 *
 * The monotonic clock stands still while the machine sleeps (Linux' CLOCK_MONOTONIC). That is as if the wall clock were set
 * forward: entries live by the time that the machine was awake.
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
      // A slew back may be more than the time since the last answer.
      latest = Math.max(latest, Math.floor(monotonicMs + offsetMs));
      return latest;
    },
  };
}
