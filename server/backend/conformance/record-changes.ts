import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { ItemSwap } from "../records.ts";
import { answersOf, bytes, CALL, type Harness, NAMESPACE, type OpenStore, testBatch } from "./harness.ts";
import {
  deleteAll,
  get,
  getOne,
  item,
  keysOf,
  latin1,
  only,
  pairs,
  put,
  read,
  toBytes,
} from "./record-values.ts";

/** Deletes of items and of whole records. */
export function describeDeletes(harness: Harness, store: () => OpenStore): void {
  test("a delete of keys counts the items that were there, each once", async () => {
    const { records } = store();
    await put(records, "r", [item("a", "1"), item("b", "2"), item("c", "3")]);
    const deletes = [
      { id: "r", keys: ["a", "x", "a"].map(toBytes), maxItems: 9 },
      { id: "other", keys: ["b"].map(toBytes), maxItems: 9 },
      { id: "r", keys: ["a", "b"].map(toBytes), maxItems: 9 },
    ];
    expect(await records.deleteItems(NAMESPACE, deletes, CALL)).toEqual([
      { deleted: 1, more: false },
      { deleted: 0, more: false },
      { deleted: 1, more: false },
    ]);
    expect(keysOf(await read(records, "r"))).toEqual(["c"]);
  });

  test("a record that was deleted is gone and can begin again", async () => {
    const { records } = store();
    await put(records, "r", [item("a", "1"), item("b", "2")]);
    await put(records, "s", [item("a", "3")]);
    expect(await deleteAll(records, "r")).toBe(2);
    expect(await read(records, "r")).toEqual([]);
    expect(await deleteAll(records, "r")).toBe(0);
    await put(records, "r", [item("c", "4")]);
    expect(pairs(await read(records, "r"))).toEqual([["c", "4"]]);
    expect(pairs(await read(records, "s"))).toEqual([["a", "3"]]);
  });

  testBatch(harness, "one step deletes the first items, as many as it may", async () => {
    const { records } = store();
    await put(
      records,
      "r",
      ["e", "b", "d", "a", "c"].map((key) => item(key, "v")),
    );
    const step = { id: "r", keys: undefined, maxItems: 2 };
    expect(only(await records.deleteItems(NAMESPACE, [step], CALL))).toEqual({ deleted: 2, more: true });
    expect(keysOf(await read(records, "r"))).toEqual(["c", "d", "e"]);
    expect(await deleteAll(records, "r", { maxItems: 1 })).toBe(3);
  });
}

function swap(key: string, expected: string | undefined, value: string, id = "r"): ItemSwap {
  return {
    id,
    key: bytes(key),
    expected: expected === undefined ? undefined : bytes(expected),
    value: bytes(value),
  };
}

/** Compare-and-swap. */
export function describeSwaps(store: () => OpenStore): void {
  /** Makes swaps; answers true, or what is there as text. */
  async function swapped(...swaps: readonly ItemSwap[]): Promise<(true | string | undefined)[]> {
    const answers = await answersOf(store().records.swapItem(NAMESPACE, swaps, CALL));
    return answers.map((answer) => answer.swapped || (answer.actual && latin1(answer.actual)));
  }

  test("a swap takes effect where it finds what it expects, and else tells what is there", async () => {
    const { records } = store();
    expect(await swapped(swap("a", "0", "1"))).toEqual([undefined]);
    expect(await swapped(swap("a", undefined, "1"))).toEqual([true]);
    expect(await swapped(swap("a", undefined, "2"))).toEqual(["1"]);
    expect(await swapped(swap("a", "0", "2"))).toEqual(["1"]);
    expect(await swapped(swap("a", "1", "2"))).toEqual([true]);
    expect(await swapped(swap("b", "2", "3"), swap("a", "2", "3", "s"))).toEqual([undefined, undefined]);
    expect(pairs(await read(records, "r"))).toEqual([["a", "2"]]);
  });

  test("an empty value is not an absent item", async () => {
    const { records } = store();
    expect(await swapped(swap("a", "", "1"))).toEqual([undefined]);
    expect(await swapped(swap("a", undefined, ""))).toEqual([true]);
    const refused = await records.swapItem(NAMESPACE, [swap("a", undefined, "1")], CALL);
    expect(refused).toMatchObject([{ swapped: false, actual: { length: 0 } }]);
    expect(await swapped(swap("a", "", "2"))).toEqual([true]);
    expect(pairs(await read(records, "r"))).toEqual([["a", "2"]]);
  });

  test("each swap of a call sees the earlier ones", async () => {
    expect(
      await swapped(
        swap("a", undefined, "1"),
        swap("a", "1", "2"),
        swap("b", undefined, "x"),
        swap("a", "1", "3"),
        swap("a", "2", "4"),
      ),
    ).toEqual([true, true, true, "2", true]);
  });

  test("an item keeps its metadata; a new one has none", async () => {
    const { records } = store();
    await put(records, "r", [item("a", "1", { metadata: Uint8Array.of(8, 4) })]);
    expect(await swapped(swap("a", "1", "2"), swap("b", undefined, "3"))).toEqual([true, true]);
    const found = await read(records, "r");
    expect(found.map(({ value, metadata }) => [latin1(value), latin1(metadata)])).toEqual([
      ["2", "\b\x04"],
      ["3", ""],
    ]);
  });

  test("a large value is compared and replaced whole", async () => {
    const { records } = store();
    const large = (last: number) => new Uint8Array(100_000).fill(7, 0, -1).fill(last, -1);
    await put(records, "r", [item("a", large(1))]);
    const attempt = (expected: Uint8Array, value: Uint8Array) =>
      records.swapItem(NAMESPACE, [{ id: "r", key: bytes("a"), expected, value }], CALL);
    expect(await attempt(large(2), large(3))).toMatchObject([
      { swapped: false, actual: { length: 100_000 } },
    ]);
    expect(await attempt(large(1), large(3))).toEqual([{ swapped: true }]);
    expect(await attempt(large(3), bytes("small"))).toEqual([{ swapped: true }]);
    expect(pairs(await read(records, "r"))).toEqual([["a", "small"]]);
  });
}

/** Many callers at once. */
export function describeRecordRaces(store: () => OpenStore): void {
  test("many callers add to one number by swaps, and none is lost", async () => {
    const { records } = store();
    await put(records, "r", [item("n", "0")]);
    const adder = async () => {
      for (let done = 0; done < 10; ) {
        const value = latin1((await getOne(records, "r", "n")).value);
        const answer = only(
          await records.swapItem(NAMESPACE, [swap("n", value, String(Number(value) + 1))], CALL),
        );
        done += "swapped" in answer && answer.swapped ? 1 : 0;
      }
    };
    await Promise.all(Array.from({ length: 6 }, adder));
    expect(pairs(await get(records, "r", ["n"]))).toEqual([["n", "60"]]);
  });

  test("one caller makes an item, however many try", async () => {
    const { records } = store();
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, i) =>
          records.swapItem(NAMESPACE, [swap(`k${round}`, undefined, String(i))], CALL),
        ),
      );
      const winners = answers.flatMap(([answer], i) =>
        answer !== undefined && "swapped" in answer && answer.swapped ? [String(i)] : [],
      );
      expect(winners).toHaveLength(1);
      expect(pairs(await get(records, "r", [`k${round}`]))).toEqual([[`k${round}`, winners[0]]]);
    }
  });

  test("a reader sees all items of a put or none, and puts of one record do not mix", async () => {
    const { records } = store();
    const keys = ["a", "b", "c"];
    let writing = true;
    const writer = async (name: string) => {
      for (let i = 0; i < 20; i++) {
        // In various orders, in which stores that lock item by item would wait for each other.
        const mine = i % 2 === 0 ? keys : keys.toReversed();
        await put(
          records,
          "r",
          mine.map((key) => item(key, `${name}${i}`)),
        );
      }
    };
    const reader = async () => {
      while (writing) {
        const page = await read(records, "r");
        expect(new Set(pairs(page).map((pair) => pair?.[1])).size).toBeLessThanOrEqual(1);
        const found = await get(records, "r", keys);
        expect(new Set(pairs(found).map((pair) => pair?.[1])).size).toBe(1);
        // Where a store answers reads at once, writers would never have their turn.
        await nextTurn();
      }
    };
    const writers = Promise.all(["x", "y", "z"].map(writer)).finally(() => {
      writing = false;
    });
    await Promise.all([writers, reader(), reader()]);
  });
}
