import { expect, test } from "vitest";
import type { ListStore } from "../contract.ts";
import type { ListEnd } from "../lists.ts";
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

function push(
  lists: ListStore,
  key: string,
  end: ListEnd,
  values: readonly string[],
): Promise<readonly number[]> {
  const pushes = values.map((value) => ({ key, end, value: bytes(value) }));
  return answersOf(lists.push(NAMESPACE, pushes, CALL));
}

async function pop(lists: ListStore, key: string, end: ListEnd, times = 1): Promise<(string | undefined)[]> {
  return texts(
    await lists.pop(
      NAMESPACE,
      Array.from({ length: times }, () => ({ key, end })),
      CALL,
    ),
  );
}

/** Double-ended queues: order, emptiness, and many callers at once. */
export function describeLists(harness: Harness): void {
  describeFor(harness, ["lists"], "lists", () => {
    const store = useOpenStore(harness);
    describeEnds();
    describeMany();

    function describeEnds(): void {
      test("an absent list is empty", async () => {
        const { lists } = store();
        expect(await lists.length(NAMESPACE, ["a"], CALL)).toEqual([0]);
        expect(await pop(lists, "a", "left")).toEqual([undefined]);
        expect(await pop(lists, "a", "right")).toEqual([undefined]);
      });

      test.each([
        ["right", "left", ["1", "2", "3"]],
        ["left", "right", ["1", "2", "3"]],
        ["right", "right", ["3", "2", "1"]],
        ["left", "left", ["3", "2", "1"]],
      ] as const)("pushed on the %s and popped from the %s", async (pushEnd, popEnd, wanted) => {
        const { lists } = store();
        expect(await push(lists, "a", pushEnd, ["1", "2", "3"])).toEqual([1, 2, 3]);
        expect(await lists.length(NAMESPACE, ["a"], CALL)).toEqual([3]);
        expect(await pop(lists, "a", popEnd, 4)).toEqual([...wanted, undefined]);
      });

      test("both ends at once", async () => {
        const { lists } = store();
        await push(lists, "a", "right", ["c", "d"]);
        await push(lists, "a", "left", ["b", "a"]);
        expect(await pop(lists, "a", "right")).toEqual(["d"]);
        expect(await pop(lists, "a", "left")).toEqual(["a"]);
        expect(await push(lists, "a", "left", ["x"])).toEqual([3]);
        expect(await pop(lists, "a", "left", 3)).toEqual(["x", "b", "c"]);
      });

      test("an emptied list is gone and can begin again", async () => {
        const { lists } = store();
        for (const end of ["left", "right"] as const) {
          await push(lists, "a", "right", ["1", "2"]);
          expect(await pop(lists, "a", end, 3)).toHaveLength(3);
          expect(await lists.length(NAMESPACE, ["a"], CALL)).toEqual([0]);
          expect(await push(lists, "a", end, ["9"])).toEqual([1]);
          expect(await pop(lists, "a", "left")).toEqual(["9"]);
        }
      });

      test("empty, binary and large values", async () => {
        const { lists } = store();
        const values = [
          new Uint8Array(0),
          Uint8Array.of(0, 255, 128),
          new Uint8Array(4 * 1024 * 1024).fill(7),
        ];
        await lists.push(
          NAMESPACE,
          values.map((value) => ({ key: "a", end: "right" as const, value })),
          CALL,
        );
        for (const value of values) {
          const [found] = await answersOf(lists.pop(NAMESPACE, [{ key: "a", end: "left" }], CALL));
          expect(Buffer.compare(present(found), value)).toBe(0);
        }
      });

      test("the value is copied", async () => {
        const { lists } = store();
        const request = Buffer.from("before value after");
        const pushed = lists.push(
          NAMESPACE,
          [{ key: "a", end: "left", value: request.subarray(7, 12) }],
          CALL,
        );
        request.fill("x");
        await pushed;
        expect(await pop(lists, "a", "left")).toEqual(["value"]);
      });

      test("lists, entries and namespaces do not see each other", async () => {
        const { backend, lists } = store();
        for (const namespace of NAMESPACES) {
          await lists.push(namespace, [{ key: "b", end: "left", value: bytes(namespace) }], CALL);
        }
        if (backend.entries !== undefined) {
          expect(await backend.entries.exists(NAMESPACE, ["b"], CALL)).toEqual([false]);
          await setTexts(backend.entries, { c: "1" });
          expect(await lists.length(NAMESPACE, ["c"], CALL)).toEqual([0]);
          expect(await backend.entries.delete(NAMESPACE, ["b"], CALL)).toEqual([false]);
        }
        for (const namespace of NAMESPACES) {
          expect(texts(await lists.pop(namespace, [{ key: "b", end: "right" }], CALL))).toEqual([namespace]);
        }
      });

      test("awkward keys are each their own", async () => {
        const { lists } = store();
        const pushes = AWKWARD_KEYS.map((key, i) => ({ key, end: "left" as const, value: bytes(String(i)) }));
        await lists.push(NAMESPACE, pushes, CALL);
        expect(await lists.length(NAMESPACE, AWKWARD_KEYS, CALL)).toEqual(AWKWARD_KEYS.map(() => 1));
        const pops = AWKWARD_KEYS.map((key) => ({ key, end: "left" as const }));
        expect(texts(await lists.pop(NAMESPACE, pops, CALL))).toEqual(AWKWARD_KEYS.map((_, i) => String(i)));
      });
    }

    function describeMany(): void {
      test("a batch over several lists is answered in order", async () => {
        const { lists } = store();
        const value = bytes("1");
        const pushes = (["a", "b", "a", "c", "a"] as const).map((key) => ({
          key,
          end: "right" as const,
          value,
        }));
        expect(await lists.push(NAMESPACE, pushes, CALL)).toEqual([1, 1, 2, 1, 3]);
        expect(await lists.length(NAMESPACE, ["c", "x", "a", "b", "a"], CALL)).toEqual([1, 0, 3, 1, 3]);
        const pops = (["b", "b", "a", "x"] as const).map((key) => ({ key, end: "left" as const }));
        expect(texts(await lists.pop(NAMESPACE, pops, CALL))).toEqual(["1", undefined, "1", undefined]);
        expect(await lists.push(NAMESPACE, [], CALL)).toEqual([]);
        expect(await lists.pop(NAMESPACE, [], CALL)).toEqual([]);
        expect(await lists.length(NAMESPACE, [], CALL)).toEqual([]);
      });

      testBatch(harness, "a list of ten thousand", async () => {
        const { lists } = store();
        const values = Array.from({ length: 10_000 }, (_, i) => String(i));
        expect((await push(lists, "a", "right", values)).at(-1)).toBe(10_000);
        expect(await pop(lists, "a", "left", 5000)).toEqual(values.slice(0, 5000));
        expect(await pop(lists, "a", "right", 5001)).toEqual([...values.slice(5000).reverse(), undefined]);
      });

      test("pushes and pops of many callers at once: each value comes out once", async () => {
        const { lists } = store();
        const pushed: string[] = [];
        const popped: (string | undefined)[] = [];
        const pusher = async (id: number) => {
          for (let i = 0; i < 20; i++) {
            pushed.push(`${id}:${i}`);
            await push(lists, "a", i % 2 === 0 ? "left" : "right", [`${id}:${i}`]);
          }
        };
        const popper = async (id: number) => {
          for (let i = 0; i < 20; i++) {
            popped.push(...(await pop(lists, "a", id % 2 === 0 ? "left" : "right")));
          }
        };
        await Promise.all([
          ...Array.from({ length: 8 }, (_, id) => pusher(id)),
          ...Array.from({ length: 8 }, (_, id) => popper(id)),
        ]);
        const [left] = await answersOf(lists.length(NAMESPACE, ["a"], CALL));
        popped.push(...(await pop(lists, "a", "left", left)));
        expect(popped.filter((value) => value !== undefined).sort()).toEqual(pushed.sort());
        expect(await lists.length(NAMESPACE, ["a"], CALL)).toEqual([0]);
      });

      test("the pushes of one caller come out in their order, whoever else pushes", async () => {
        const { lists } = store();
        const values = (id: number) => Array.from({ length: 20 }, (_, i) => `${id}:${i}`);
        const pusher = async (id: number) => {
          for (const value of values(id)) {
            await push(lists, "a", "right", [value]);
          }
        };
        await Promise.all([0, 1, 2, 3].map(pusher));
        const popped = await pop(lists, "a", "left", 80);
        for (const id of [0, 1, 2, 3]) {
          expect(popped.filter((value) => value?.startsWith(`${id}:`) === true)).toEqual(values(id));
        }
      });
    }
  });
}
