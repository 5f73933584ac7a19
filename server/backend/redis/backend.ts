import {
  type Answers,
  type Backend,
  type Call,
  type EntryStore,
  type ListEnd,
  type ListStore,
  refusalOf,
} from "../contract.ts";
import { createSweeper, type Sweeper } from "../sweeper.ts";
import { checkMemory, claimShard } from "./claim.ts";
import { describePlace } from "./client.ts";
import { createCommits } from "./commits.ts";
import { type RedisConfig, shardCount } from "./config.ts";
import { type Connection, createConnection } from "./connection.ts";
import { sweepStep } from "./count.ts";
import { openError } from "./errors.ts";
import { type ShardKeys, shardKeys } from "./keys.ts";
import { readExistence, readMany } from "./read-many.ts";
import { asAnswer, asArray, asNumber, asNumbers, asValue, asValues } from "./replies.ts";
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
  return Array.from({ length: shardCount(config) }, (_, shard) => createShard(config, connection, shard));
}

function createShard(config: RedisConfig, connection: Connection, shard: number): Backend {
  const keys = shardKeys(config.key_prefix, shard);
  const claim = () => claimShard(connection, config, shard);
  let sweeper: Sweeper | undefined;

  async function sweep(): Promise<void> {
    while ((await sweepStep(connection, keys, "-", "-")).wasFull && sweeper !== undefined) {}
  }

  return {
    type: config.type,
    atomic: "namespace",
    entries: createEntries(connection, keys),
    commits: createCommits(connection, keys),
    scans: createScans(connection, keys),
    lists: createLists(connection, keys),
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

function createLists(connection: Connection, { listPrefix }: ShardKeys): ListStore {
  const nameOf = (namespace: string, key: string) => `${listPrefix}${namespace}:${key}`;
  return {
    async push(namespace, pushes, call) {
      return await orRefused(pushes, async () => {
        const reply = await connection.runScript(
          "once",
          SCRIPTS.push,
          pushes.map(({ key }) => nameOf(namespace, key)),
          [...pushes.flatMap(({ end, value }) => [PUSH[end], Buffer.from(value)]), modeOf(call)],
        );
        return asAnswers(reply, asNumber);
      });
    },
    async pop(namespace, pops, call) {
      return await orRefused(pops, async () => {
        const reply = await connection.runScript(
          "once",
          SCRIPTS.pop,
          pops.map(({ key }) => nameOf(namespace, key)),
          [...pops.map(({ end }) => POP[end]), modeOf(call)],
        );
        return asAnswers(reply, asValue);
      });
    },
    async length(namespace, keys) {
      const names = keys.map((key) => nameOf(namespace, key));
      return await readMany(names, async (some) =>
        asAnswers(await connection.runScript("repeatable", SCRIPTS.length, some, []), asNumber),
      );
    },
  };
}

/** Whether a key of the wrong type fails its own items, or the call. */
const modeOf = ({ each }: Call) => (each === true ? "each" : "whole");

/** Turns the failure that one key causes into a refusal of every item. */
async function orRefused<Answer>(
  items: readonly unknown[],
  run: () => Promise<Answers<Answer>>,
): Promise<Answers<Answer>> {
  try {
    return await run();
  } catch (error) {
    const refusal = refusalOf(error);
    // No item has room.
    if (refusal === undefined || refusal.reason === "store_full") {
      throw error;
    }
    return items.map(() => refusal);
  }
}

/** A script's answers, one for each item. */
function asAnswers<Answer>(reply: unknown, as: (item: unknown) => Answer): Answers<Answer> {
  return asArray(reply).map((item) => asAnswer(item, as));
}

const PUSH: Readonly<Record<ListEnd, string>> = { left: "LPUSH", right: "RPUSH" };
const POP: Readonly<Record<ListEnd, string>> = { left: "LPOP", right: "RPOP" };
