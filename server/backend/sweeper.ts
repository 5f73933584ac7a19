/** How often expired entries are deleted. They are invisible before that; this frees their room. */
const INTERVAL_MS = 1000;

/** Deletes expired entries in the background. */
export interface Sweeper {
  /** Stops after the sweep that is under way. */
  stop(): Promise<void>;
}

/**
 * @param sweep Deletes everything that is expired now. A failed sweep is tried again at the next
 * interval. It is not reported: the same cause fails calls too, and those report it.
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
