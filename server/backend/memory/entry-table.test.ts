import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MAX_INLINE_BYTES } from "./cells.ts";
import { EntryTable } from "./entry-table.ts";
import { SEGMENT_BYTES } from "./segments.ts";

const VALUE = new Uint8Array(1);

describe("EntryTable", () => {
  test("gives back the room of expired entries, a slice at a time", () => {
    const table = new EntryTable();
    for (let i = 0; i < 2000; i++) {
      table.set(`k${i}`, VALUE, i < 1500 ? 10 : 20, 1);
    }
    expect(table.reclaim(9)).toBe(10);
    expect(table.size).toBe(2000);
    const sizes: number[] = [];
    while (table.reclaim(10) === 10) {
      sizes.push(table.size);
    }
    expect(sizes).toEqual([1744, 1488, 1232, 976, 720]);
    expect(table.size).toBe(500);
    expect(table.count("")).toBe(500);
  });

  test("a page tells how long its entries still live", () => {
    const table = new EntryTable();
    table.set("a", VALUE, undefined, 1);
    table.set("b", VALUE, 25, 1);
    table.set("c", VALUE, 10, 1);
    table.set("d", VALUE, undefined, 1);
    const query = { prefix: "", after: undefined, maxEntries: 2, maxBytes: 1e6, keysOnly: false };
    const { keys, ttlsMs } = table.page({ ...query, withTtls: true }, 10);
    expect(keys).toEqual(["a", "b"]);
    expect(ttlsMs).toEqual(Float64Array.of(0, 15));
  });

  test("an older expiry does not delete a key that was written again", () => {
    const table = new EntryTable();
    table.set("never", VALUE, 10, 1);
    table.set("later", VALUE, 10, 1);
    table.set("reborn", VALUE, 10, 1);
    table.set("never", VALUE, undefined, 2);
    table.set("later", VALUE, 15, 2);
    table.delete("reborn", 5);
    table.set("reborn", VALUE, undefined, 2);
    expect(table.reclaim(10)).toBe(15);
    expect(table.size).toBe(3);
    expect(table.reclaim(15)).toBeUndefined();
    expect(["never", "later", "reborn"].map((key) => table.has(key, 15))).toEqual([true, false, true]);
  });

  test("a page passes over a bounded number of expired entries", () => {
    const table = new EntryTable();
    for (let i = 0; i < 3000; i++) {
      table.set(`k${String(i).padStart(4, "0")}`, VALUE, 10, 1);
    }
    table.set("z", VALUE, undefined, 1);
    const query = { prefix: "", after: undefined, maxEntries: 1, maxBytes: 1, keysOnly: true };
    const page = table.page(query, 10);
    expect([page.keys, page.next]).toEqual([[], "k1023"]);
    const last = table.page({ ...query, after: "k2500" }, 10);
    expect([last.keys, last.next]).toEqual([["z"], undefined]);
  });

  test("random steps: answers as a Map does, and nothing that was handed out changes", {
    timeout: 120_000,
  }, () => {
    const key = fc.nat(150).map((i) => `k${i % 7}${"é".repeat(i % 5)}${i}`);
    const bytes = fc.constantFrom(0, 1, 100, 103, 104, 3000, MAX_INLINE_BYTES, MAX_INLINE_BYTES + 1, 9000);
    const step = fc.record({
      keys: fc.array(key, { minLength: 1, maxLength: 40, size: "max" }),
      bytes,
      ttlMs: fc.constantFrom(0, 0, 5, 50),
      do: fc.constantFrom("set", "set", "set", "touch", "delete", "page", "reclaim"),
    });
    const options = fc.constantFrom(
      {},
      { hash: () => 7 },
      { hash: (key: { length: number }) => -key.length },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: "max" }), options, (steps, options) => {
        const table = new EntryTable(options);
        const model = new Map<string, { value: Buffer; expiresAtMs: number | undefined; version: number }>();
        const handedOut: { is: Iterable<Uint8Array>; was: Buffer[] }[] = [];
        steps.forEach(({ keys, bytes, ttlMs, do: what }, nowMs) => {
          const held = (key: string) => {
            const entry = model.get(key);
            return entry !== undefined && (entry.expiresAtMs ?? Infinity) > nowMs ? entry : undefined;
          };
          const live = (key: string) => held(key)?.value;
          const expiresAtMs = ttlMs === 0 ? undefined : nowMs + ttlMs;
          // Versions use all bits that a safe integer has.
          const version = Number.MAX_SAFE_INTEGER - nowMs * 0x9999_9999;
          if (what === "set") {
            for (const key of keys) {
              const value = Buffer.alloc(bytes, `${nowMs}${key}`);
              table.set(key, value, expiresAtMs, version);
              model.set(key, { value, expiresAtMs, version });
            }
          } else if (what === "touch") {
            for (const key of keys) {
              const entry = held(key);
              if (entry !== undefined) {
                table.touch(key, expiresAtMs, version);
                model.set(key, { value: entry.value, expiresAtMs, version });
              }
            }
          } else if (what === "delete") {
            for (const key of keys) {
              expect(table.delete(key, nowMs)).toBe(live(key) !== undefined);
              model.delete(key);
            }
          } else if (what === "page") {
            const wanted = [...model.keys()]
              .filter((key) => key.startsWith("k3") && live(key) !== undefined)
              .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
            const query = {
              prefix: "k3",
              after: undefined,
              maxEntries: 1000,
              maxBytes: 1e9,
              keysOnly: false,
            };
            const page = table.page(query, nowMs);
            expect(page.keys).toEqual(wanted);
            const was = wanted.map((key) => live(key) ?? Buffer.alloc(0));
            expect(Buffer.concat([...page.values]).equals(Buffer.concat(was))).toBe(true);
            handedOut.push({ is: page.values, was });
          } else {
            table.reclaim(nowMs);
          }
          for (const key of keys) {
            const value = table.get(key, nowMs);
            const wanted = live(key);
            expect(table.has(key, nowMs)).toBe(wanted !== undefined);
            expect(value === undefined ? undefined : Buffer.from(value)).toEqual(wanted);
            const found = table.look(key, nowMs);
            expect(
              found && {
                value: Buffer.from(found.value),
                version: found.version,
                expiresAtMs: found.expiresAtMs,
              },
            ).toEqual(held(key));
            if (value !== undefined && wanted !== undefined) {
              handedOut.push({ is: [value], was: [wanted] });
            }
          }
        });
        for (const { is, was } of handedOut) {
          expect(Buffer.concat([...is]).equals(Buffer.concat(was))).toBe(true);
        }
        for (const key of model.keys()) {
          table.delete(key, 0);
        }
        expect([table.size, table.count(""), table.bytes]).toEqual([0, 0, SEGMENT_BYTES]);
      }),
      { numRuns: Number(process.env.PRISM_TEST_RUNS ?? 40) },
    );
  });

  test("entries that are rewritten with other sizes again and again take at most about twice their room", () => {
    const table = new EntryTable();
    const COUNT = 20_000;
    let most = 0;
    for (let round = 0; round < 12; round++) {
      const value = new Uint8Array([100, 300, 50, 200][round % 4] ?? 0).fill(round);
      for (let i = 0; i < COUNT; i++) {
        table.set(`key:${(i * 7919) % COUNT}`, value, undefined, round + 1);
      }
      most = Math.max(most, table.bytes);
    }
    // The largest round has 332 bytes for each entry.
    expect(most).toBeLessThan(2.1 * COUNT * 332);
    for (let i = 0; i < COUNT; i++) {
      expect(table.get(`key:${i}`, 0)).toEqual(Buffer.alloc(200, 11));
    }
  });

  test("few that are left among many that are gone take little room", () => {
    const table = new EntryTable();
    const value = new Uint8Array(100);
    for (let i = 0; i < 100_000; i++) {
      table.set(`key:${i}`, value, i % 50 === 0 ? undefined : 10, 1);
    }
    expect(table.bytes).toBeGreaterThan(100_000 * 116);
    while (table.reclaim(10) !== undefined) {}
    expect(table.size).toBe(2000);
    expect(table.bytes).toBeLessThanOrEqual(3 * SEGMENT_BYTES);
    for (let i = 0; i < 100_000; i += 50) {
      expect(table.get(`key:${i}`, 10)?.length).toBe(100);
    }
  });

  test("a full table says so beforehand, and takes writes again when something is deleted", () => {
    const table = new EntryTable({ maxSegments: 3 });
    const value = new Uint8Array(MAX_INLINE_BYTES);
    let written = 0;
    while (table.hasRoom(1)) {
      table.set(`key:${written++}`, value, undefined, 1);
    }
    expect(written).toBeGreaterThan(500);
    expect(table.hasRoom(1)).toBe(false);
    for (let i = 0; i < written; i++) {
      expect(table.delete(`key:${i}`, 0)).toBe(true);
    }
    expect(table.hasRoom(1)).toBe(true);
    expect(table.bytes).toBe(SEGMENT_BYTES);
  });
});
