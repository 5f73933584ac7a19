import { afterEach, beforeEach, expect, test } from "vitest";
import { keyRange } from "../key-range.ts";
import { createReadGroup } from "./group-keys.ts";
import type { Operation } from "./operation.ts";
import { createTestDatabase, type TestDatabase } from "./testing.ts";

const NOW_MS = 1_000_000;

let database: TestDatabase;
beforeEach(async () => {
  database = await createTestDatabase();
});
afterEach(() => database[Symbol.asyncDispose]());

const set = (namespace: string, ...keys: readonly (readonly [key: string, ttlMs: number])[]): Operation => ({
  type: "set",
  namespace,
  items: keys.map(([key, ttlMs]) => ({ key, ttlMs, value: new Uint8Array(0) })),
});
const all = keyRange({ prefix: "" });

test("the keys of a group in a range that are live at a moment, each once", () => {
  database.apply([set("n", ["a", 0], ["b1", 10], ["b2", 0], ["\u{ffff}", 0], ["\u{10000}", 0])], NOW_MS);
  const group = createReadGroup(database.reader)([
    set("n", ["\u{10000}", 0], ["b2", 0], ["b1", 0], ["none", 0]),
    { type: "delete", namespace: "n", items: ["\u{ffff}", "b1", "b2"] },
    set("other", ["a", 0]),
    { type: "sweep", maxEntries: 1 },
  ]);
  expect(group.liveIn("n", all, NOW_MS)).toBe(4);
  expect(group.liveIn("n", keyRange({ prefix: "b" }), NOW_MS + 9)).toBe(2);
  expect(group.liveIn("n", keyRange({ prefix: "b" }), NOW_MS + 10)).toBe(1);
  expect(group.liveIn("n", keyRange({ prefix: "\u{ffff}" }), NOW_MS)).toBe(1);
  expect(group.liveIn("other", all, NOW_MS)).toBe(0);
  expect(["b", "none", "c", "a"].map((prefix) => group.isAnyIn("n", keyRange({ prefix })))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(group.isAnyIn("nobody's", all)).toBe(false);
});

test("a key is looked at once, however many ask, until the database may be another", () => {
  const write = set("n", ["a", 0], ["b", 0]);
  const group = createReadGroup(database.reader)([write]);
  expect(group.liveIn("n", keyRange({ prefix: "a" }), NOW_MS)).toBe(0);
  database.apply([write], NOW_MS);
  // Keys that were looked up are remembered; others are not.
  expect(group.liveIn("n", all, NOW_MS)).toBe(1);
  group.forget();
  expect(group.liveIn("n", all, NOW_MS)).toBe(2);
});
