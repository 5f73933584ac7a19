import { describe, expect, test } from "vitest";
import { bytes } from "./conformance/harness.ts";
import { INTERFACES, OPERATIONS, type OperationTable, rowsOf, WRITE_NAMES, WRITES } from "./operations.ts";

const { get: _, ...withoutGet } = OPERATIONS.entries;
// @ts-expect-error: a method of the contract that has no row does not compile.
const LACKS_GET: OperationTable = { ...OPERATIONS, entries: withoutGet };

const { lists: __, ...withoutLists } = OPERATIONS;
// @ts-expect-error: nor does an interface that has none.
const LACKS_LISTS: OperationTable = withoutLists;

const LACKS_KEY: OperationTable = {
  ...OPERATIONS,
  // @ts-expect-error: nor a row that is not of the method's items.
  lists: { ...OPERATIONS.lists, length: OPERATIONS.lists.push },
};

describe("the table of operations", () => {
  test("the compiler refuses a table that lacks something", () => {
    expect("get" in LACKS_GET.entries).toBe(false);
    expect("lists" in LACKS_LISTS).toBe(false);
    expect(LACKS_KEY.lists.length).toBe(OPERATIONS.lists.push);
  });

  test("no two interfaces have a method of one name", () => {
    const names = INTERFACES.flatMap((of) => rowsOf(of).map(([method]) => method));
    expect(new Set(names).size).toBe(names.length);
  });

  test("the writes are those whose rows say so", () => {
    expect(WRITE_NAMES).toEqual([
      ...["set", "delete", "commit", "push", "pop", "trim", "put", "insert", "remove", "move"],
      ...["putItems", "deleteItems", "swapItem", "appendEvents", "createStream", "deleteStream"],
    ]);
    expect(WRITES.pop).toEqual({ of: "lists", row: OPERATIONS.lists.pop });
  });

  test("the kept copy of a write does not change with its request", () => {
    const request = bytes("value");
    const write = { key: "key", value: request, ttlMs: 5 };
    const kept = OPERATIONS.entries.set.kept(write);
    request.fill(0);
    expect(kept).toEqual({ key: "key", value: Buffer.from("value"), ttlMs: 5 });
    expect(OPERATIONS.entries.set.bytesOf(write)).toBe(8);
  });
});
