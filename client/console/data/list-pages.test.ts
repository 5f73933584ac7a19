import { expect, test } from "vitest";
import { bytesOf } from "./bytes.ts";
import { ListPages } from "./list-pages.ts";

/** A list in this process, which tells what was read. */
function listOf(values: string[]) {
  const ranges: [number, number][] = [];
  return {
    values,
    ranges,
    isAway: false,
    async length() {
      if (this.isAway) {
        throw new Error("away");
      }
      return values.length;
    },
    async *range(_key: string, start = 0, stop = -1) {
      ranges.push([start, stop]);
      yield* values.slice(start, stop + 1).map(bytesOf);
    },
  };
}

const numbers = (count: number) => Array.from({ length: count }, (_, i) => `v${i}`);

test("what is in sight is read, by pages", async () => {
  const list = listOf(numbers(1000));
  const pages = new ListPages(list, "l", () => {});
  await expect.poll(() => pages.length).toBe(1000);
  pages.see(480, 510);
  await expect.poll(() => pages.at(509)?.text).toBe("v509");
  expect(pages.at(450)?.text).toBe("v450");
  expect(pages.at(550)).toBeUndefined();
  expect(list.ranges).toEqual([
    [450, 499],
    [500, 549],
  ]);
});

test("a list that others changed is read again", async () => {
  const list = listOf(numbers(3));
  const pages = new ListPages(list, "l", () => {});
  await expect.poll(() => pages.length).toBe(3);
  pages.see(0, 3);
  await expect.poll(() => pages.at(0)?.text).toBe("v0");
  expect(await pages.look()).toBe(false);
  list.values.unshift("new");
  expect(await pages.look()).toBe(true);
  await expect.poll(() => pages.at(0)?.text).toBe("new");
  expect(pages.length).toBe(4);
});

test("a failure is told, and a later read is none", async () => {
  const list = listOf(numbers(3));
  list.isAway = true;
  const pages = new ListPages(list, "l", () => {});
  await expect.poll(() => pages.problem).toEqual(new Error("away"));
  list.isAway = false;
  pages.see(0, 3);
  pages.refresh();
  await expect.poll(() => pages.at(2)?.text).toBe("v2");
  expect(pages.problem).toBeUndefined();
});

test("few pages are kept", async () => {
  const list = listOf(numbers(50 * 200));
  const pages = new ListPages(list, "l", () => {});
  await expect.poll(() => pages.length).toBe(10_000);
  pages.see(0, 10_000);
  await expect.poll(() => pages.at(98 * 50)).toBeDefined();
  expect(pages.at(99 * 50)).toBeUndefined();
  pages.see(5000, 5100);
  await expect.poll(() => pages.at(5099)).toBeDefined();
  expect(pages.at(0)).toBeUndefined();
});
