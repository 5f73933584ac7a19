import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestRedis, hasTestRedis, type TestRedis, withRedis } from "../../../tests/helpers/redis.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { StartError } from "../../errors.ts";
import { MAX_TTL_SECONDS, SCAN_PAGE_BYTES, SCAN_PAGE_ENTRIES } from "../../limits.ts";
import type { HeldEntry } from "../commit.ts";
import { blockingPop, describeBlocking, pushTexts } from "../conformance/blocking.ts";
import { bytes, CALL, LIST_EDITS, NAMES, present, setTexts } from "../conformance/harness.ts";
import { describeBackend } from "../conformance/suite.ts";
import { type Backend, isRefusal } from "../contract.ts";
import { createBackend } from "../factory.ts";
import { createGuardedBackend } from "../layers/guarded.ts";
import { createShardedBackend, shardOf } from "../layers/sharded.ts";
import type { HeldItem } from "../records.ts";
import { createRedisShards } from "./backend.ts";
import { redisSchema } from "./config.ts";
import { shardKeys } from "./keys.ts";
import { SCRIPTS } from "./scripts.ts";

/** A server's clock cannot be stopped, so a millisecond of the suite is ten minutes here. */
const UNIT = 600_000;

/**
 * Makes items written, created and expired that much sooner. KEYS: their expiry. ARGV: the
 * milliseconds, and the records.
 */
const MOVE_ITEMS = `
  local ms = tonumber(ARGV[1])
  for i = 2, #ARGV do
    local found = redis.call('HGETALL', ARGV[i])
    for k = 1, #found, 2 do
      local created, updated = struct.unpack('>dd', found[k + 1])
      local times = struct.pack('>dd', created - ms, updated - ms)
      redis.call('HSET', ARGV[i], found[k], times .. string.sub(found[k + 1], 17))
    end
  end
  for _, member in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    redis.call('ZINCRBY', KEYS[1], -ms, member)
  end`;

describe.runIf(hasTestRedis())("redis", () => {
  let redis: TestRedis | undefined;
  let prefixes = 0;

  beforeAll(async () => {
    redis = await createTestRedis();
  });
  afterAll(async () => {
    await redis?.[Symbol.asyncDispose]();
  });

  function server(): TestRedis {
    if (redis === undefined) {
      throw new Error("there is no server yet");
    }
    return redis;
  }

  const newPrefix = () => `test-${process.pid}-${++prefixes}`;
  const config = (key_prefix: string, shards: number) =>
    redisSchema.parse({ type: "redis", url: server().url, key_prefix, shards });

  /** Makes every entry expire that much sooner, as if the clock had moved. */
  async function advance(prefix: string, shards: number, ms: number): Promise<void> {
    for (let shard = 0; shard < shards; shard++) {
      const { expiry, entryPrefix, itemExpiry, itemsPrefix } = shardKeys(prefix, shard);
      const found = (await server().query("ZRANGE", expiry, "0", "-1", "WITHSCORES")) as string[];
      for (let i = 0; i < found.length; i += 2) {
        const member = String(found[i]);
        const deadline = String(Number(found[i + 1]) - ms * UNIT);
        await server().query("PEXPIREAT", entryPrefix + member, deadline);
        await server().query("ZADD", expiry, deadline, member);
      }
      const records = (await server().query("KEYS", `${itemsPrefix}*`)) as string[];
      await server().query("EVAL", MOVE_ITEMS, 1, itemExpiry, ms * UNIT, ...records);
    }
  }

  for (const shards of [1, 3]) {
    describeBackend({
      name: `redis with ${shards} shard${shards === 1 ? "" : "s"}`,
      capabilities: ["entries", "commits", "scans", "lists", ...LIST_EDITS, "records", ...NAMES, "erase"],
      durable: true,
      countsCheaply: true,
      ...(shards === 1
        ? { atomic: "namespace" as const }
        : { atomic: "shard" as const, shardOf: (key: string) => shardOf(key, shards) }),
      movesClock: true,
      maxTtlMs: MAX_TTL_SECONDS,
      async create() {
        const prefix = newPrefix();
        const store = createShardedBackend(createRedisShards(config(prefix, shards)));
        const clock = { startedAtMs: Date.now(), passedMs: 0 };
        return {
          backend: createGuardedBackend(slowed(store, clock)),
          async advance(ms) {
            await advance(prefix, shards, ms);
            clock.passedMs += ms;
          },
          async clear() {
            await server().flush(`{${prefix}:`);
            clock.startedAtMs = Date.now();
          },
          dispose: () => server().flush(`{${prefix}:`),
        };
      },
    });
  }

  for (const shards of [1, 3]) {
    describeBlocking(`redis with ${shards} shards, two gateways`, async () => {
      const prefix = newPrefix();
      const backends = await Promise.all([0, 1].map(() => createBackend(config(prefix, shards))));
      await Promise.all(backends.map((backend) => backend.open()));
      return {
        backends,
        async [Symbol.asyncDispose]() {
          await Promise.all(backends.map((backend) => backend.close()));
          await server().flush(`{${prefix}:`);
        },
      };
    });
  }

  test("who waits gets the value, whatever happens to the connection that listens", async () => {
    const prefix = newPrefix();
    const made = await Promise.all([0, 1].map(() => createBackend(config(prefix, 1))));
    const [first, last] = [present(made[0]), present(made[1])];
    await Promise.all([first.open(), last.open()]);
    for (let round = 0; round < 5; round++) {
      const waits = blockingPop(first, "a");
      await waitFor(async () =>
        expect(await server().query("CLIENT", "KILL", "TYPE", "PUBSUB")).toBeGreaterThan(0),
      );
      await pushTexts(last, "a", [String(round)]);
      expect(await waits).toBe(String(round));
    }
    await Promise.all([first.close(), last.close()]);
    await server().flush(`{${prefix}:`);
  });

  /** A new open store without a guard, and the shards' key names. */
  async function opened(shards = 1) {
    const prefix = newPrefix();
    const backend = createShardedBackend(createRedisShards(config(prefix, shards)));
    await backend.open();
    return {
      prefix,
      entries: present(backend.entries),
      scans: present(backend.scans),
      lists: present(backend.lists),
      keys: shardKeys(prefix, 0),
      async [Symbol.asyncDispose]() {
        await backend.close();
        await server().flush(`{${prefix}:`);
      },
    };
  }

  test("keys have the names that docs/backends.md gives", async () => {
    await using store = await opened();
    const { prefix } = store;
    await setTexts(store.entries, { "user:1": "x" }, { namespace: "orders", ttlMs: 60_000 });
    await store.lists.push("orders", [{ key: "q", end: "left", value: bytes("y") }], CALL);
    const { query } = server();
    expect(await query("GETRANGE", `{${prefix}:0}:e:orders:user:1`, 8, -1)).toBe("x");
    expect(await query("STRLEN", `{${prefix}:0}:e:orders:user:1`)).toBe(9);
    expect(Number(await query("GET", `{${prefix}:0}:version`))).toBeGreaterThan(0);
    expect(await server().query("LRANGE", `{${prefix}:0}:l:orders:q`, "0", "-1")).toEqual(["y"]);
    expect(await server().query("ZRANGE", `{${prefix}:0}:index`, "0", "-1")).toEqual(["orders:user:1"]);
    expect(await server().query("ZRANGE", `{${prefix}:0}:expiry`, "0", "-1")).toEqual(["orders:user:1"]);
  });

  test("counts are exact before the sweep has been there, also of more than it takes at once", async () => {
    await using store = await opened();
    const keys = Array.from({ length: 2500 }, (_, i) => `k${i}`);
    const writes = keys.map((key) => ({ key, value: bytes(key), ttlMs: 60_000 }));
    await store.entries.set("n", [...writes, { key: "z", value: bytes("z"), ttlMs: 0 }], CALL);
    expect(await store.scans.count("n", "", CALL)).toBe(2501);
    await advance(store.prefix, 1, 60);
    expect(await store.scans.count("n", "", CALL)).toBe(1);
  });

  test("the last millisecond of an entry's life is the one before that in which it expires", async () => {
    await using store = await opened();
    const { index, expiry, version, entryPrefix } = store.keys;
    const name = `${entryPrefix}n:k`;
    await withRedis(server().url, async (client) => {
      // Repeats until the server's clock shows the same millisecond throughout.
      for (let before = 0, after = -1, end = 0; before !== after || end === 0; ) {
        const replies = await client
          .multi()
          .time()
          .eval(SCRIPTS.set.text, 4, index, expiry, version, name, entryPrefix.length, "v", 60_000)
          .eval(SCRIPTS.read.text, 1, name, 1, 1)
          .time()
          .pexpiretime(name)
          .exec();
        const [first, , read, last, expires] = (replies ?? []).map(([, reply]) => reply);
        [before, after, end] = [millisecondOf(first), millisecondOf(last), Number(expires)];
        // Redis still shows a key in the millisecond of its deadline.
        if (before === after) {
          expect(end).toBe(before + 60_000 - 1);
          // Its string, and the milliseconds that it has left.
          expect(read).toEqual([[expect.any(String), 60_000]]);
        }
      }
      expect(await client.zscore(expiry, "n:k")).toBe(String(await client.pexpiretime(name)));
    });
  });

  test("versions grow, whatever the shard remembers of them", async () => {
    await using store = await opened();
    const { version, entryPrefix } = store.keys;
    const { query } = server();
    const written = async () => {
      await setTexts(store.entries, { a: "1" });
      const head = await withRedis(server().url, (client) =>
        client.getrangeBuffer(`${entryPrefix}default:a`, 0, 7),
      );
      return Number(head.readBigUInt64BE());
    };
    const first = await written();
    const second = await written();
    expect(second).toBeGreaterThan(first);
    // A replica that took over may lack it.
    await query("DEL", version);
    const third = await written();
    expect(third).toBeGreaterThan(second);
    // A clock that was set back.
    await query("SET", version, 2 ** 53 - 3);
    expect([await written(), await written()]).toEqual([2 ** 53 - 2, 2 ** 53 - 1]);
  });

  test("an entry without a version is damaged, and fails no other", async () => {
    await using store = await opened();
    await setTexts(store.entries, { a: "1", b: "2" });
    await server().query("SET", `${store.keys.entryPrefix}default:a`, "x");
    const [damaged, b] = await store.entries.get("default", ["a", "b"], CALL);
    expect(damaged).toMatchObject({ reason: "corrupt_data" });
    expect(b).toEqual(Buffer.from("2"));
    const query = { prefix: "", after: undefined, maxEntries: 9, maxBytes: 99, keysOnly: false };
    await expect(store.scans.scanPage("default", query, CALL)).rejects.toMatchObject({
      reason: "corrupt_data",
    });
  });

  test("what expired leaves the index by itself", async () => {
    await using store = await opened();
    await setTexts(store.entries, { a: "1", b: "2" }, { ttlMs: 1 });
    await setTexts(store.entries, { c: "3" });
    await waitFor(async () =>
      expect(await server().query("ZRANGE", store.keys.index, "0", "-1")).toEqual(["default:c"]),
    );
    expect(await server().query("EXISTS", store.keys.expiry)).toBe(0);
  });

  test.each([
    ["large values, of which a page has one", 1024 * 1024, 24],
    ["values of which a page has as many as there are shards", 16 * 1024, 256],
    ["small values", 100, 3000],
  ])("a scan over many shards reads hardly more than there is: %s", async (_, valueBytes, count) => {
    await using store = await opened(16);
    const value = new Uint8Array(valueBytes).fill(120);
    const keys = Array.from({ length: count }, (_, i) => `key ${String(i).padStart(4, "0")}`);
    for (const key of keys) {
      await store.entries.set("n", [{ key, value, ttlMs: 0 }], CALL);
    }
    const sentBytes = async () =>
      Number(/total_net_output_bytes:(\d+)/.exec(String(await server().query("INFO", "stats")))?.[1]);
    const before = await sentBytes();
    const found: string[] = [];
    const query = { prefix: "", maxEntries: SCAN_PAGE_ENTRIES, maxBytes: SCAN_PAGE_BYTES, keysOnly: false };
    for (let after: string | undefined, isLast = false; !isLast; ) {
      const page = await store.scans.scanPage("n", { ...query, after }, CALL);
      found.push(...page.keys);
      for (const { length } of page.values) {
        expect(length).toBe(valueBytes);
      }
      after = page.next;
      isLast = after === undefined;
    }
    expect(found).toEqual(keys);
    const times = ((await sentBytes()) - before) / (valueBytes * count);
    // For small values the keys count too, twice.
    expect(times).toBeLessThan(1.8);
  });

  test("scripts that the server has forgotten are told again", async () => {
    await using store = await opened();
    await setTexts(store.entries, { a: "1" });
    await server().query("SCRIPT", "FLUSH");
    await setTexts(store.entries, { a: "2" });
    expect(await store.entries.exists("default", ["a"], CALL)).toEqual([true]);
  });

  test("a batch that meets a key which is no list changes nothing; of several callers' calls one is refused", async () => {
    await using store = await opened();
    await server().query("SET", `{${store.prefix}:0}:l:n:bad`, "x");
    const push = (key: string) => ({ key, end: "right", value: bytes("v") }) as const;
    const pop = (key: string) => ({ key, end: "left" }) as const;
    const damaged = { reason: "corrupt_data" };
    const refused = [damaged, damaged];
    expect(await store.lists.push("n", [push("good"), push("bad")], CALL)).toMatchObject(refused);
    expect(await store.lists.length("n", ["good"], CALL)).toEqual([0]);
    await store.lists.push("n", [push("good")], CALL);
    expect(await store.lists.pop("n", [pop("good"), pop("bad")], CALL)).toMatchObject(refused);
    expect(await store.lists.length("n", ["good", "bad"], CALL)).toMatchObject([1, damaged]);

    const each = { ...CALL, each: true };
    expect(await store.lists.push("n", [push("bad"), push("good")], each)).toMatchObject([damaged, 2]);
    expect(await store.lists.pop("n", [pop("bad"), pop("good"), pop("none")], each)).toMatchObject([
      damaged,
      Buffer.from("v"),
      undefined,
    ]);
    expect(await store.lists.length("n", ["good"], CALL)).toEqual([1]);
  });

  test("of stores with other numbers of shards that start at once one has all shards", async () => {
    const prefix = newPrefix();
    const [, , three] = createRedisShards(config(prefix, 3));
    const [, two] = createRedisShards(config(prefix, 2));
    await present(three).open();
    await expect(present(two).open()).rejects.toThrow(`{${prefix}:0}:layout is "3 0/3" and not "3 0/2"`);
    expect(await server().query("EXISTS", shardKeys(prefix, 1).layout)).toBe(0);
    await present(three).close();
    await server().flush(`{${prefix}:`);
  });

  test("data with another number of shards is refused", async () => {
    await using store = await opened(2);
    const other = createShardedBackend(createRedisShards(config(store.prefix, 3)));
    const error = await other.open().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(StartError);
    expect(String(error)).toContain(`{${store.prefix}:0}:layout is "3 0/2" and not "3 0/3"`);
  });
});

/** From TIME's answer: seconds and microseconds. */
function millisecondOf(time: unknown): number {
  const [seconds, micros] = Array.isArray(time) ? time.map(Number) : [];
  return (seconds ?? 0) * 1000 + Math.floor((micros ?? 0) / 1000);
}

/** Entries and items live {@link UNIT} times as long, and items tell the time of `clock`. */
function slowed(store: Backend, clock: { readonly startedAtMs: number; readonly passedMs: number }): Backend {
  const records = present(store.records);
  const entries = present(store.entries);
  const commits = present(store.commits);
  const slow = <Item extends object>(item: Item): Item =>
    "ttlMs" in item && typeof item.ttlMs === "number" ? { ...item, ttlMs: item.ttlMs * UNIT } : item;
  const fast = (entry: HeldEntry | undefined) => entry && { ...entry, ttlMs: Math.ceil(entry.ttlMs / UNIT) };
  const told = (ms: number) => Math.round((ms - clock.startedAtMs) / UNIT) + clock.passedMs;
  const faster = (item: HeldItem): HeldItem => ({
    ...item,
    ttlMs: item.ttlMs / UNIT,
    createdAtMs: told(item.createdAtMs),
    updatedAtMs: told(item.updatedAtMs),
  });
  return {
    ...store,
    records: {
      ...records,
      putItems: (namespace, puts, call) =>
        records.putItems(
          namespace,
          puts.map(({ id, items }) => ({ id, items: items.map(slow) })),
          call,
        ),
      async getItems(namespace, reads, call) {
        const answers = await records.getItems(namespace, reads, call);
        return answers.map((answer) =>
          isRefusal(answer) ? answer : answer.map((item) => item && faster(item)),
        );
      },
      async pageItems(namespace, ranges, call) {
        const answers = await records.pageItems(namespace, ranges, call);
        return answers.map((answer) =>
          isRefusal(answer) ? answer : { ...answer, items: answer.items.map(faster) },
        );
      },
    },
    entries: {
      ...entries,
      set: (namespace, writes, call) => entries.set(namespace, writes.map(slow), call),
    },
    commits: {
      async read(namespace, reads, call) {
        const answers = await commits.read(namespace, reads, call);
        return answers.map((answer) => (isRefusal(answer) ? answer : answer.map(fast)));
      },
      async commit(namespace, items, call) {
        const slowedItems = items.map((item) => ({ ...item, mutations: item.mutations.map(slow) }));
        const answers = await commits.commit(namespace, slowedItems, call);
        return answers.map((answer) =>
          isRefusal(answer) || answer.committed
            ? answer
            : { ...answer, failed: answer.failed.map((each) => ({ ...each, held: fast(each.held) })) },
        );
      },
    },
  };
}
