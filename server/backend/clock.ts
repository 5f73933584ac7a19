/** The time that a store measures expiry by. */
export interface Clock {
  /** Milliseconds since 1970. Never less than an earlier answer. */
  now(): number;
}

/** The machine's clock, held still while the machine's steps back: an expired entry must not become visible again. */
export function createSystemClock(): Clock {
  let latest = 0;
  return {
    now() {
      latest = Math.max(latest, Date.now());
      return latest;
    },
  };
}
