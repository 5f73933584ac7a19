import { expect, test } from "vitest";
import { bytes, CALL, describeFor, type Harness, NAMESPACE, testBatch, useOpenStore } from "./harness.ts";
import { deleteAll, get, getOne, item, keysOf, only, pairs, put, read } from "./record-values.ts";

/** Items that expire, and the times of items. The harness moves the clock, so times are exact. */
export function describeRecordTime(harness: Harness): void {
  describeFor(harness, ["records", "clock"], "records and time", () => {
    const store = useOpenStore(harness);

    test("each item is there until its own time, and not at it", async () => {
      const { records, advance } = store();
      await put(records, "r", [
        item("a", "1", { ttlMs: 1000 }),
        item("b", "2", { ttlMs: 2000 }),
        item("c", "3"),
      ]);
      await advance(999);
      expect(keysOf(await read(records, "r"))).toEqual(["a", "b", "c"]);
      expect(pairs(await get(records, "r", ["a"]))).toEqual([["a", "1"]]);
      await advance(1);
      expect(keysOf(await read(records, "r"))).toEqual(["b", "c"]);
      expect(await get(records, "r", ["a"])).toEqual([undefined]);
      await advance(1000);
      expect(keysOf(await read(records, "r"))).toEqual(["c"]);
    });

    test("an expired item is absent for deletes and swaps", async () => {
      const { records, advance } = store();
      await put(records, "r", [item("a", "1", { ttlMs: 10 }), item("b", "2", { ttlMs: 10 }), item("c", "3")]);
      await advance(10);
      const swap = { id: "r", key: bytes("a"), value: bytes("2") };
      expect(await records.swapItem(NAMESPACE, [{ ...swap, expected: bytes("1") }], CALL)).toEqual([
        { swapped: false, actual: undefined },
      ]);
      expect(await records.swapItem(NAMESPACE, [{ ...swap, expected: undefined }], CALL)).toEqual([
        { swapped: true },
      ]);
      const keys = ["a", "b"].map(bytes);
      expect(only(await records.deleteItems(NAMESPACE, [{ id: "r", keys, maxItems: 9 }], CALL))).toEqual({
        deleted: 1,
        more: false,
      });
      expect(await deleteAll(records, "r")).toBe(1);
    });

    test("a record whose items have all expired is gone and can begin again", async () => {
      const { records, advance } = store();
      await put(records, "r", [item("a", "1", { ttlMs: 10 }), item("b", "2", { ttlMs: 20 })]);
      await advance(20);
      expect(await read(records, "r")).toEqual([]);
      await put(records, "r", [item("b", "3")]);
      await advance(1_000_000);
      expect(pairs(await read(records, "r"))).toEqual([["b", "3"]]);
    });

    test("a put replaces the time to live of its items; without one they never expire", async () => {
      const { records, advance } = store();
      const of = (ttlMs: number) => ["a", "b", "c"].map((key) => item(key, "1", { ttlMs }));
      await put(records, "r", of(100));
      await put(records, "r", [
        item("a", "2"),
        item("b", "2", { ttlMs: 500 }),
        item("c", "2", { ttlMs: 50 }),
      ]);
      await advance(50);
      expect(keysOf(await read(records, "r"))).toEqual(["a", "b"]);
      await advance(449);
      expect(keysOf(await read(records, "r"))).toEqual(["a", "b"]);
      await advance(1);
      expect(keysOf(await read(records, "r"))).toEqual(["a"]);
      await advance(1_000_000);
      expect(keysOf(await read(records, "r"))).toEqual(["a"]);
    });

    test("a swap begins the time to live of an item anew; a new item never expires", async () => {
      const { records, advance } = store();
      await put(records, "r", [item("a", "1", { ttlMs: 100 })]);
      await advance(60);
      const swap = { id: "r", key: bytes("a"), expected: bytes("1"), value: bytes("2") };
      const other = { id: "r", key: bytes("b"), expected: undefined, value: bytes("2") };
      await records.swapItem(NAMESPACE, [swap, other], CALL);
      expect(await getOne(records, "r", "a")).toMatchObject({ ttlMs: 100 });
      await advance(99);
      expect(keysOf(await read(records, "r"))).toEqual(["a", "b"]);
      await advance(1);
      expect(keysOf(await read(records, "r"))).toEqual(["b"]);
    });

    test("an item tells when it was first and last written, and its time to live as it was written", async () => {
      const { records, advance } = store();
      await put(records, "r", [item("a", "1", { ttlMs: 500 })]);
      const first = await getOne(records, "r", "a");
      expect(first.createdAtMs).toBe(first.updatedAtMs);
      await advance(70);
      expect(await getOne(records, "r", "a")).toEqual(first);
      await put(records, "r", [item("a", "2", { ttlMs: 30 }), item("b", "3")]);
      const [a, b] = await read(records, "r");
      const now = first.createdAtMs + 70;
      expect(a).toMatchObject({ createdAtMs: first.createdAtMs, updatedAtMs: now, ttlMs: 30 });
      expect(b).toMatchObject({ createdAtMs: now, updatedAtMs: now, ttlMs: 0 });
      await advance(20);
      const swap = { id: "r", key: bytes("b"), expected: bytes("3"), value: bytes("4") };
      await records.swapItem(NAMESPACE, [swap], CALL);
      expect(await getOne(records, "r", "b")).toMatchObject({ createdAtMs: now, updatedAtMs: now + 20 });
    });

    test.each(["put", "swap"])("a %s of an item that expired or was deleted begins anew", async (how) => {
      const { records, advance } = store();
      await put(records, "r", [item("a", "1", { ttlMs: 10 }), item("b", "1")]);
      const { createdAtMs } = await getOne(records, "r", "a");
      await records.deleteItems(NAMESPACE, [{ id: "r", keys: [bytes("b")], maxItems: 9 }], CALL);
      await advance(10);
      if (how === "put") {
        await put(records, "r", [item("a", "2"), item("b", "2")]);
      } else {
        const swap = { id: "r", expected: undefined, value: bytes("2") };
        await records.swapItem(
          NAMESPACE,
          ["a", "b"].map((key) => ({ ...swap, key: bytes(key) })),
          CALL,
        );
      }
      const anew = { createdAtMs: createdAtMs + 10, updatedAtMs: createdAtMs + 10 };
      expect(await read(records, "r")).toMatchObject([anew, anew]);
    });

    test("the longest life does not overflow", async () => {
      const { records, advance } = store();
      await put(records, "r", [item("a", "1", { ttlMs: harness.maxTtlMs })]);
      await advance(harness.maxTtlMs - 1);
      expect(await getOne(records, "r", "a")).toMatchObject({ ttlMs: harness.maxTtlMs });
      await advance(1);
      expect(await read(records, "r")).toEqual([]);
    });

    testBatch(harness, "pages and deletes get past thousands of expired items", async () => {
      const { records, advance } = store();
      for (let from = 0; from < 6000; from += 1000) {
        const expiring = Array.from({ length: 1000 }, (_, i) =>
          item(`b${String(from + i).padStart(4, "0")}`, "", { ttlMs: 1000 }),
        );
        await put(records, "r", expiring);
      }
      await put(records, "r", [item("a", "first"), item("c", "last")]);
      await advance(1000);
      expect(pairs(await read(records, "r", { maxItems: 100 }))).toEqual([
        ["a", "first"],
        ["c", "last"],
      ]);
      expect(await deleteAll(records, "r")).toBe(2);
    });
  });
}
