import { createRouterTransport } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Reason } from "../gen/prism/common/errors_pb.ts";
import { KeyValueBatchInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { KeyValueCASInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_cas_pb.ts";
import { any, CLIENTS } from "../tests/helpers/clients.ts";
import { startTestServer, type TestServer } from "../tests/helpers/server.ts";
import { PrismClient } from "./client.ts";
import { KeyNotFoundError } from "./errors.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const START_MS = Date.parse("2026-01-01T00:00:00Z");

/** Batches, times to live, conditions, counters and transactions, over both clients. */
describe.each(CLIENTS)("the $kind client", ({ connect }) => {
  let server: TestServer;
  let client: PrismClient;
  let keyvalue: PrismClient["keyvalue"];
  let nowMs = START_MS;

  beforeAll(async () => {
    server = await startTestServer({ clock: { now: () => nowMs } });
    client = connect(server);
    keyvalue = client.keyvalue;
  });

  afterAll(async () => {
    await client.close();
    await server.stop();
  });

  beforeEach(async () => {
    await keyvalue.deleteMany(await Array.fromAsync(keyvalue.scanKeys()));
  });

  describe("many entries", () => {
    test("are written, read and deleted in the order of their keys", async () => {
      await keyvalue.setMany([
        ["a", "1"],
        ["b", bytes("2")],
        ["a", "3"],
      ]);
      await keyvalue.setMany(new Map([["empty", ""]]));
      expect(await keyvalue.getMany(["b", "none", "a", "empty", "b"])).toEqual([
        bytes("2"),
        undefined,
        bytes("3"),
        new Uint8Array(0),
        bytes("2"),
      ]);
      expect(await keyvalue.deleteMany(new Set(["a", "none", "b"]))).toEqual([true, false, true]);
      expect(await Array.fromAsync(keyvalue.scanKeys())).toEqual(["empty"]);
    });

    test("are plain Uint8Arrays of their own", async () => {
      await keyvalue.set("key", "value");
      const [value] = await keyvalue.getMany(["key"]);
      expect(value?.constructor).toBe(Uint8Array);
      expect(value?.buffer.byteLength).toBe(5);
    });

    test("expire together", async () => {
      const entries: [string, string][] = [
        ["a", "1"],
        ["b", "2"],
      ];
      await keyvalue.setMany(entries, { ttlSeconds: 1 });
      nowMs += 1500;
      expect(await keyvalue.getMany(["a", "b"])).toEqual([undefined, undefined]);
    });

    test("may be none, and more than one call takes", async () => {
      expect(await keyvalue.getMany([])).toEqual([]);
      await keyvalue.setMany([]);
      expect(await keyvalue.deleteMany([])).toEqual([]);

      const keys = Array.from({ length: 2500 }, (_, i) => `key:${i}`);
      await keyvalue.setMany(keys.map((key) => [key, key]));
      expect(await keyvalue.getMany(keys)).toEqual(keys.map(bytes));
      expect(await keyvalue.deleteMany([...keys, "none"])).toEqual([...keys.map(() => true), false]);
    });

    test("may have more bytes than one call takes, and large ones among small ones", async () => {
      const sizes = [
        ...Array.from({ length: 6 }, () => 1024 * 1024),
        ...Array.from({ length: 1100 }, () => 10),
        4 * 1024 * 1024,
        0,
        4 * 1024 * 1024,
        ...Array.from({ length: 300 }, () => 20_000),
      ];
      // Keys of many bytes come on top of the values.
      const keys = sizes.map((_, i) => `${i}:${"é".repeat(500)}`);
      const written = sizes.map((size, i) => Buffer.alloc(size, i));
      await keyvalue.setMany(keys.map((key, i) => [key, written[i] ?? ""]));
      const values = await keyvalue.getMany([...keys, "none"]);
      expect(values.map((value) => value?.length)).toEqual([...sizes, undefined]);
      expect(written.every((value, i) => value.equals(values[i] ?? Buffer.alloc(0)))).toBe(true);
      expect(await keyvalue.deleteMany(keys)).toEqual(keys.map(() => true));
    });

    test("fail together where the gateway refuses the request", async () => {
      const refused = keyvalue.setMany([
        ["a", "1"],
        ["", "2"],
      ]);
      await expect(refused).rejects.toMatchObject({ reason: "invalid_field", code: 3 });
      const tooLarge = keyvalue.setMany([
        ["a", new Uint8Array(4 * 1024 * 1024 + 1)],
        ["b", "1"],
      ]);
      await expect(tooLarge).rejects.toMatchObject({ reason: "value_too_large" });
      expect(await keyvalue.count()).toBe(0);
    });
  });

  describe("a time to live", () => {
    test("is given, told and taken", async () => {
      await keyvalue.set("key", "value");
      expect(await keyvalue.ttl("key")).toBeUndefined();
      expect(await keyvalue.persist("key")).toBe(false);
      await keyvalue.expire("key", 60);
      nowMs += 1000;
      expect(await keyvalue.ttl("key")).toBe(59_000);
      expect(await keyvalue.persist("key")).toBe(true);
      expect(await keyvalue.ttl("key")).toBeUndefined();
      await keyvalue.expire("key", 1);
      nowMs += 1000;
      expect(await keyvalue.exists("key")).toBe(false);
    });

    test("needs a key and whole seconds", async () => {
      for (const missing of [keyvalue.expire("no", 1), keyvalue.ttl("no"), keyvalue.persist("no")]) {
        await expect(missing).rejects.toThrow(KeyNotFoundError);
        await expect(missing).rejects.toMatchObject({ key: "no" });
      }
      await keyvalue.set("key", "value");
      await expect(keyvalue.expire("key", 0)).rejects.toMatchObject({ reason: "invalid_field" });
    });
  });

  describe("a conditional write", () => {
    test("is made if there is no entry", async () => {
      const first = await keyvalue.setIfAbsent("key", "one");
      expect(first).toEqual({ created: true, version: expect.any(Number) });
      const second = await keyvalue.setIfAbsent("key", "two", { ttlSeconds: 60 });
      const actual = { value: bytes("one"), version: first.created && first.version, ttlMs: undefined };
      expect(second).toEqual({ created: false, actual });
      await keyvalue.delete("key");
      expect(await keyvalue.setIfAbsent("key", "three", { ttlSeconds: 60 })).toMatchObject({ created: true });
      expect(await keyvalue.ttl("key")).toBe(60_000);
    });

    test("is made if the value or the version is as expected", async () => {
      const made = await keyvalue.compareAndSwap("key", { absent: true }, "one", { ttlSeconds: 60 });
      if (!made.swapped) {
        throw new Error("there was no entry");
      }
      expect(await keyvalue.compareAndSwap("key", { absent: true }, "two")).toEqual({
        swapped: false,
        actual: { value: bytes("one"), version: made.version, ttlMs: 60_000 },
      });
      const byValue = await keyvalue.compareAndSwap("key", { value: "one" }, "two");
      if (!byValue.swapped) {
        throw new Error("the value was as expected");
      }
      expect(byValue.version).toBeGreaterThan(made.version);
      expect(await keyvalue.compareAndSwap("key", { version: made.version }, "three")).toMatchObject({
        swapped: false,
        actual: { value: bytes("two"), ttlMs: undefined },
      });
      expect(await keyvalue.compareAndSwap("key", { version: byValue.version }, "three")).toMatchObject({
        swapped: true,
      });
      expect(await keyvalue.get("key")).toEqual(bytes("three"));
      expect(await keyvalue.compareAndSwap("none", { value: "" }, "x")).toEqual({
        swapped: false,
        actual: undefined,
      });
    });

    test("deletes what is as expected", async () => {
      await keyvalue.set("key", "one");
      const [entry] = await keyvalue.getEntries(["key"]);
      expect(await keyvalue.compareAndDelete("key", { value: "two" })).toEqual({
        deleted: false,
        actual: entry,
      });
      expect(await keyvalue.compareAndDelete("key", { version: entry?.version ?? 0 })).toEqual({
        deleted: true,
      });
      expect(await keyvalue.compareAndDelete("key", { value: bytes("one") })).toEqual({
        deleted: false,
        actual: undefined,
      });
    });
  });

  describe("a counter", () => {
    test("counts in numbers or bigints, from where it is told", async () => {
      expect(await keyvalue.increment("visits")).toBe(1);
      expect(await keyvalue.increment("visits", -5)).toBe(-4);
      expect(await keyvalue.increment("visits", 2n)).toBe(-2n);
      expect(await keyvalue.get("visits")).toEqual(bytes("-2"));
      expect(await keyvalue.increment("stock", 0, { initial: 100n, ttlSeconds: 60 })).toBe(100);
      expect(await keyvalue.increment("stock", 1, { initial: 7 })).toBe(101);
      expect(await keyvalue.ttl("stock")).toBe(60_000);
    });

    test("stays as it is where it cannot count", async () => {
      await keyvalue.set("text", "1a");
      await expect(keyvalue.increment("text")).rejects.toMatchObject({ reason: "not_a_counter", code: 9 });
      const max = 2n ** 63n - 1n;
      expect(await keyvalue.increment("full", max)).toBe(max);
      await expect(keyvalue.increment("full")).rejects.toMatchObject({
        reason: "counter_overflow",
        code: 11,
      });
      expect(await keyvalue.getMany(["text", "full"])).toEqual([bytes("1a"), bytes(String(max))]);
      await expect(keyvalue.increment("full", -1)).rejects.toThrow(/not a safe integer/);
      expect(await keyvalue.increment("full", 0n)).toBe(max - 1n);
    });
  });

  describe("a transaction", () => {
    test("makes all changes, and answers counters and version", async () => {
      await keyvalue.setMany([
        ["replaced", "1"],
        ["deleted", "1"],
        ["shortened", "1"],
        ["kept", "1"],
        ["count", "5"],
      ]);
      await keyvalue.expire("kept", 60);
      await keyvalue.expire("replaced", 60);
      const outcome = await keyvalue
        .transaction()
        .check("new", { absent: true })
        .check("replaced", { value: "1" })
        .check("kept", { present: true })
        .set("new", "2", { ttlSeconds: 30 })
        .replace("replaced", "2")
        .delete("deleted")
        .add("count", 2)
        .add("other", 1n, { initial: 9, ttlSeconds: 30 })
        .expire("shortened", 30)
        .persist("kept")
        .commit();
      if (!outcome.committed) {
        throw new Error("every check held");
      }
      expect(outcome.counters).toEqual([7n, 10n]);
      const { version } = outcome;
      expect(
        await keyvalue.getEntries(["new", "replaced", "deleted", "count", "other", "shortened", "kept"]),
      ).toEqual([
        { value: bytes("2"), version, ttlMs: 30_000 },
        { value: bytes("2"), version, ttlMs: 60_000 },
        undefined,
        { value: bytes("7"), version, ttlMs: undefined },
        { value: bytes("10"), version, ttlMs: 30_000 },
        { value: bytes("1"), version, ttlMs: 30_000 },
        { value: bytes("1"), version, ttlMs: undefined },
      ]);
    });

    test("makes none if a check does not hold, and names the checks", async () => {
      await keyvalue.set("there", "1");
      const outcome = await keyvalue
        .transaction()
        .check("there", { absent: true })
        .check("there", { value: "1" })
        .check("none", { present: true })
        .set("new", "1")
        .commit();
      expect(outcome).toEqual({ committed: false, failedChecks: [0, 2] });
      expect(await keyvalue.exists("new")).toBe(false);
    });

    test("fails whole where a change cannot be made", async () => {
      await keyvalue.set("text", "a");
      const failed = keyvalue.transaction().set("new", "1").add("text", 1).commit();
      await expect(failed).rejects.toMatchObject({ reason: "not_a_counter" });
      await expect(keyvalue.transaction().commit()).rejects.toMatchObject({ reason: "invalid_field" });
      expect(await keyvalue.exists("new")).toBe(false);
      const nowhere = keyvalue.transaction().delete("key").commit({ namespace: "nowhere" });
      await expect(nowhere).rejects.toMatchObject({ reason: "namespace_not_found" });
    });
  });

  test("refuses wrong arguments before it sends anything", async () => {
    const sent = server.log.length;
    /** Turns a refusal at once, of a transaction's methods, into one of a call. */
    const at = async (make: () => unknown) => void (await make());
    const noKeys = [undefined, null, 5, ["key"], new Uint8Array(1), "\ud800"];
    const noNumbers = [null, "5", Number.NaN, -1, 1.5, Number.POSITIVE_INFINITY, 5n];
    const noDeltas = [null, "5", 1.5, Number.POSITIVE_INFINITY, 2n ** 63n, 2 ** 60];
    const transaction = () => keyvalue.transaction();
    const calls: [message: RegExp, make: () => Promise<unknown>[]][] = [
      [
        /^keys must be an array or another iterable, not /,
        () =>
          ["key", null, 5, {}].flatMap((keys) => [
            keyvalue.getMany(any(keys)),
            keyvalue.deleteMany(any(keys)),
            keyvalue.getEntries(any(keys)),
          ]),
      ],
      [
        /^entries must be /,
        () =>
          ["ab", null, { a: "1" }, ["ab"], [["a"]], [null]].map((entries) => keyvalue.setMany(any(entries))),
      ],
      [
        /^key /,
        () =>
          noKeys.flatMap((key) => [
            keyvalue.getMany([any(key)]),
            keyvalue.deleteMany([any(key)]),
            keyvalue.getEntries([any(key)]),
            keyvalue.setMany([[any(key), "value"]]),
            keyvalue.expire(any(key), 1),
            keyvalue.ttl(any(key)),
            keyvalue.persist(any(key)),
            keyvalue.compareAndSwap(any(key), { absent: true }, "value"),
            keyvalue.compareAndDelete(any(key), { value: "" }),
            keyvalue.setIfAbsent(any(key), "value"),
            keyvalue.increment(any(key)),
            at(() => transaction().check(any(key), { absent: true })),
            at(() => transaction().delete(any(key))),
          ]),
      ],
      [
        /^value /,
        () =>
          [undefined, null, 5, [1], {}].flatMap((value) => [
            keyvalue.setMany([["key", any(value)]]),
            keyvalue.compareAndSwap("key", { absent: true }, any(value)),
            keyvalue.compareAndSwap("key", { value: any(value) }, "value"),
            keyvalue.setIfAbsent("key", any(value)),
            at(() => transaction().set("key", any(value))),
            at(() => transaction().replace("key", any(value))),
          ]),
      ],
      [
        /^expected must be /,
        () =>
          [
            undefined,
            null,
            "value",
            {},
            { absent: false },
            { present: false },
            { value: "", version: 1 },
          ].flatMap((expected) => [
            keyvalue.compareAndSwap("key", any(expected), "value"),
            keyvalue.compareAndDelete("key", any(expected)),
            at(() => transaction().check("key", any(expected))),
          ]),
      ],
      [
        /^version /,
        () => noNumbers.map((version) => keyvalue.compareAndSwap("key", any({ version }), "value")),
      ],
      [
        /^ttlSeconds /,
        () => [
          keyvalue.expire("key", any(undefined)),
          ...noNumbers.flatMap((ttlSeconds) => [
            keyvalue.expire("key", any(ttlSeconds)),
            keyvalue.setMany([["key", "value"]], any({ ttlSeconds })),
            keyvalue.setIfAbsent("key", "value", any({ ttlSeconds })),
            keyvalue.increment("key", 1, any({ ttlSeconds })),
            at(() => transaction().expire("key", any(ttlSeconds))),
            at(() => transaction().set("key", "value", any({ ttlSeconds }))),
          ]),
        ],
      ],
      [
        /^delta /,
        () =>
          noDeltas.flatMap((delta) => [
            keyvalue.increment("key", any(delta)),
            at(() => transaction().add("key", any(delta))),
          ]),
      ],
      [/^initial /, () => noDeltas.map((initial) => keyvalue.increment("key", 1, any({ initial })))],
      [
        /^there is no option (ttl|limit|namespace), but /,
        () => [
          keyvalue.setMany([["key", "value"]], any({ ttl: 5 })),
          keyvalue.getMany(["key"], any({ limit: 5 })),
          at(() => transaction().set("key", "value", any({ ttl: 5 }))),
          at(() => transaction().add("key", 1, any({ namespace: "orders" }))),
          transaction()
            .delete("key")
            .commit(any({ ttl: 5 })),
        ],
      ],
    ];
    for (const [message, make] of calls) {
      for (const outcome of await Promise.allSettled(make())) {
        expect(outcome).toMatchObject({
          status: "rejected",
          reason: { reason: "invalid_field", code: 3, message: expect.stringMatching(message) },
        });
      }
    }
    expect(server.log.length).toBe(sent);
  });
});

describe("a client whose gateway", () => {
  const connect = (results: (keys: readonly string[]) => object[]) =>
    new PrismClient(
      createRouterTransport(({ service }) => {
        service(KeyValueBatchInterface, { batchGet: ({ keys }) => ({ results: results(keys) }) });
        service(KeyValueCASInterface, { setIfAbsent: () => ({ created: false }) });
      }),
    );

  test("refuses one item of many fails with its reason, and names its key", async () => {
    const error = {
      reason: Reason.CORRUPT_DATA,
      message: "the stored value is damaged",
      namespace: "orders",
      requestId: "r-1",
    };
    await using client = connect((keys) => keys.map((key) => (key === "b" ? { error } : { found: true })));
    await expect(client.keyvalue.getMany(["a", "b", "c"])).rejects.toMatchObject({
      name: "PrismError",
      message: 'key "b": the stored value is damaged',
      reason: "corrupt_data",
      code: 2,
      retryable: false,
      namespace: "orders",
      requestId: "r-1",
    });
    expect(await client.keyvalue.getMany(["a", "c"])).toEqual([new Uint8Array(0), new Uint8Array(0)]);
  });

  test("leaves answers out fails, and says nothing false", async () => {
    await using client = connect(() => [{}]);
    await expect(client.keyvalue.getMany(["a", "b"])).rejects.toMatchObject({
      reason: "internal",
      message: "the gateway answered 1 of 2 items",
    });
    await expect(client.keyvalue.setIfAbsent("a", "b")).rejects.toMatchObject({ reason: "internal" });
  });
});
