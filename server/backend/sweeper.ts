/** How often to look for expired entries. They are invisible already; this is about their room. */
const INTERVAL_MS = 1000;

/** Deletes what is expired, in the background. */
export interface Sweeper {
  /** Stops, after the sweep that is under way. */
  stop(): Promise<void>;
}

/**
 * @param sweep Deletes everything that is expired now.
 * A sweep that fails is tried again at the next interval: whatever fails it fails calls too, and those report it.
 */
export function createSweeper(sweep: () => Promise<unknown>): Sweeper {
  let underWay: Promise<unknown> | undefined;
  const timer = setInterval(() => {
    underWay ??= sweep().then(finish, finish);
  }, INTERVAL_MS).unref();

  function finish(): void {
    underWay = undefined;
  }

  return {
    async stop() {
      clearInterval(timer);
      await underWay;
    },
  };
}
