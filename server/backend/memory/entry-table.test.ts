import { describe, expect, test } from "vitest";
import { EntryTable } from "./entry-table.ts";

const VALUE = new Uint8Array(1);

describe("EntryTable", () => {
  test("gives back the room of expired entries, a slice at a time", () => {
    const table = new EntryTable();
    for (let i = 0; i < 2000; i++) table.set({ key: `k${i}`, value: VALUE, ttlMs: i < 1500 ? 10 : 20 }, 0);
    expect(table.reclaim(9)).toBe(10);
    expect(table.size).toBe(2000);
    const sizes: number[] = [];
    while (table.reclaim(10) === 10) sizes.push(table.size);
    expect(sizes).toEqual([1744, 1488, 1232, 976, 720]);
    expect(table.size).toBe(500);
    expect(table.count("")).toBe(500);
  });

  test("an older expiry does not delete a key that was written again", () => {
    const table = new EntryTable();
    table.set({ key: "never", value: VALUE, ttlMs: 10 }, 0);
    table.set({ key: "later", value: VALUE, ttlMs: 10 }, 0);
    table.set({ key: "reborn", value: VALUE, ttlMs: 10 }, 0);
    table.set({ key: "never", value: VALUE, ttlMs: 0 }, 5);
    table.set({ key: "later", value: VALUE, ttlMs: 10 }, 5);
    table.delete("reborn", 5);
    table.set({ key: "reborn", value: VALUE, ttlMs: 0 }, 5);
    expect(table.reclaim(10)).toBe(15);
    expect(table.size).toBe(3);
    expect(table.reclaim(15)).toBeUndefined();
    expect(["never", "later", "reborn"].map((key) => table.has(key, 15))).toEqual([true, false, true]);
  });

  test("a page passes over a bounded number of expired entries", () => {
    const table = new EntryTable();
    for (let i = 0; i < 3000; i++)
      table.set({ key: `k${String(i).padStart(4, "0")}`, value: VALUE, ttlMs: 10 }, 0);
    table.set({ key: "z", value: VALUE, ttlMs: 0 }, 0);
    const query = { prefix: "", after: undefined, maxEntries: 1, maxBytes: 1, keysOnly: true };
    const page = table.page(query, 10);
    expect([page.keys, page.next]).toEqual([[], "k1023"]);
    const last = table.page({ ...query, after: "k2500" }, 10);
    expect([last.keys, last.next]).toEqual([["z"], undefined]);
  });
});
