import { json, type PrismClient } from "../../client/node.ts";

/** Keeps what is costly to compute, for all instances of the service. */
export function createCache({ keyvalue }: PrismClient) {
  /** What `compute` answered within the last `ttlSeconds`, or else answers now. */
  return async <T>(name: string, ttlSeconds: number, compute: () => Promise<T>): Promise<T> => {
    const values = keyvalue.as(json<T>());
    const key = `cache:${name}`;
    const kept = await values.find(key);
    if (kept !== undefined) {
      return kept;
    }
    const value = await compute();
    await values.set(key, value, { ttlSeconds });
    return value;
  };
}
