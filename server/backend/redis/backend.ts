import { abortError, StartError } from "../../errors.ts";
import type { Backend, EntryStore, ListEnd, ListStore, ScanStore } from "../contract.ts";
import { keyRange } from "../key-range.ts";
import { createSweeper, type Sweeper } from "../sweeper.ts";
import { ArrayValues } from "../values.ts";
import { describePlace } from "./client.ts";
import { type RedisConfig, shardCount } from "./config.ts";
import { type Connection, createConnection } from "./connection.ts";
import { openError } from "./errors.ts";
import { type ShardKeys, shardKeys } from "./keys.ts";
import { asNumbers, asTexts, asValues } from "./replies.ts";
import { SCRIPTS } from "./scripts.ts";

/** How the keys are laid out: a number that a change of it would raise. */
const LAYOUT_VERSION = 1;

/** Entries that one step of a sweep takes out of the index: nobody else's command runs meanwhile. Lua passes on no more than 8,000. */
const SWEEP_ENTRIES = 1000;

/**
 * The shards of a store in Redis, in order, each a {@link Backend} of its own that is as durable as Redis is. They share their
 * connections. Which key is whose is for the caller to say, and must never change.
 */
export function createRedisShards(config: RedisConfig): Backend[] {
  const connection = createConnection(config);
  return Array.from({ length: shardCount(config) }, (_, shard) => createShard(config, connection, shard));
}

function createShard(config: RedisConfig, connection: Connection, shard: number): Backend {
  const keys = shardKeys(config.key_prefix, shard);
  let sweeper: Sweeper | undefined;

  async function sweep(): Promise<void> {
    while ((await sweepStep(connection, keys, "-", "(-")).wasFull && sweeper !== undefined);
  }

  return {
    type: config.type,
    entries: createEntries(connection, keys),
    scans: createScans(connection, keys),
    lists: createLists(connection, keys),
    async open() {
      try {
        await connection.retain();
        await claim(connection, keys, `${LAYOUT_VERSION} ${shard}/${shardCount(config)}`);
      } catch (error) {
        connection.release();
        throw openError(error, describePlace(config));
      }
      sweeper = createSweeper(sweep);
    },
    async check() {
      await connection.run("read", "exists", [keys.layout]);
    },
    async close() {
      const stopped = sweeper?.stop();
      sweeper = undefined;
      await stopped;
      connection.release();
    },
  };
}

/** Makes sure that a shard is what this store takes it for, and that what is in it stays there. */
async function claim(connection: Connection, keys: ShardKeys, wanted: string): Promise<void> {
  const reply = await connection.runScript("read", SCRIPTS.open, [keys.layout], [wanted]);
  const [layout = "", memory = ""] = asTexts(reply);
  if (layout !== wanted) {
    throw new StartError(
      `${keys.layout} is "${layout}" and not "${wanted}": the data has another number of shards, or is of another version of Prism`,
    );
  }
  const [, policy = "noeviction"] = /^maxmemory_policy:(\S+)/m.exec(memory) ?? [];
  const [, maxBytes = "0"] = /^maxmemory:(\d+)/m.exec(memory) ?? [];
  if (maxBytes !== "0" && policy !== "noeviction") {
    throw new StartError(
      `it would throw away data when it is full: set its maxmemory-policy to noeviction (it is ${policy}), or its maxmemory to 0`,
    );
  }
}

/** Clears the index of expired entries, some at a time, and counts what is in a range. */
async function sweepStep(
  connection: Connection,
  { index, expiry }: ShardKeys,
  from: string | Buffer,
  below: string | Buffer,
) {
  const reply = await connection.runScript(
    "read",
    SCRIPTS.sweep,
    [index, expiry],
    [SWEEP_ENTRIES, from, below],
  );
  const [swept = 0, count = 0] = asNumbers(reply);
  return { wasFull: swept === SWEEP_ENTRIES, count };
}

function createEntries(connection: Connection, { index, expiry, entryPrefix }: ShardKeys): EntryStore {
  const names = (namespace: string, keys: readonly string[]) => {
    const prefix = `${entryPrefix}${namespace}:`;
    return keys.map((key) => prefix + key);
  };
  return {
    async get(namespace, keys) {
      if (keys.length === 0) return [];
      return asValues(await connection.run("read", "mget", names(namespace, keys)));
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
        "write",
        SCRIPTS.set,
        [index, expiry, ...entryNames],
        [entryPrefix.length, ...args],
      );
    },
    async delete(namespace, keys) {
      const reply = await connection.runScript(
        "write",
        SCRIPTS.delete,
        [index, expiry, ...names(namespace, keys)],
        [entryPrefix.length],
      );
      return asNumbers(reply).map((found) => found === 1);
    },
  };
}

async function readExistence(connection: Connection, names: readonly string[]): Promise<boolean[]> {
  return asNumbers(await connection.runScript("read", SCRIPTS.exists, names, [])).map((found) => found === 1);
}

function createScans(connection: Connection, keys: ShardKeys): ScanStore {
  return {
    async scanPage(namespace, { prefix, after, maxEntries, maxBytes, keysOnly }) {
      const start = `${namespace}:`;
      const { from, below } = rangeOf(namespace, prefix, after);
      // One more tells whether there is more.
      const args = [keys.index, from, below, "limit", 0, maxEntries + 1];
      const members = asTexts(await connection.run("read", "zrangebylex", args));
      const candidates = members.slice(0, maxEntries).map((member) => member.slice(start.length));
      const isLast = members.length <= maxEntries;
      const entryPrefix = keys.entryPrefix + start;
      const names = candidates.map((key) => entryPrefix + key);
      if (keysOnly) return await readKeys(candidates, names, isLast, maxBytes);
      const reply =
        names.length === 0
          ? []
          : await connection.runScript("read", SCRIPTS.values, names, [entryPrefix.length, maxBytes]);
      const found = asValues(reply);
      // An entry that has expired, or was deleted meanwhile, is in the index alone.
      const there = found.flatMap((value, i) =>
        value === undefined ? [] : [{ key: candidates[i] ?? "", value }],
      );
      return {
        keys: there.map(({ key }) => key),
        values: new ArrayValues(there.map(({ value }) => value)),
        next: isLast && found.length === candidates.length ? undefined : candidates[found.length - 1],
      };
    },
    async count(namespace, prefix, call) {
      const { from, below } = rangeOf(namespace, prefix, undefined);
      for (;;) {
        const { wasFull, count } = await sweepStep(connection, keys, from, below);
        if (!wasFull) return count;
        if (call.aborted) throw abortError(call.signal);
      }
    },
  };

  async function readKeys(
    candidates: readonly string[],
    names: readonly string[],
    isLast: boolean,
    maxBytes: number,
  ) {
    const found = names.length === 0 ? [] : await readExistence(connection, names);
    const there: string[] = [];
    let bytes = 0;
    for (const [i, key] of candidates.entries()) {
      if (found[i] !== true) continue;
      there.push(key);
      bytes += Buffer.byteLength(key);
      if (bytes >= maxBytes && !(isLast && i === candidates.length - 1)) {
        return { keys: there, values: new ArrayValues([]), next: key };
      }
    }
    return { keys: there, values: new ArrayValues([]), next: isLast ? undefined : candidates.at(-1) };
  }
}

function createLists(connection: Connection, { listPrefix }: ShardKeys): ListStore {
  const nameOf = (namespace: string, key: string) => `${listPrefix}${namespace}:${key}`;
  return {
    async push(namespace, pushes) {
      const reply = await connection.runScript(
        "write",
        SCRIPTS.push,
        pushes.map(({ key }) => nameOf(namespace, key)),
        pushes.flatMap(({ end, value }) => [PUSH[end], Buffer.from(value)]),
      );
      return asNumbers(reply);
    },
    async pop(namespace, pops) {
      const reply = await connection.runScript(
        "write",
        SCRIPTS.pop,
        pops.map(({ key }) => nameOf(namespace, key)),
        pops.map(({ end }) => POP[end]),
      );
      return asValues(reply);
    },
    async length(namespace, keys) {
      const names = keys.map((key) => nameOf(namespace, key));
      return asNumbers(await connection.runScript("read", SCRIPTS.length, names, []));
    },
  };
}

const PUSH: Readonly<Record<ListEnd, string>> = { left: "LPUSH", right: "RPUSH" };
const POP: Readonly<Record<ListEnd, string>> = { left: "LPOP", right: "RPOP" };

/** The members of the index that a scan is about, as ZRANGEBYLEX takes the ends: "[" with it, "(" without it. */
function rangeOf(namespace: string, prefix: string, after: string | undefined) {
  const start = `${namespace}:`;
  const range = keyRange(start + prefix, after === undefined ? undefined : start + after);
  return { from: Buffer.concat([WITH, range.from]), below: Buffer.concat([WITHOUT, range.below]) };
}

const WITH = Buffer.from("[");
const WITHOUT = Buffer.from("(");
