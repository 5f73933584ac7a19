import { expect, test } from "vitest";
import { RecordTable } from "./record-table.ts";

const NOTHING = new Uint8Array(0);

test("expired items and empty records give their room back", () => {
  const table = new RecordTable();
  for (let i = 0; i < 1000; i++) {
    const key = Buffer.from(String(i));
    table.put(`r${i % 10}`, { key, value: NOTHING, metadata: NOTHING, ttlMs: 1 + (i % 2) }, 0);
  }
  expect(table.size).toBe(10);
  let next: number | undefined = 1;
  for (let slices = 0; next === 1 && slices < 10; slices++) {
    next = table.reclaim(1);
  }
  expect(next).toBe(2);
  expect(table.size).toBe(5);
  while (table.reclaim(2) !== undefined) {}
  expect(table.size).toBe(0);
});

test("an item that is written again expires once, at its last time", () => {
  const table = new RecordTable();
  const item = { key: Buffer.from("a"), value: NOTHING, metadata: NOTHING };
  for (const ttlMs of [1, 5, 0, 9]) {
    table.put("r", { ...item, ttlMs }, 0);
  }
  expect(table.reclaim(8)).toBe(9);
  expect(table.size).toBe(1);
  expect(table.reclaim(9)).toBe(undefined);
  expect(table.size).toBe(0);
});
