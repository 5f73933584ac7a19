import { Cluster, type Redis } from "ioredis";
import { createClient, patienceMs } from "./client.ts";
import type { RedisConfig } from "./config.ts";
import { shardKeys } from "./keys.ts";

/** Between two looks, as long as writes are refused: twice as long each time. */
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;

/** Longer is not waited for an answer over a connection that is there. */
const ANSWER_MS = 1_000;

/** Looks where the primary is by now, once one that was it has become a replica. */
export interface Lookout {
  /** A write was refused because the server is a replica. Looks now, or not before a pause is over. */
  refused(): void;
  /** A write was taken. The next one that is refused is looked into at once. */
  taken(): void;
  /** Ends a look that is under way. */
  close(): void;
}

/**
 * A name, or the sentinels, may lead to another server than the one that we are connected to.
 * It is looked at over a connection of its own, so that reads go on; `moved` is told where a server
 * is there that takes writes. The nodes of a Cluster say so themselves.
 */
export function createLookout(config: RedisConfig, moved: () => void): Lookout {
  let pauseMs = FIRST_PAUSE_MS;
  let nextAtMs = 0;
  let probe: Redis | undefined;

  async function look(): Promise<void> {
    nextAtMs = performance.now() + pauseMs;
    pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS);
    const client = createClient(config);
    if (client instanceof Cluster) {
      return;
    }
    probe = client;
    // The driver would go on trying, for ever.
    const timer = setTimeout(() => client.disconnect(), patienceMs(config) + ANSWER_MS);
    client.on("error", () => {});
    try {
      await client.connect();
      // A write that leaves nothing behind: no namespace is called "".
      await client.unlink(`${shardKeys(config.key_prefix, 0).entryPrefix}:`);
      if (probe === client) {
        moved();
      }
    } finally {
      clearTimeout(timer);
      client.disconnect();
      if (probe === client) {
        probe = undefined;
      }
    }
  }

  return {
    refused() {
      if (probe !== undefined || performance.now() < nextAtMs) {
        return;
      }
      // Nobody there who takes writes, for whatever reason: the next look may find one.
      look().catch(() => {});
    },
    taken() {
      pauseMs = FIRST_PAUSE_MS;
      nextAtMs = 0;
    },
    close() {
      probe?.disconnect();
      probe = undefined;
    },
  };
}
