import type { PrismClient } from "../../client/node.ts";

const WINDOW_SECONDS = 60;

/**
 * Counts what each user does, on all instances of the service together. Answers 0 if there is room
 * for one more, else the seconds until there is.
 */
export function createRateLimit({ keyvalue }: PrismClient, perMinute: number) {
  return async (user: string): Promise<number> => {
    const key = `rate:${user}`;
    // Only the call that makes the counter sets its time to live, so it ends a minute after that.
    const count = await keyvalue.increment(key, 1, { ttlSeconds: WINDOW_SECONDS });
    if (count <= perMinute) {
      return 0;
    }
    const [counter] = await keyvalue.getEntries([key]);
    return Math.max(1, Math.ceil((counter?.ttlMs ?? 0) / 1000));
  };
}
