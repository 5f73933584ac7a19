import type { Backend, EntryStore } from "../contract.ts";
import { createSweeper, type Sweeper } from "../sweeper.ts";
import { checkMemory, claimShard } from "./claim.ts";
import { createCommits } from "./commits.ts";
import { describePlace, type RedisConfig, shardCount } from "./config.ts";
import { type Connection, createConnection } from "./connection.ts";
import { sweepStep } from "./count.ts";
import { createErase } from "./erase.ts";
import { openError } from "./errors.ts";
import { createFilledLists, type FilledLists } from "./filled-lists.ts";
import { type ShardKeys, shardKeys } from "./keys.ts";
import { createLists } from "./lists.ts";
import { createNames } from "./names.ts";
import { readExistence, readMany } from "./read-many.ts";
import { createRecords, sweepItems } from "./records.ts";
import { asNumbers, asValues } from "./replies.ts";
import { createScans } from "./scans.ts";
import { SCRIPTS } from "./scripts.ts";
import { valueIn } from "./stored.ts";

/**
 * The shards of a store in Redis, in order. Each is a {@link Backend}, as durable as Redis. They
 * share connections. The caller decides which shard holds a key, and must never decide otherwise
 * later.
 */
export function createRedisShards(config: RedisConfig): Backend[] {
  const connection = createConnection(config);
  const filledLists = createFilledLists(config);
  return Array.from({ length: shardCount(config) }, (_, shard) =>
    createShard(config, connection, filledLists, shard),
  );
}

function createShard(
  config: RedisConfig,
  connection: Connection,
  filledLists: FilledLists,
  shard: number,
): Backend {
  const keys = shardKeys(config.key_prefix, shard);
  const claim = () => claimShard(connection, config, shard);
  let sweeper: Sweeper | undefined;

  async function sweep(): Promise<void> {
    while ((await sweepStep(connection, keys, "-", "-")).wasFull && sweeper !== undefined) {}
    while ((await sweepItems(connection, keys)).wasFull && sweeper !== undefined) {}
  }

  return {
    type: config.type,
    atomic: "namespace",
    countsCheaply: true,
    entries: createEntries(connection, keys),
    commits: createCommits(connection, keys),
    scans: createScans(connection, keys),
    ...createLists(connection, keys),
    watchFilled: (listener) => filledLists.watch(keys.listPrefix, listener),
    records: createRecords(connection, keys),
    ...createNames(connection, keys),
    erase: createErase(connection, keys),
    // The shards share the connections.
    ...(shard === 0 && { figures: connection.figures }),
    async open() {
      try {
        await connection.retain();
        checkMemory(await claim());
      } catch (error) {
        connection.release();
        throw openError(error, describePlace(config));
      }
      sweeper = createSweeper(sweep);
    },
    async check() {
      const { refusal } = await claim();
      // A full server still takes deletes.
      if (refusal !== undefined && refusal.reason !== "store_full") {
        throw refusal;
      }
    },
    async close() {
      const stopped = sweeper?.stop();
      sweeper = undefined;
      await stopped;
      connection.release();
    },
  };
}

function createEntries(
  connection: Connection,
  { index, expiry, version, entryPrefix }: ShardKeys,
): EntryStore {
  const names = (namespace: string, keys: readonly string[]) => {
    const prefix = `${entryPrefix}${namespace}:`;
    return keys.map((key) => prefix + key);
  };
  return {
    async get(namespace, keys) {
      if (keys.length === 0) {
        return [];
      }
      return await readMany(names(namespace, keys), async (some) =>
        asValues(await connection.run("repeatable", "mget", some)).map((stored) => stored && valueIn(stored)),
      );
    },
    async exists(namespace, keys) {
      return await readExistence(connection, names(namespace, keys));
    },
    async set(namespace, entries) {
      const entryNames = names(
        namespace,
        entries.map(({ key }) => key),
      );
      const args = entries.flatMap(({ value, ttlMs }) => [Buffer.from(value), Math.ceil(ttlMs)]);
      await connection.runScript(
        "once",
        SCRIPTS.set,
        [index, expiry, version, ...entryNames],
        [entryPrefix.length, ...args],
      );
      return undefined;
    },
    async delete(namespace, keys) {
      const reply = await connection.runScript(
        "once",
        SCRIPTS.delete,
        [index, expiry, ...names(namespace, keys)],
        [entryPrefix.length],
      );
      return asNumbers(reply).map((found) => found === 1);
    },
  };
}
