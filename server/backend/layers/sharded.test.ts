import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { PrismError, ReadOnlyError } from "../../errors.ts";
import { MAX_TTL_SECONDS } from "../../limits.ts";
import {
  ALL_CAPABILITIES,
  bytes,
  CALL,
  NAMESPACE,
  present,
  setTexts,
  texts,
} from "../conformance/harness.ts";
import { createManualClock } from "../conformance/manual-clock.ts";
import { describeBackend } from "../conformance/suite.ts";
import { type Backend, createCall, type ScanStore } from "../contract.ts";
import { createMemoryBackend } from "../memory/backend.ts";
import { ArrayValues } from "../values.ts";
import { createGuardedBackend } from "./guarded.ts";
import { createShardedBackend, shardOf } from "./sharded.ts";
import { wrapMethods } from "./wrapped.ts";

const memory = (clock = createManualClock()) => createMemoryBackend({ type: "memory" }, { clock });

describeBackend({
  name: "sharded memory",
  capabilities: ALL_CAPABILITIES,
  durable: false,
  countsCheaply: true,
  atomic: "shard",
  shardOf: (key) => shardOf(key, 3),
  movesClock: true,
  maxTtlMs: MAX_TTL_SECONDS * 1000,
  async create() {
    const clock = createManualClock();
    const shards = Array.from({ length: 3 }, () => memory(clock));
    return {
      backend: createGuardedBackend(createShardedBackend(shards)),
      advance: clock.advance,
      async dispose() {},
    };
  },
});

/** A store whose every call, and whose close, fails for this reason. */
function failing(inner: Backend, reason: "store_unavailable" | "store_full"): Backend {
  const fail = async () => {
    throw new PrismError(reason, "on purpose");
  };
  return {
    ...inner,
    ...wrapMethods(inner, () => fail),
    check: fail,
  };
}

describe("sharded", () => {
  const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
  const writes = keys.map((key) => ({ key, value: bytes(key), ttlMs: 0 }));

  test("a key is always in the same shard", async () => {
    const shards = [memory(), memory()];
    const store = createShardedBackend(shards);
    await store.open();
    await setTexts(present(store.entries), { a: "", b: "", ключ: "" });
    // CRC-32: e8b7be43, 71beeff9, 0caf961a.
    expect(await present(shards[1]?.entries).exists(NAMESPACE, ["a", "b", "ключ"], CALL)).toEqual([
      true,
      true,
      false,
    ]);
  });

  test.each([
    ["{tag}", "tag"],
    ["before {tag} after", "tag"],
    ["{tag}{other}", "tag"],
    ["{{tag}}", "{tag"],
    ["}{tag}", "tag"],
    ["{ключ} x", "ключ"],
  ])("%j is where its tag is, %j", (key, tag) => {
    for (const shards of [2, 3, 64, 1009]) {
      expect(shardOf(key, shards)).toBe(shardOf(tag, shards));
    }
  });

  test.each(["{}tag", "{tag", "tag}", "}tag{", "{}{tag}"])("%j has no tag", (key) => {
    expect(shardOf(key, 2 ** 31)).toBe(crc32(key) % 2 ** 31);
  });

  test("items with keys on different shards reach no shard, and the refusal names two of the keys", async () => {
    const [first, second] = [memory(), memory()];
    const store = createShardedBackend([first, second]);
    await store.open();
    const commits = present(store.commits);
    const mutations = ["{a}", "{a}2", "{b}", "{ключ}"].map((key) => ({ key, do: "delete" as const }));
    const [refused] = await commits.commit(NAMESPACE, [{ checks: [], mutations, tells: false }], CALL);
    // CRC-32: e8b7be43, 71beeff9, 0caf961a.
    expect(refused).toMatchObject({
      reason: "not_atomic",
      message: expect.stringContaining('"{a}" and "{ключ}"'),
    });
    const read = { keys: ["{a}", "{b}"], values: true, maxBytes: 1000 };
    expect(await commits.read(NAMESPACE, [read], CALL)).toEqual([[undefined, undefined]]);
  });

  test("writes have an answer each, though no shard answers anything", async () => {
    const store = createShardedBackend([memory(), memory()]);
    await store.open();
    // Strictly, because a hole in the array equals `undefined` else.
    expect(await present(store.entries).set(NAMESPACE, writes, CALL)).toStrictEqual(
      keys.map(() => undefined),
    );
  });

  test("a batch that takes effect in one shard and fails in another is in doubt; a batch that fails in all is not", async () => {
    const store = createShardedBackend([memory(), failing(memory(), "store_full")]);
    await store.open();
    const { entries, lists } = store;
    await expect(entries?.set(NAMESPACE, writes, CALL)).rejects.toMatchObject({ reason: "outcome_unknown" });
    await expect(entries?.delete(NAMESPACE, keys, CALL)).rejects.toMatchObject({ reason: "outcome_unknown" });
    const pops = keys.map((key) => ({ key, end: "left" as const }));
    await expect(lists?.pop(NAMESPACE, pops, CALL)).rejects.toMatchObject({ reason: "outcome_unknown" });
    await expect(entries?.get(NAMESPACE, keys, CALL)).rejects.toMatchObject({ reason: "store_full" });
    const both = createShardedBackend([failing(memory(), "store_full"), failing(memory(), "store_full")]);
    await both.open();
    await expect(both.entries?.set(NAMESPACE, writes, CALL)).rejects.toMatchObject({ reason: "store_full" });
  });

  test("what one shard fails the others do not", async () => {
    const store = createShardedBackend([memory(), failing(memory(), "store_unavailable")]);
    await store.open();
    const outcomes = await Promise.allSettled(
      writes.map((write) => present(store.entries).set(NAMESPACE, [write], CALL)),
    );
    expect(new Set(outcomes.map(({ status }) => status))).toEqual(new Set(["fulfilled", "rejected"]));
    await expect(store.check()).rejects.toMatchObject({ reason: "store_unavailable" });
  });

  const query = { prefix: "", after: undefined, maxEntries: 100, maxBytes: 1e6, keysOnly: false };

  test("a left-out value that is gone when it is read is not in the page", async () => {
    const shards = [memory(), memory()].map((shard): Backend => {
      const [entries, scans] = [present(shard.entries), present(shard.scans)];
      return {
        ...shard,
        entries: {
          ...entries,
          async get(namespace, keys, call) {
            await entries.delete(namespace, ["k3"], call);
            return await entries.get(namespace, keys, call);
          },
        },
        scans: {
          ...scans,
          async scanPage(...args) {
            const { keys, values, next } = await scans.scanPage(...args);
            const later = new Map(keys.map((_, i) => [i, values.bytesOf(i)]));
            return { keys, values: new ArrayValues(keys.map(() => bytes(""))), later, next };
          },
        },
      };
    });
    const store = createShardedBackend(shards);
    await store.open();
    await store.entries?.set(NAMESPACE, writes, CALL);
    const page = await present(store.scans).scanPage(NAMESPACE, query, CALL);
    expect(page.keys).toEqual(keys.filter((key) => key !== "k3").sort());
    expect(texts(page.values)).toEqual(page.keys);
  });

  test("a scan that is aborted does not go on to a shard's next page", async () => {
    const abort = new AbortController();
    let pages = 0;
    const empty = memory();
    const scans: ScanStore = {
      ...present(empty.scans),
      async scanPage() {
        if (++pages === 3) {
          abort.abort();
        }
        if (pages === 10) {
          throw new Error("it goes on");
        }
        return { keys: [], values: new ArrayValues([]), next: "k" };
      },
    };
    const store = createShardedBackend([{ ...empty, scans }, memory()]);
    await store.open();
    const scan = present(store.scans).scanPage(NAMESPACE, query, createCall(abort.signal));
    await expect(scan).rejects.toMatchObject({ reason: "canceled" });
  });

  test("a read-only shard is reported only if all others are well", async () => {
    const readOnly = { ...memory(), check: () => Promise.reject(new ReadOnlyError("takes no writes")) };
    await expect(createShardedBackend([memory(), readOnly]).check()).rejects.toBeInstanceOf(ReadOnlyError);
    const store = createShardedBackend([readOnly, failing(memory(), "store_unavailable")]);
    await expect(store.check()).rejects.toThrow("on purpose");
  });

  test("where one does not open, those that did are closed", async () => {
    const good = memory();
    const store = createShardedBackend([good, { ...memory(), open: () => Promise.reject(new Error("no")) }]);
    await expect(store.open()).rejects.toThrow("no");
    await good.open();
    await good.entries?.set(NAMESPACE, writes, CALL);
    expect(texts(await present(good.entries).get(NAMESPACE, ["k1"], CALL))).toEqual(["k1"]);
  });
});
