import { expect, test } from "vitest";
import {
  AWKWARD_KEYS,
  answersOf,
  bytes,
  CALL,
  describeFor,
  type Harness,
  NAMESPACE,
  NAMESPACES,
  present,
  setTexts,
  testBatch,
  texts,
  useOpenStore,
} from "./harness.ts";

const MAX_VALUE_BYTES = 4 * 1024 * 1024;

/** Keys with the same answer are written together or not at all. */
function partOf({ atomic, shardOf }: Harness, key: string): unknown {
  switch (atomic) {
    case "namespace":
      return undefined;
    case "shard":
      return present(shardOf)(key);
    case "key":
      return key;
  }
}

/** Flat keys and values: which keys and values are allowed, and what a batch means. */
export function describeEntries(harness: Harness): void {
  describeFor(harness, ["entries"], "entries", () => {
    const store = useOpenStore(harness);
    describeKeysAndValues();
    describeBatches();

    function describeKeysAndValues(): void {
      test("a key that was never written holds nothing", async () => {
        const { entries } = store();
        expect(await entries.get(NAMESPACE, ["a"], CALL)).toEqual([undefined]);
        expect(await entries.exists(NAMESPACE, ["a"], CALL)).toEqual([false]);
        expect(await entries.delete(NAMESPACE, ["a"], CALL)).toEqual([false]);
      });

      test("a key holds what was written last, until it is deleted", async () => {
        const { entries } = store();
        await setTexts(entries, { a: "1" });
        await setTexts(entries, { a: "2" });
        expect(texts(await entries.get(NAMESPACE, ["a"], CALL))).toEqual(["2"]);
        expect(await entries.exists(NAMESPACE, ["a"], CALL)).toEqual([true]);
        expect(await entries.delete(NAMESPACE, ["a"], CALL)).toEqual([true]);
        expect(await entries.get(NAMESPACE, ["a"], CALL)).toEqual([undefined]);
        expect(await entries.exists(NAMESPACE, ["a"], CALL)).toEqual([false]);
        expect(await entries.delete(NAMESPACE, ["a"], CALL)).toEqual([false]);
      });

      test("awkward keys are each their own", async () => {
        const { entries } = store();
        const writes = AWKWARD_KEYS.map((key, i) => ({ key, value: bytes(`value ${i}`), ttlMs: 0 }));
        await entries.set(NAMESPACE, writes, CALL);
        expect(texts(await entries.get(NAMESPACE, AWKWARD_KEYS, CALL))).toEqual(
          AWKWARD_KEYS.map((_, i) => `value ${i}`),
        );
        for (const key of AWKWARD_KEYS) {
          expect(await entries.delete(NAMESPACE, [key], CALL)).toEqual([true]);
        }
        expect(await entries.exists(NAMESPACE, AWKWARD_KEYS, CALL)).toEqual(AWKWARD_KEYS.map(() => false));
      });

      test("an empty value exists", async () => {
        const { entries } = store();
        await setTexts(entries, { a: "" });
        expect(texts(await entries.get(NAMESPACE, ["a"], CALL))).toEqual([""]);
        expect(await entries.exists(NAMESPACE, ["a"], CALL)).toEqual([true]);
        expect(await entries.delete(NAMESPACE, ["a"], CALL)).toEqual([true]);
      });

      test("every byte comes back as it was", async () => {
        const { entries } = store();
        const value = Uint8Array.from({ length: 256 }, (_, i) => i);
        await entries.set(NAMESPACE, [{ key: "a", value, ttlMs: 0 }], CALL);
        const found = await answersOf(entries.get(NAMESPACE, ["a"], CALL));
        expect(found.map((each) => each && new Uint8Array(each))).toEqual([value]);
      });

      test.each([1, 64, 4095, 4096, 65_537, MAX_VALUE_BYTES])("a value of %i bytes", async (length) => {
        const { entries } = store();
        const value = Buffer.alloc(length, "0123456789abcdef~");
        await entries.set(NAMESPACE, [{ key: "a", value, ttlMs: 0 }], CALL);
        const [found] = await answersOf(entries.get(NAMESPACE, ["a"], CALL));
        expect(value.equals(found ?? Buffer.alloc(0))).toBe(true);
      });

      test("the value is copied: what becomes of the caller's buffer does not matter", async () => {
        const { entries } = store();
        const request = Buffer.from("before value after");
        const set = entries.set(NAMESPACE, [{ key: "a", value: request.subarray(7, 12), ttlMs: 0 }], CALL);
        request.fill("x");
        await set;
        expect(texts(await entries.get(NAMESPACE, ["a"], CALL))).toEqual(["value"]);
      });

      test("a value that was handed out stays as it is when its key is written again", async () => {
        const { entries } = store();
        await setTexts(entries, { a: "old" });
        const before = await entries.get(NAMESPACE, ["a"], CALL);
        await setTexts(entries, { a: "new" });
        expect(texts(before)).toEqual(["old"]);
      });

      test("namespaces do not see each other", async () => {
        const { entries } = store();
        const keys = ["b", ".b", "b.c", "-b", "_b", "\0b", "b\0", "9"];
        for (const namespace of NAMESPACES) {
          await setTexts(entries, Object.fromEntries(keys.map((key) => [key, `${namespace} ${key}`])), {
            namespace,
          });
        }
        for (const namespace of NAMESPACES) {
          expect(texts(await entries.get(namespace, keys, CALL))).toEqual(
            keys.map((key) => `${namespace} ${key}`),
          );
        }
        expect(await entries.delete("a", keys, CALL)).toEqual(keys.map(() => true));
        for (const namespace of NAMESPACES) {
          expect(await entries.exists(namespace, keys, CALL)).toEqual(keys.map(() => namespace !== "a"));
        }
      });
    }

    function describeBatches(): void {
      test("an empty batch does nothing", async () => {
        const { entries } = store();
        await entries.set(NAMESPACE, [], CALL);
        expect(await entries.get(NAMESPACE, [], CALL)).toEqual([]);
        expect(await entries.exists(NAMESPACE, [], CALL)).toEqual([]);
        expect(await entries.delete(NAMESPACE, [], CALL)).toEqual([]);
      });

      test("answers are in the order of the keys, duplicates included", async () => {
        const { entries } = store();
        await setTexts(entries, { c: "3", a: "1", b: "2" });
        const keys = ["b", "x", "a", "b", "c", "x"];
        expect(texts(await entries.get(NAMESPACE, keys, CALL))).toEqual([
          "2",
          undefined,
          "1",
          "2",
          "3",
          undefined,
        ]);
        expect(await entries.exists(NAMESPACE, keys, CALL)).toEqual([true, false, true, true, true, false]);
        expect(await entries.delete(NAMESPACE, keys, CALL)).toEqual([true, false, true, false, true, false]);
      });

      test("of two writes to one key the later wins", async () => {
        const { entries } = store();
        const writes = ["1", "2", "3"].map((value) => ({ key: "a", value: bytes(value), ttlMs: 0 }));
        await entries.set(NAMESPACE, writes, CALL);
        expect(texts(await entries.get(NAMESPACE, ["a"], CALL))).toEqual(["3"]);
      });

      testBatch(harness, "a batch of a thousand keys", async () => {
        const { entries } = store();
        const keys = Array.from({ length: 1000 }, (_, i) => `key ${i}`);
        await setTexts(entries, Object.fromEntries(keys.map((key) => [key, key])));
        expect(texts(await entries.get(NAMESPACE, keys, CALL))).toEqual(keys);
        expect(await entries.delete(NAMESPACE, keys, CALL)).toEqual(keys.map(() => true));
      });

      test("an acknowledged write is there for the next read, under many writes at once", async () => {
        const { entries } = store();
        const wrong: string[] = [];
        const writer = async (id: number) => {
          for (let i = 0; i < 20; i++) {
            await setTexts(entries, { [`writer ${id}`]: String(i) });
            const [found] = texts(await entries.get(NAMESPACE, [`writer ${id}`], CALL));
            if (found !== String(i)) {
              wrong.push(`${id}: ${found} instead of ${i}`);
            }
          }
        };
        await Promise.all(Array.from({ length: 16 }, (_, id) => writer(id)));
        expect(wrong).toEqual([]);
      });

      test("of many deletes of one key at once, one finds it", async () => {
        const { entries } = store();
        await setTexts(entries, { a: "1" });
        const found = await Promise.all(
          Array.from({ length: 20 }, () => entries.delete(NAMESPACE, ["a"], CALL)),
        );
        expect(found.flat().filter(Boolean)).toHaveLength(1);
      });

      test("batches of writes to the same keys do not mix, as far as the store says", async () => {
        const { entries } = store();
        const keys = Array.from({ length: 10 }, (_, i) => `key ${i}`);
        const write = (tag: number) => {
          const order = tag % 2 === 0 ? keys : [...keys].reverse();
          return setTexts(entries, Object.fromEntries(order.map((key) => [key, String(tag)])));
        };
        await Promise.all(Array.from({ length: 30 }, (_, tag) => write(tag)));
        const found = texts(await entries.get(NAMESPACE, keys, CALL));
        const parts = Map.groupBy(keys.keys(), (i) => partOf(harness, keys[i] ?? ""));
        for (const places of parts.values()) {
          expect(new Set(places.map((i) => found[i])).size).toBe(1);
        }
      });
    }
  });
}
