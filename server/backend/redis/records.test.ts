import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  askRedis,
  canStartRedis,
  type RedisProcess,
  startRedis,
  withRedis,
} from "../../../tests/helpers/redis.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { ReadOnlyError } from "../../errors.ts";
import { bytes, CALL, NAMESPACE, present } from "../conformance/harness.ts";
import { deleteAll, get, getOne, item, pairs, put, read } from "../conformance/record-values.ts";
import { seeded } from "../conformance/seeded.ts";
import { createRedisShards } from "./backend.ts";
import { redisSchema } from "./config.ts";
import { shardKeys } from "./keys.ts";
import { SCRIPTS } from "./scripts.ts";

describe.runIf(canStartRedis())("records in redis", () => {
  let redis: RedisProcess | undefined;
  let prefixes = 0;

  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis?.[Symbol.asyncDispose]());

  async function opened() {
    const { url } = present(redis);
    const key_prefix = `records-${++prefixes}`;
    const backend = present(createRedisShards(redisSchema.parse({ type: "redis", url, key_prefix }))[0]);
    await backend.open();
    const keys = shardKeys(key_prefix, 0);
    return {
      query: (command: string, ...args: readonly (string | number)[]) => askRedis(url, command, ...args),
      keys,
      items: `${keys.itemsPrefix}${NAMESPACE}:r`,
      order: `${keys.orderPrefix}${NAMESPACE}:r`,
      records: present(backend.records),
      [Symbol.asyncDispose]: () => backend.close(),
    };
  }

  /** The member of the order of expiry of an item of record "r". */
  const memberOf = (key: string) => `\0${String.fromCharCode(NAMESPACE.length + 2)}${NAMESPACE}:r${key}`;

  test("keys have the names that docs/backends.md gives", async () => {
    await using store = await opened();
    const prefix = `{records-${prefixes}:0}`;
    await put(
      store.records,
      "user:1",
      [item("k", "value", { ttlMs: 60_000, metadata: bytes("md") })],
      "orders",
    );
    expect(await store.query("HSTRLEN", `${prefix}:i:orders:user:1`, "k")).toBe(26 + 2 + 5);
    expect(await store.query("ZRANGE", `${prefix}:o:orders:user:1`, 0, -1)).toEqual(["k"]);
    expect(await store.query("ZRANGE", `${prefix}:item-expiry`, 0, -1)).toEqual(["\0\rorders:user:1k"]);
  });

  test("order and order of expiry hold what is there, after any calls", async () => {
    await using store = await opened();
    const { records, query, items, order, keys } = store;
    const { random, seed } = seeded();
    console.info(`calls on records: seed ${seed}`);
    const below = (n: number) => Math.floor(random() * n);
    const key = () => `k${below(8)}`;
    const ttlOf = new Map<string, number>();
    const calls = [
      async () => {
        const [first, second] = [key(), key()];
        const ttlMs = below(2) * 60_000;
        await put(records, "r", [item(first, "1", { ttlMs: 60_000 - ttlMs }), item(second, "2", { ttlMs })]);
        ttlOf.set(first, 60_000 - ttlMs).set(second, ttlMs);
      },
      async () => {
        const name = key();
        const [held] = await get(records, "r", [name]);
        const swap = { id: "r", key: bytes(name), expected: held?.value, value: bytes("3") };
        await records.swapItem(NAMESPACE, [swap], CALL);
        ttlOf.set(name, held?.ttlMs ?? 0);
      },
      async () => {
        const names = [key(), key()];
        await records.deleteItems(NAMESPACE, [{ id: "r", keys: names.map(bytes), maxItems: 9 }], CALL);
        for (const name of names) {
          ttlOf.delete(name);
        }
      },
      async () => {
        if (below(10) === 0) {
          await deleteAll(records, "r", { maxItems: 3 });
          ttlOf.clear();
        }
      },
    ];
    for (let round = 0; round < 300; round++) {
      await present(calls[below(calls.length)])();
      const expected = [...ttlOf.keys()].sort();
      expect(((await query("HKEYS", items)) as string[]).sort()).toEqual(expected);
      expect(await query("ZRANGE", order, 0, -1)).toEqual(expected);
      expect(await query("ZRANGE", keys.records, 0, -1)).toEqual(
        expected.length === 0 ? [] : [`${NAMESPACE}:r`],
      );
      expect(((await query("ZRANGE", keys.itemExpiry, 0, -1)) as string[]).sort()).toEqual(
        expected.filter((name) => ttlOf.get(name) !== 0).map(memberOf),
      );
    }
  });

  test("an item is gone in the millisecond in which it expires, for reads, pages and deletes", async () => {
    await using store = await opened();
    const { items, order, keys } = store;
    const TTL_MS = 40;
    const prefix = keys.itemsPrefix.length;
    await withRedis(present(redis).url, async (client) => {
      const { writeItems, readItems, pageItems, deleteItems } = SCRIPTS;
      const millisecond = ([seconds, micros]: readonly string[]) =>
        Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
      const write = () =>
        client.eval(
          ...[writeItems.text, 4, keys.itemExpiry, keys.records, items, order],
          ...["whole", prefix, 1, "put", "k", "v", "", TTL_MS],
        );
      const seen = new Set<number>();
      // Until it was looked at in the last millisecond of its life, and in the next.
      while (!seen.has(TTL_MS - 1) || !seen.has(TTL_MS)) {
        await write();
        const writtenAtMs = (await getOne(store.records, "r", "k")).updatedAtMs;
        expect(Number(await client.zscore(keys.itemExpiry, memberOf("k")))).toBe(writtenAtMs + TTL_MS - 1);
        for (let ageMs = 0; ageMs <= TTL_MS; ) {
          const replies = await client
            .multi()
            .time()
            .eval(readItems.text, 1, items, 64, 1, 1000, "k")
            .eval(pageItems.text, 2, items, order, 64, "-", "+", 9, 1000)
            .time()
            .exec();
          const [first, found, page, last] = (replies ?? []).map(([, reply]) => reply);
          ageMs = millisecond(first as string[]) - writtenAtMs;
          if (millisecond(last as string[]) - writtenAtMs !== ageMs) {
            continue;
          }
          seen.add(ageMs);
          const isThere = ageMs < TTL_MS;
          expect([found, page]).toEqual(
            isThere ? [[[expect.any(String)]], [[null, "k", expect.any(String)]]] : [[[null]], [[null]]],
          );
        }
      }
      const deleted = await client.eval(
        ...[deleteItems.text, 4, keys.itemExpiry, keys.records, items, order],
        ...["whole", prefix, 1, "k"],
      );
      expect((deleted as unknown[])[0]).toEqual([0, 0]);
    });
  });

  test("expired items are deleted by themselves, more than one step takes, and no others", async () => {
    await using store = await opened();
    const { records, query, items, order, keys } = store;
    for (let from = 0; from < 2500; from += 500) {
      await put(
        records,
        "r",
        Array.from({ length: 500 }, (_, i) => item(`k${from + i}`, "1", { ttlMs: 1 })),
      );
    }
    await put(records, "gone é", [item("\xff", "1", { ttlMs: 1 })]);
    await put(records, "r", [item("a", "2"), item("b", "3", { ttlMs: 60_000 })]);
    await waitFor(async () => expect(await query("ZCARD", keys.itemExpiry)).toBe(1));
    expect(await query("ZRANGE", order, 0, -1)).toEqual(["a", "b"]);
    expect(await query("HLEN", items)).toBe(2);
    expect(await query("KEYS", `${keys.itemsPrefix}*`)).toEqual([items]);
    expect(await query("KEYS", `${keys.orderPrefix}*`)).toEqual([order]);
  });

  test("a sweep leaves an item that was written again after the sweep saw it", async () => {
    await using store = await opened();
    await put(store.records, "r", [item("a", "1", { ttlMs: 60_000 }), item("b", "2")]);
    const { items, order, keys } = store;
    const names = [keys.itemExpiry, items, order, items, order];
    const sweep = SCRIPTS.sweepItems.text;
    await store.query("EVAL", sweep, names.length, ...names, memberOf("a"), memberOf("b"));
    expect(pairs(await read(store.records, "r"))).toEqual([
      ["a", "1"],
      ["b", "2"],
    ]);
  });

  test("a page and a read ask for no more values than they may answer", async () => {
    await using store = await opened();
    const value = new Uint8Array(100_000).fill(120);
    const keys = Array.from({ length: 50 }, (_, i) => `k${String(i).padStart(2, "0")}`);
    for (const key of keys) {
      await put(store.records, "r", [item(key, value)]);
    }
    await withRedis(present(redis).url, async (client) => {
      const gets = async () =>
        Number(/cmdstat_hget:calls=(\d+)/.exec(await client.info("commandstats"))?.[1] ?? 0);
      const range = { id: "r", start: undefined, end: undefined, after: undefined, maxItems: 50 };
      const before = await gets();
      await store.records.pageItems(NAMESPACE, [{ ...range, maxBytes: 250_000 }], CALL);
      expect((await gets()) - before).toBe(3);
      const large = { id: "r", keys: keys.map(bytes), maxBytes: 250_000 };
      const [refused] = await store.records.getItems(NAMESPACE, [large], CALL);
      expect(refused).toMatchObject({ reason: "value_too_large" });
      expect((await gets()) - before).toBe(6);
    });
  });

  test("a full server refuses what writes, answers swaps that do not, and takes deletes", async () => {
    await using store = await opened();
    const { records } = store;
    await put(records, "r", [item("a", "1"), item("b", "2")]);
    await store.query("CONFIG", "SET", "maxmemory", 1);
    try {
      const full = { reason: "store_full" };
      const puts = ["r", "s"].map((id) => ({ id, items: [item("a", "9"), item("c", "9")] }));
      expect(await records.putItems(NAMESPACE, puts, CALL)).toMatchObject([full, full]);
      const swap = { id: "r", key: bytes("a"), value: bytes("9") };
      const swaps = ["0", "1"].map((expected) => ({ ...swap, expected: bytes(expected) }));
      expect(await records.swapItem(NAMESPACE, swaps, CALL)).toMatchObject([{ swapped: false }, full]);
      expect(
        await records.deleteItems(NAMESPACE, [{ id: "r", keys: [bytes("b")], maxItems: 9 }], CALL),
      ).toEqual([{ deleted: 1, more: false }]);
    } finally {
      await store.query("CONFIG", "SET", "maxmemory", 0);
    }
    expect(pairs(await read(records, "r"))).toEqual([["a", "1"]]);
    expect(await read(records, "s")).toEqual([]);
  });

  test("a replica refuses writes, and none is taken for done", async () => {
    await using store = await opened();
    const { records } = store;
    await put(records, "r", [item("a", "1")]);
    await store.query("REPLICAOF", "127.0.0.1", 1);
    try {
      const each = { ...CALL, each: true };
      await expect(
        records.putItems(NAMESPACE, [{ id: "r", items: [item("a", "2")] }], each),
      ).rejects.toBeInstanceOf(ReadOnlyError);
      const swap = { id: "r", key: bytes("a"), expected: bytes("1"), value: bytes("2") };
      await expect(records.swapItem(NAMESPACE, [swap], each)).rejects.toBeInstanceOf(ReadOnlyError);
      await expect(
        records.deleteItems(NAMESPACE, [{ id: "r", keys: undefined, maxItems: 9 }], each),
      ).rejects.toBeInstanceOf(ReadOnlyError);
    } finally {
      await store.query("REPLICAOF", "NO", "ONE");
    }
    expect(pairs(await read(records, "r"))).toEqual([["a", "1"]]);
  });

  test("a key of another type refuses the whole batch, and of several callers' calls one", async () => {
    await using store = await opened();
    const { records, keys, query } = store;
    await query("SET", `${keys.orderPrefix}${NAMESPACE}:bad`, "x");
    const damaged = { reason: "corrupt_data" };
    const puts = ["good", "bad"].map((id) => ({ id, items: [item("a", "1")] }));
    expect(await records.putItems(NAMESPACE, puts, CALL)).toMatchObject([damaged, damaged]);
    expect(await read(records, "good")).toEqual([]);
    const each = { ...CALL, each: true };
    expect(await records.putItems(NAMESPACE, puts, each)).toMatchObject([undefined, damaged]);
    const range = { start: undefined, end: undefined, after: undefined, maxItems: 9, maxBytes: 999 };
    const ranges = ["bad", "good"].map((id) => ({ ...range, id }));
    expect(await records.pageItems(NAMESPACE, ranges, CALL)).toMatchObject([
      damaged,
      { items: { length: 1 } },
    ]);
    const deletes = ["bad", "good"].map((id) => ({ id, keys: undefined, maxItems: 9 }));
    expect(await records.deleteItems(NAMESPACE, deletes, CALL)).toMatchObject([damaged, damaged]);
    expect(await records.deleteItems(NAMESPACE, deletes, each)).toMatchObject([damaged, { deleted: 1 }]);
  });

  test("an item without its head is damaged, refused where it is read, and can be replaced", async () => {
    await using store = await opened();
    const { records, query, items } = store;
    await put(records, "r", [item("a", "1"), item("b", "2")]);
    const reads = ["a", "b"].map((key) => ({ id: "r", keys: [bytes(key)], maxBytes: 999 }));
    const damaged = { reason: "corrupt_data" };
    for (const stored of ["x", `${"\0".repeat(24)}zz`]) {
      await query("HSET", items, "a", stored);
      expect(await records.getItems(NAMESPACE, reads, CALL)).toMatchObject([damaged, [{ ttlMs: 0 }]]);
    }
    await expect(read(records, "r")).rejects.toMatchObject(damaged);
    await put(records, "r", [item("a", "3")]);
    expect(pairs(await read(records, "r"))).toEqual([
      ["a", "3"],
      ["b", "2"],
    ]);
  });
});
