import { expect, test } from "vitest";
import { CallTimes } from "./times.ts";

const OPERATION = { store: "memory", method: "get" };

/** Times whose parts began and ended at these milliseconds. */
function setUp(
  parts: readonly (readonly [kind: "store" | "queue", startMs: number, endMs: number | undefined])[],
) {
  const times = new CallTimes();
  for (const [kind] of parts) {
    if (kind === "store") {
      times.store(OPERATION);
    } else {
      times.queue();
    }
  }
  parts.forEach(([, startedAtMs, endedAtMs], i) => {
    Object.assign(times.parts[i] ?? {}, { startedAtMs, endedAtMs });
  });
  return times;
}

test("a wait in a queue is no time of the store", () => {
  const times = setUp([
    ["store", 0, 10],
    ["queue", 1, 5],
    ["store", 20, 21],
  ]);
  expect(times.sums(30)).toEqual({ queueMs: 4, storeMs: 7 });
});

test("what goes on counts until now", () => {
  expect(setUp([["store", 0, undefined]]).sums(30)).toEqual({ queueMs: 0, storeMs: 30 });
  const stuck = setUp([
    ["store", 0, undefined],
    ["queue", 2, undefined],
  ]);
  expect(stuck.sums(30)).toEqual({ queueMs: 28, storeMs: 2 });
});

test("a wait is a part of the store's call that is under way", () => {
  const times = new CallTimes();
  const first = times.store(OPERATION);
  times.queue().end();
  first.end();
  times.queue().end();
  const [store, within, alone] = times.parts;
  expect(within?.within).toBe(store);
  expect(alone?.within).toBeUndefined();
  expect(times.openStore).toBeUndefined();
});

test("a scan of many pages keeps a bounded number of parts", () => {
  const times = new CallTimes();
  for (let i = 0; i < 10_000; i++) {
    times.store(OPERATION).end();
  }
  expect(times.parts.length).toBe(64);
});
