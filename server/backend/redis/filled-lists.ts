import { Cluster } from "ioredis";
import type { FilledListener } from "../contract.ts";
import { keepListening, type Listening } from "../keep-listening.ts";
import { createClient } from "./client.ts";
import { placeOf, type RedisConfig } from "./config.ts";
import { shardKeys } from "./keys.ts";

/** Listens for the shards of a store, on one connection for all of them. */
export interface FilledLists {
  /**
   * Tells which lists under `listPrefix`, a shard's, were filled. Answers a function that ends it.
   */
  watch(listPrefix: string, listener: FilledListener): () => void;
}

/** Connects while somebody watches. */
export function createFilledLists(config: RedisConfig): FilledLists {
  const listeners = new Map<string, FilledListener>();
  const { filled: channel } = shardKeys(config.key_prefix, 0);
  let connections = 0;
  let stop: (() => void) | undefined;

  /** The message is the list's name in Redis. */
  function hear(name: string): void {
    for (const [prefix, listener] of listeners) {
      if (name.startsWith(prefix)) {
        const [namespace = ""] = name.slice(prefix.length).split(":", 1);
        listener.filled(namespace, name.slice(prefix.length + namespace.length + 1));
      }
    }
  }

  async function listen(): Promise<Listening> {
    const connection = createClient(serverOf(config, connections++));
    if (connection instanceof Cluster) {
      throw new TypeError("a Cluster's node was asked for");
    }
    // It closes then, which ends the listening.
    connection.on("error", () => {});
    connection.on("message", (_channel, name: string) => hear(name));
    const close = () => connection.disconnect();
    try {
      await connection.connect();
      await connection.subscribe(channel);
    } catch (error) {
      close();
      throw error;
    }
    return { connection, event: "close", ping: () => connection.ping(), close };
  }

  const everyone = {
    missed() {
      for (const listener of listeners.values()) {
        listener.missed();
      }
    },
  };
  return {
    watch(listPrefix, listener) {
      listeners.set(listPrefix, listener);
      stop ??= keepListening(listen, everyone);
      return () => {
        listeners.delete(listPrefix);
        if (listeners.size === 0) {
          stop?.();
          stop = undefined;
        }
      };
    },
  };
}

/** Any node of a Cluster hears what is published on the others, so it takes turns. */
function serverOf(config: RedisConfig, turn: number): RedisConfig {
  const place = placeOf(config);
  return place.kind === "cluster"
    ? { ...config, cluster: undefined, url: place.urls[turn % place.urls.length] }
    : config;
}
