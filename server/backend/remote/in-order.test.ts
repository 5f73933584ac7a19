import { expect, test } from "vitest";
import { eachInOrder } from "./in-order.ts";

/** Runs items that end when they are told to. */
function start(items: readonly (readonly string[])[]) {
  const begun: number[] = [];
  const ends = new Map<number, () => void>();
  const done = eachInOrder(
    items.map((keys, index) => ({ keys, index })),
    ({ keys }) => keys,
    async ({ index }) => {
      begun.push(index);
      await new Promise<void>((end) => ends.set(index, end));
      return index;
    },
  );
  const end = async (index: number) => {
    ends.get(index)?.();
    await new Promise(setImmediate);
  };
  return { begun, end, done };
}

test("calls that share a key run one after the other, others at the same time", async () => {
  const { begun, end, done } = start([["a"], ["b"], ["a"], ["c"]]);
  expect(begun).toEqual([0, 1, 3]);
  await end(1);
  await end(3);
  expect(begun).toEqual([0, 1, 3]);
  await end(0);
  expect(begun).toEqual([0, 1, 3, 2]);
  await end(2);
  expect(await done).toEqual([0, 1, 2, 3]);
});

test("a call with several keys comes after all earlier ones of its keys, and before the later ones", async () => {
  const { begun, end, done } = start([["a"], ["b"], ["d"], ["b", "a"], ["a", "c"], ["c"]]);
  const order = [0, 1, 3, 4, 5];
  for (const index of order) {
    const before = begun.filter((each) => each !== 2);
    expect(before.toSorted()).toEqual(before);
    expect(before.at(-1)).toBe(index);
    await end(index);
  }
  await end(2);
  expect(await done).toEqual([0, 1, 2, 3, 4, 5]);
});

test("after a failure no more calls begin, and those under way are waited for", async () => {
  const ended: string[] = [];
  const failing = eachInOrder(
    ["a", "b", "a"],
    (key) => [key],
    async (key) => {
      if (key === "a") {
        throw new Error("no");
      }
      await new Promise(setImmediate);
      ended.push(key);
    },
  );
  await expect(failing).rejects.toThrow("no");
  expect(ended).toEqual(["b"]);
});
