import { expect, test } from "vitest";
import { isRefusal, type RecordStore } from "../contract.ts";
import { bytesOfItem } from "../records.ts";
import {
  AWKWARD_KEYS,
  answersOf,
  bytes,
  CALL,
  type Harness,
  NAMESPACE,
  NAMESPACES,
  type OpenStore,
  setTexts,
  testBatch,
} from "./harness.ts";
import {
  deleteAll,
  get,
  getOne,
  ITEM_KEYS,
  item,
  keysOf,
  latin1,
  only,
  pairs,
  put,
  read,
  toBytes,
} from "./record-values.ts";

/** What puts write and reads find. */
export function describeItems(store: () => OpenStore): void {
  test("an absent record has no items", async () => {
    const { records } = store();
    expect(await get(records, "r", ["a"])).toEqual([undefined]);
    expect(await read(records, "r")).toEqual([]);
    expect(await deleteAll(records, "r")).toBe(0);
    expect(
      await records.deleteItems(NAMESPACE, [{ id: "r", keys: [bytes("a")], maxItems: 9 }], CALL),
    ).toEqual([{ deleted: 0, more: false }]);
  });

  test("a put adds items and replaces those with its keys, and leaves the others", async () => {
    const { records } = store();
    await put(records, "r", [item("b", "1"), item("a", "2")]);
    await put(records, "r", [item("c", "3"), item("b", "4")]);
    await put(records, "other", [item("a", "5")]);
    expect(pairs(await read(records, "r"))).toEqual([
      ["a", "2"],
      ["b", "4"],
      ["c", "3"],
    ]);
    expect(pairs(await get(records, "r", ["c", "x", "a", "c"]))).toEqual([
      ["c", "3"],
      undefined,
      ["a", "2"],
      ["c", "3"],
    ]);
  });

  test("metadata is kept with the value, and goes with it", async () => {
    const { records } = store();
    // Of a wire the metadata is a message, so these bytes are one: field 1, number 4.
    const metadata = Uint8Array.of(8, 4);
    await put(records, "r", [item("a", "1", { metadata }), item("b", "2")]);
    const [a, b] = await read(records, "r");
    expect([a?.metadata, b?.metadata].map((kept) => kept && latin1(kept))).toEqual(["\b\x04", ""]);
    await put(records, "r", [item("a", "3")]);
    expect((await getOne(records, "r", "a")).metadata).toHaveLength(0);
  });

  test("of two items with one key, and of two puts of one call, the later wins", async () => {
    const { records } = store();
    await put(records, "r", [item("a", "1"), item("b", "2"), item("a", "3")]);
    expect(pairs(await read(records, "r"))).toEqual([
      ["a", "3"],
      ["b", "2"],
    ]);
    const puts = ["4", "5"].map((value) => ({ id: "r", items: [item("b", value)] }));
    await answersOf(records.putItems(NAMESPACE, [...puts, { id: "s", items: [item("b", "6")] }], CALL));
    expect(pairs(await get(records, "r", ["b"]))).toEqual([["b", "5"]]);
    expect(pairs(await get(records, "s", ["b"]))).toEqual([["b", "6"]]);
  });

  test("items are in the order of their keys' bytes, whatever the bytes are", async () => {
    const { records } = store();
    const shuffled = ITEM_KEYS.map((key, i) => ({ key, rank: (i * 7) % ITEM_KEYS.length }))
      .sort((a, b) => a.rank - b.rank)
      .map(({ key }) => key);
    await put(
      records,
      "r",
      shuffled.map((key) => item(key, key)),
    );
    expect(pairs(await read(records, "r"))).toEqual(ITEM_KEYS.map((key) => [latin1(key), latin1(key)]));
    expect(pairs(await get(records, "r", ITEM_KEYS))).toEqual(
      ITEM_KEYS.map((key) => [latin1(key), latin1(key)]),
    );
  });

  test("ids are any text, each a record of its own", async () => {
    const { records } = store();
    const puts = AWKWARD_KEYS.map((id, i) => ({ id, items: [item("k", String(i))] }));
    await answersOf(records.putItems(NAMESPACE, puts, CALL));
    for (const [i, id] of AWKWARD_KEYS.entries()) {
      expect(pairs(await read(records, id))).toEqual([["k", String(i)]]);
    }
  });

  test("empty, binary and large values", async () => {
    const { records } = store();
    const values = [new Uint8Array(0), Uint8Array.of(0, 255, 128), new Uint8Array(3 * 1024 * 1024).fill(7)];
    for (const [i, value] of values.entries()) {
      await put(records, "r", [item(String(i), value)]);
    }
    for (const [i, value] of values.entries()) {
      expect(Buffer.compare((await getOne(records, "r", String(i))).value, value)).toBe(0);
    }
    const found = await read(records, "r");
    expect(found.map(({ value }) => value.length)).toEqual(values.map((value) => value.length));
    // A large value goes with its item, and when it is replaced.
    await put(records, "r", [item("2", "small")]);
    expect(await deleteAll(records, "r")).toBe(3);
  });

  test("what is written is copied", async () => {
    const { records } = store();
    const request = Buffer.from("key value");
    const items = [item(request.subarray(0, 3), request.subarray(4))];
    const written = records.putItems(NAMESPACE, [{ id: "r", items }], CALL);
    request.fill("x");
    await written;
    expect(pairs(await read(records, "r"))).toEqual([["key", "value"]]);
  });

  test("records, entries, lists and namespaces do not see each other", async () => {
    const { backend, records } = store();
    for (const namespace of NAMESPACES) {
      await put(records, "b", [item("k", namespace)], namespace);
    }
    if (backend.entries !== undefined) {
      expect(await backend.entries.exists(NAMESPACE, ["b"], CALL)).toEqual([false]);
      await setTexts(backend.entries, { c: "1" });
      expect(await backend.entries.delete(NAMESPACE, ["b"], CALL)).toEqual([false]);
    }
    await backend.lists?.push(NAMESPACE, [{ key: "c", end: "left", value: bytes("1") }], CALL);
    expect(await read(records, "c")).toEqual([]);
    for (const namespace of NAMESPACES) {
      expect(pairs(await read(records, "b", {}, namespace))).toEqual([["k", namespace]]);
      expect(await deleteAll(records, "b", { namespace })).toBe(1);
    }
  });

  test("a call without items answers none", async () => {
    const { records } = store();
    expect(await answersOf(records.putItems(NAMESPACE, [], CALL))).toEqual([]);
    expect(await records.getItems(NAMESPACE, [], CALL)).toEqual([]);
    expect(await records.pageItems(NAMESPACE, [], CALL)).toEqual([]);
    expect(await records.deleteItems(NAMESPACE, [], CALL)).toEqual([]);
    expect(await records.swapItem(NAMESPACE, [], CALL)).toEqual([]);
  });

  test("a read of more bytes than it may have is refused, and no other read with it", async () => {
    const { records } = store();
    const items = [item("a", "1"), item("b", "22")];
    await put(records, "r", items);
    const bytesOfBoth = items.reduce((sum, each) => sum + bytesOfItem(each), 0);
    const reads = [bytesOfBoth, bytesOfBoth - 1].map((maxBytes) => ({
      id: "r",
      keys: items.map(({ key }) => key),
      maxBytes,
    }));
    const [fits, large] = await records.getItems(NAMESPACE, reads, CALL);
    expect(isRefusal(fits)).toBe(false);
    expect(large).toMatchObject({ reason: "value_too_large" });
  });
}

/** Parts of records. */
export function describeRanges(harness: Harness, store: () => OpenStore): void {
  /** A record with every awkward key. */
  async function filled(): Promise<RecordStore> {
    const { records } = store();
    await put(
      records,
      "r",
      ITEM_KEYS.map((key) => item(key, "v")),
    );
    return records;
  }

  test("the start is in the range and the end is not, with and without items at them", async () => {
    const records = await filled();
    const bounds = [undefined, ...ITEM_KEYS, bytes("aa"), Uint8Array.of(0x90), Uint8Array.of(0xff, 1)];
    const isIn = (key: Uint8Array, start: Uint8Array | undefined, end: Uint8Array | undefined) =>
      (start === undefined || Buffer.compare(key, start) >= 0) &&
      (end === undefined || Buffer.compare(key, end) < 0);
    for (const [i, bound] of bounds.entries()) {
      for (const [start, end] of [
        [bound, undefined],
        [undefined, bound],
        [bound, bounds[(i * 5 + 3) % bounds.length]],
      ]) {
        if (start !== undefined && end !== undefined && Buffer.compare(start, end) > 0) {
          continue;
        }
        const wanted = ITEM_KEYS.filter((key) => isIn(key, start, end)).map(latin1);
        expect(keysOf(await read(records, "r", { start, end }))).toEqual(wanted);
      }
    }
  });

  test.each([1, 2, 5, ITEM_KEYS.length])("pages of %i hold each item once, in order", async (maxItems) => {
    const records = await filled();
    const all = ITEM_KEYS.map(latin1);
    expect(keysOf(await read(records, "r", { maxItems }))).toEqual(all);
    const start = toBytes("a");
    const wanted = ITEM_KEYS.filter((key) => Buffer.compare(key, start) >= 0).map(latin1);
    if (harness.overWire !== true) {
      // Only a scan of a plugin goes on from a page.
      expect(keysOf(await read(records, "r", { maxItems, start }))).toEqual(wanted);
    }
    expect(keysOf(await read(records, "r", { maxBytes: 1 }))).toEqual(all);
  });

  test("a page has at most the wanted items, and ends with the item that brings its bytes", async () => {
    const records = await filled();
    const range = { id: "r", start: undefined, end: undefined, after: undefined, maxBytes: 1e6 };
    const page = only(await records.pageItems(NAMESPACE, [{ ...range, maxItems: 3 }], CALL));
    expect(page).toMatchObject({ items: { length: 3 }, next: expect.any(Uint8Array) });
    // A plugin's page ends where the plugin's does.
    if (harness.overWire !== true) {
      const small = only(await records.pageItems(NAMESPACE, [{ ...range, maxItems: 9, maxBytes: 1 }], CALL));
      expect(small).toMatchObject({ items: { length: 1 }, next: expect.any(Uint8Array) });
    }
    const whole = only(await records.pageItems(NAMESPACE, [{ ...range, maxItems: 1000 }], CALL));
    expect(whole).toMatchObject({ items: { length: ITEM_KEYS.length }, next: undefined });
  });

  test("pages of several records are answered in order", async () => {
    const { records } = store();
    await put(records, "a", [item("k", "1")]);
    await put(records, "b", [item("k", "2"), item("l", "3")]);
    const range = { start: undefined, end: undefined, after: undefined, maxItems: 10, maxBytes: 1e6 };
    const pages = await answersOf(
      records.pageItems(
        NAMESPACE,
        ["b", "none", "a", "b"].map((id) => ({ ...range, id })),
        CALL,
      ),
    );
    expect(pages.map(({ items }) => pairs(items).map((pair) => pair?.[1]))).toEqual([
      ["2", "3"],
      [],
      ["1"],
      ["2", "3"],
    ]);
  });

  testBatch(harness, "a range in the middle of a record of twenty thousand", async () => {
    const { records } = store();
    const keyAt = (i: number) => bytes(`k${String(i).padStart(6, "0")}`);
    for (let from = 0; from < 20_000; from += 1000) {
      const items = Array.from({ length: 1000 }, (_, i) => item(keyAt(from + i), String(from + i)));
      await put(records, "r", items);
    }
    const middle = await read(records, "r", { start: keyAt(10_000), end: keyAt(10_100) });
    expect(pairs(middle).map((pair) => pair?.[1])).toEqual(
      Array.from({ length: 100 }, (_, i) => String(10_000 + i)),
    );
    expect(await read(records, "r")).toHaveLength(20_000);
    expect(await deleteAll(records, "r")).toBe(20_000);
    expect(await read(records, "r")).toEqual([]);
  });
}
