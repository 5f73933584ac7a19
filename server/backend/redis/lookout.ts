import { Cluster, type Redis } from "ioredis";
import { createClient, patienceMs } from "./client.ts";
import type { RedisConfig } from "./config.ts";
import { shardKeys } from "./keys.ts";

/**
 * The first pause between looks while writes are refused. Each pause is twice as long as the one
 * before.
 */
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;

/** How long to wait for an answer over an open connection. */
const ANSWER_MS = 1_000;

/** Finds the new primary after the old one became a replica. */
export interface Lookout {
  /** A write was refused because the server is a replica. Looks now, or after the current pause. */
  refused(): void;
  /** A write was taken. The next refused write starts a look at once. */
  taken(): void;
  /** Ends the look that is under way. */
  close(): void;
}

/**
 * A name or the sentinels may by now lead to another server than the connected one. This looks over
 * a separate connection, so that reads go on. `moved` is called when a server takes writes there.
 * Cluster nodes report such a move themselves.
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
    // The driver would try for ever.
    const timer = setTimeout(() => client.disconnect(), patienceMs(config) + ANSWER_MS);
    client.on("error", () => {});
    try {
      await client.connect();
      // A write without effect: no namespace is called "".
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
      // No server there takes writes yet. The next look may find one.
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
