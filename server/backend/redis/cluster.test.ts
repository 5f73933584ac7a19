/** A Cluster of three masters: slots that move, masters that go. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askRedis, canStartRedis } from "../../../tests/helpers/redis.ts";
import { type RedisCluster, startRedisCluster } from "../../../tests/helpers/redis-cluster.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { asPrismError, StartError } from "../../errors.ts";
import { MAX_TTL_SECONDS } from "../../limits.ts";
import { describeBlocking } from "../conformance/blocking.ts";
import { add, change, committed, readTexts } from "../conformance/commit-steps.ts";
import {
  answersOf,
  bytes,
  CALL,
  LIST_EDITS,
  NAMES,
  NAMESPACE,
  present,
  texts,
} from "../conformance/harness.ts";
import { expectLinearizable } from "../conformance/linearizable.ts";
import { startLoad } from "../conformance/load.ts";
import { item, pairs, put, read } from "../conformance/record-values.ts";
import { seeded } from "../conformance/seeded.ts";
import { useGateways } from "../conformance/shared-store.ts";
import { describeBackend } from "../conformance/suite.ts";
import { createBackend } from "../factory.ts";
import { shardOf } from "../layers/sharded.ts";
import { redisSchema } from "./config.ts";
import { shardKeys } from "./keys.ts";

const SHARDS = 8;

describe.runIf(canStartRedis())("redis cluster", () => {
  let cluster: RedisCluster;
  let prefixes = 0;

  beforeAll(async () => {
    // By default one missing master takes all others out of service.
    cluster = await startRedisCluster({ replicas: 1, args: ["--cluster-require-full-coverage", "no"] });
  });
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]();
  });

  const newConfig = (key_prefix = `test-${++prefixes}`) =>
    redisSchema.parse({
      type: "redis",
      cluster: cluster.urls,
      key_prefix,
      shards: SHARDS,
      connect_timeout_ms: 1000,
    });

  describeBlocking("redis on a cluster, two gateways", async () => {
    const config = newConfig();
    const backends = await Promise.all([0, 1].map(() => createBackend(config)));
    await Promise.all(backends.map((backend) => backend.open()));
    const close = async () => {
      await Promise.all(backends.map((backend) => backend.close()));
    };
    return { backends, [Symbol.asyncDispose]: close };
  });

  describeBackend({
    name: "redis on a cluster",
    capabilities: ["entries", "commits", "scans", "lists", ...LIST_EDITS, "records", ...NAMES, "erase"],
    durable: true,
    countsCheaply: true,
    atomic: "shard",
    shardOf: (key) => shardOf(key, SHARDS),
    movesClock: false,
    maxTtlMs: MAX_TTL_SECONDS,
    async create() {
      const config = newConfig();
      const clear = async () => {
        for (const { url } of cluster.nodes) {
          const keys = (await askRedis(url, "KEYS", `{${config.key_prefix}:*`)) as string[];
          for (const key of keys) {
            await askRedis(url, "UNLINK", key).catch(() => {});
          }
        }
      };
      // Pops that wait have a suite of their own, above.
      const { listBlocking: _, ...backend } = await createBackend(config);
      return { backend, advance() {}, clear, dispose: clear };
    },
  });

  describe("that changes", () => {
    const { open } = useGateways();

    /** A key of each shard. */
    const keys = Array.from({ length: 100 }, (_, i) => `k${i}`);
    const slotOf = (prefix: string, shard: number) => cluster.slotOf(shardKeys(prefix, shard).index);

    test("a node of it is not a server", async () => {
      const url = cluster.urls[0];
      const { key_prefix } = newConfig();
      const slot = await slotOf(key_prefix, 0);
      const other = present(cluster.nodes.find((node) => node.url !== url));
      const owner = await cluster.ownerOf(slot);
      const wrong = owner.url === url ? other.url : url;
      const error = await createBackend(redisSchema.parse({ type: "redis", url: wrong, key_prefix }))
        .then((backend) => backend.open())
        .catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(StartError);
      expect(String(error)).toContain("this is a node of a Cluster: name it under `cluster`");
    });

    test("a slot moves: its keys can be read all the time, and nothing is lost", async () => {
      const config = newConfig();
      const { backend, entries, lists, scans } = await open(config);
      await entries.set(
        NAMESPACE,
        keys.map((key) => ({ key, value: bytes(key), ttlMs: 0 })),
        CALL,
      );
      const records = present(backend.records);
      for (const key of keys) {
        await put(records, key, [item("k", key)]);
      }
      const load = startLoad({ entries, lists });
      for (let shard = 0; shard < 3; shard++) {
        const slot = await slotOf(config.key_prefix, shard);
        const owner = await cluster.ownerOf(slot);
        const masters = await Promise.all([0, 6000, 12_000].map((slot) => cluster.ownerOf(slot)));
        const to = present(masters.find((node) => node !== owner));
        await cluster.moveSlot(slot, to, async () => {
          expect(texts(await entries.get(NAMESPACE, keys, CALL))).toEqual(keys);
          expect(await entries.exists(NAMESPACE, keys, CALL)).toEqual(keys.map(() => true));
          const reads = keys.map((key) => ({ keys: [key], values: true, maxBytes: 100 }));
          const held = await answersOf(present(backend.commits).read(NAMESPACE, reads, CALL));
          expect(texts(held.map(([entry]) => entry?.value))).toEqual(keys);
          const itemReads = keys.map((id) => ({ id, keys: [bytes("k")], maxBytes: 1000 }));
          const items = await answersOf(records.getItems(NAMESPACE, itemReads, CALL));
          expect(texts(items.map(([held]) => held?.value))).toEqual(keys);
          const query = { prefix: "", after: undefined, maxEntries: 200, maxBytes: 1e6, keysOnly: false };
          expect((await scans.scanPage(NAMESPACE, query, CALL)).keys).toHaveLength(100);
          expect(await scans.count(NAMESPACE, "", CALL)).toBe(100);
        });
        expect(await cluster.ownerOf(slot)).toBe(to);
        await load.grown(100);
        for (const key of keys) {
          expect(pairs(await read(records, key))).toEqual([["k", key]]);
        }
      }
      await load.verify();
      expect([...load.reasons].filter((reason) => reason !== "overloaded")).toEqual([]);
    }, 60_000);

    test("commits while a slot moves are made whole and once, and reads are of one moment", async () => {
      const config = newConfig();
      const { backend } = await open({ ...config, shards: 1 });
      const commits = present(backend.commits);
      const reasons = new Set<string>();
      let [made, seen, moving] = [0, 0, true];
      const attempt = (work: () => Promise<void>) =>
        work().catch((error: unknown) => void reasons.add(asPrismError(error).reason));
      const onLoad = async () => {
        while (moving) {
          await attempt(async () => {
            await committed(commits, change(add("a", 1n), add("b", 1n)));
            made++;
          });
          await attempt(async () => {
            const [a, b] = await readTexts(commits, "a", "b");
            expect(a).toBe(b);
            seen++;
          });
        }
      };
      const lanes = Array.from({ length: 8 }, onLoad);
      await waitFor(() => expect(Math.min(made, seen)).toBeGreaterThan(100));
      const slot = await slotOf(config.key_prefix, 0);
      const from = await cluster.ownerOf(slot);
      const to = present(cluster.nodes.slice(0, 3).find((node) => node !== from));
      await cluster.moveSlot(slot, to, async () => {
        // The absent one might be on the other node.
        await expect(readTexts(commits, "a", "b", "absent")).rejects.toMatchObject({ reason: "overloaded" });
      });
      const [madeBefore, seenBefore] = [made, seen];
      await waitFor(() => {
        expect(made).toBeGreaterThan(madeBefore);
        expect(seen).toBeGreaterThan(seenBefore);
      });
      moving = false;
      await Promise.all(lanes);
      expect(await readTexts(commits, "a", "b")).toEqual([String(made), String(made)]);
      expect([...reasons].filter((reason) => reason !== "overloaded")).toEqual([]);
    }, 60_000);

    test("with the index on another node than the expiry counts are exact", async () => {
      const config = newConfig();
      const { entries, scans } = await open({ ...config, shards: 1 });
      const set = (key: string, ttlMs: number) => ({ key, value: bytes(key), ttlMs });
      await entries.set(NAMESPACE, [set("a1", 0), set("a2", 500), set("b1", 500), set("a3", 60_000)], CALL);
      const slot = await slotOf(config.key_prefix, 0);
      const from = await cluster.ownerOf(slot);
      const to = present(cluster.nodes.slice(0, 3).find((node) => node !== from));
      const idOf = async ({ url }: { readonly url: string }) =>
        String(await askRedis(url, "CLUSTER", "MYID"));
      await askRedis(to.url, "CLUSTER", "SETSLOT", slot, "IMPORTING", await idOf(from));
      await askRedis(from.url, "CLUSTER", "SETSLOT", slot, "MIGRATING", await idOf(to));
      const { index } = shardKeys(config.key_prefix, 0);
      await askRedis(from.url, "MIGRATE", "127.0.0.1", to.port, index, 0, 5000);
      expect(await scans.count(NAMESPACE, "", CALL)).toBe(4);
      await waitFor(async () =>
        expect(await entries.exists(NAMESPACE, ["a2", "b1"], CALL)).toEqual([false, false]),
      );
      expect(await scans.count(NAMESPACE, "", CALL)).toBe(2);
      expect(await scans.count(NAMESPACE, "b", CALL)).toBe(0);
      await cluster.moveSlot(slot, to);
      expect(await scans.count(NAMESPACE, "", CALL)).toBe(2);
    }, 60_000);

    test("also what two gateways see then could have happened in one order", async () => {
      const config = newConfig();
      const gateways = [await open(config), await open(config)];
      const { random, seed } = seeded();
      console.info(`linearizable: seed ${seed}`);
      const slot = await slotOf(config.key_prefix, 0);
      const owner = await cluster.ownerOf(slot);
      const masters = await Promise.all([0, 6000, 12_000].map((slot) => cluster.ownerOf(slot)));
      const to = present(masters.find((node) => node !== owner));
      await expectLinearizable(
        gateways.map(({ backend }) => backend),
        600,
        random,
        () => cluster.moveSlot(slot, to),
      );
    }, 60_000);

    test("the node that a slot is on its way to goes away: calls fail, and nothing else does", async () => {
      await using other = await startRedisCluster();
      const { entries } = await open(
        redisSchema.parse({ type: "redis", cluster: other.urls, shards: 1, connect_timeout_ms: 1000 }),
      );
      const slot = await other.slotOf(shardKeys("prism", 0).index);
      const from = await other.ownerOf(slot);
      const to = present(other.nodes.find((node) => node !== from));
      const idOf = async ({ url }: { readonly url: string }) =>
        String(await askRedis(url, "CLUSTER", "MYID"));
      const [fromId, toId] = [await idOf(from), await idOf(to)];
      await askRedis(to.url, "CLUSTER", "SETSLOT", slot, "IMPORTING", fromId);
      await askRedis(from.url, "CLUSTER", "SETSLOT", slot, "MIGRATING", toId);
      await to.kill();
      // The node that has the slot redirects requests for keys that it lacks to there. An error
      // that nobody handles fails this file.
      for (let i = 0; i < 3; i++) {
        await expect(entries.get(NAMESPACE, ["absent"], CALL)).rejects.toMatchObject({
          reason: "store_unavailable",
        });
      }
    }, 60_000);

    test("a master hands over to its replica: nothing is lost", async () => {
      const { entries, lists } = await open(newConfig());
      const load = startLoad({ entries, lists });
      await load.grown(100);
      await cluster.failover(await cluster.ownerOf(0), { isPlanned: true });
      await load.grown(100);
      await load.verify();
    }, 60_000);

    test("a master is killed: the shards of others are served, and all when its replica takes over", async () => {
      const config = newConfig();
      const { entries, backend } = await open(config);
      const write = (key: string) => ({ key, value: bytes(key), ttlMs: 0 });
      await entries.set(NAMESPACE, keys.map(write), CALL);
      const lost = await cluster.ownerOf(0);
      const outcomes = async () => {
        const results = await Promise.allSettled(
          keys.map((key) => entries.set(NAMESPACE, [write(key)], CALL)),
        );
        return results.map(({ status }) => status === "fulfilled");
      };
      const takingOver = cluster.failover(lost);
      const served = await waitFor(async () => {
        const found = await outcomes();
        expect(found).toContain(false);
        return found;
      });
      expect(served).toContain(true);
      // Keys of other masters, every time.
      const steady = keys.filter((_, i) => served?.[i]);
      for (let i = 0; i < 5; i++) {
        await Promise.all(steady.map((key) => entries.set(NAMESPACE, [write(key)], CALL)));
      }
      await expect(backend.check()).rejects.toMatchObject({ reason: "store_unavailable" });
      await takingOver;
      await waitFor(async () => expect(await outcomes()).not.toContain(false));
      await backend.check();
      await lost.start();
      await cluster.settled();
    }, 60_000);
  });
});
