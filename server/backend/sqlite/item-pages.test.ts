import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { CALL } from "../conformance/harness.ts";
import { createManualClock } from "../conformance/manual-clock.ts";
import { createCall } from "../contract.ts";
import type { ItemPage, ItemRange } from "../records.ts";
import { createItemPages } from "./item-pages.ts";
import type { Operation } from "./operation.ts";
import { createReader } from "./reader.ts";
import { createTestDatabase } from "./testing.ts";

const ITEMS = 5000;
const ALL = {
  id: "r",
  start: undefined,
  end: undefined,
  after: undefined,
  maxItems: 10_001,
  maxBytes: 2 ** 22,
};

const keyOf = (i: number) => Buffer.from(String(i).padStart(5, "0"));

/** Gives items of a record a value. */
function put(value: string, places: readonly number[], id = "r", namespace = "n"): Operation {
  const items = places.map((i) => {
    return { key: keyOf(i), value: Buffer.from(value), metadata: new Uint8Array(0), ttlMs: 0 };
  });
  return { type: "putItems", namespace, items: [{ id, items }] };
}

const valuesOf = ({ items }: ItemPage) => items.map(({ value }) => Buffer.from(value).toString());

/** A record of {@link ITEMS} items "old", and its pages. `steps` has the items of each look. */
async function openRecord() {
  const database = await createTestDatabase();
  onTestFinished(() => database[Symbol.asyncDispose]());
  const { apply } = database;
  apply([put("old", [...Array(ITEMS).keys()])], 0);
  const { records } = createReader(database.reader);
  const steps: number[] = [];
  const page = (namespace: string, range: ItemRange, nowMs: number) => {
    const found = records.page(namespace, range, nowMs);
    steps.push(found.items.length);
    return found;
  };
  return { apply, steps, pages: createItemPages({ page }, createManualClock()) };
}

test("a large page takes a turn for each step, and is whole", async () => {
  const { pages, steps } = await openRecord();
  let turns = 0;
  let isDone = false;
  const reading = pages.read("n", ALL, CALL).finally(() => (isDone = true));
  while (!isDone) {
    await nextTurn();
    turns++;
  }
  const page = await reading;
  expect(page.next).toBeUndefined();
  expect(page.items.map(({ key }) => Buffer.from(key))).toEqual([...Array(ITEMS).keys()].map(keyOf));
  expect(steps).toEqual([1024, 1024, 1024, 1024, 904]);
  expect(turns).toBeGreaterThanOrEqual(4);
});

test("it ends where it is full, and the next one goes on there", async () => {
  const { pages } = await openRecord();
  const first = await pages.read("n", { ...ALL, maxItems: 1500 }, CALL);
  const second = await pages.read("n", { ...ALL, after: first.next, maxBytes: 200_000 }, CALL);
  // An item has 72 bytes.
  expect([first.items.length, second.items.length]).toEqual([1500, Math.ceil(200_000 / 72)]);
  expect(second.items[0]?.key).toEqual(new Uint8Array(keyOf(1500)));
});

test("several are read one after another, and one who leaves holds up none", async () => {
  const { pages, steps } = await openRecord();
  const leaving = new AbortController();
  const waiting = new AbortController();
  const reads = [
    pages.read("n", ALL, createCall(leaving.signal)),
    pages.read("n", ALL, createCall(waiting.signal)),
    pages.read("n", ALL, CALL),
  ];
  const results = Promise.allSettled(reads);
  leaving.abort();
  waiting.abort();
  const [first, second, third] = await results;
  expect([first?.status, second?.status]).toEqual(["rejected", "rejected"]);
  expect(third?.status === "fulfilled" && third.value.items.length).toBe(ITEMS);
  // Each reads its first step at once.
  expect(steps).toEqual([1024, 1024, 1024, 1024, 1024, 1024, 1024, 904]);
});

const group: Operation[] = [put("new", [0, ITEMS - 1])];

test.each([
  ["begins and ends between two steps", [], group],
  ["is under way from the start", group, []],
])("a group of writes that %s is seen wholly or not at all", async (_, before, between) => {
  const { pages, apply, steps } = await openRecord();
  pages.sending(before, 0);
  const reading = pages.read("n", ALL, CALL);
  pages.sending(between, 0);
  apply(group, 0);
  pages.answered();
  const values = valuesOf(await reading);
  expect([values[0], values[1], values.at(-1)]).toEqual(["new", "old", "new"]);
  expect(steps).toEqual([1024, ITEMS]);
});

test.each<[string, boolean, Operation]>([
  [
    "deletes items of it",
    true,
    { type: "deleteItems", namespace: "n", items: [{ id: "r", keys: undefined, maxItems: 1 }] },
  ],
  [
    "swaps an item of it",
    true,
    {
      type: "swapItem",
      namespace: "n",
      items: [{ id: "r", key: keyOf(0), expected: undefined, value: keyOf(0) }],
    },
  ],
  ["sweeps", true, { type: "sweep", maxEntries: 1 }],
  ["erases its namespace", true, { type: "erase", namespace: "n", maxItems: 1 }],
  ["erases another namespace", false, { type: "erase", namespace: "m", maxItems: 1 }],
  ["puts items to another record", false, put("new", [0], "s")],
  ["puts items to it in another namespace", false, put("new", [0], "r", "m")],
  ["deletes an entry of its name", false, { type: "delete", namespace: "n", items: ["r"] }],
])("a group that %s makes it begin anew: %s", async (_, isStale, operation) => {
  const { pages, steps } = await openRecord();
  const reading = pages.read("n", ALL, CALL);
  pages.sending([operation], 0);
  await reading;
  expect(steps.length).toBe(isStale ? 2 : 5);
});

test("a store that is closed meanwhile fails it, and those that wait", async () => {
  const { pages } = await openRecord();
  const reads = Promise.allSettled([pages.read("n", ALL, CALL), pages.read("n", ALL, CALL)]);
  pages.close();
  expect(await reads).toMatchObject([
    { status: "rejected", reason: { reason: "store_unavailable" } },
    { status: "rejected", reason: { reason: "store_unavailable" } },
  ]);
});
