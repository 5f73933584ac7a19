import fc from "fast-check";
import { expect, test } from "vitest";
import { AWKWARD_KEYS } from "../conformance/harness.ts";
import { MAX_INLINE_VALUE_BYTES } from "./large-value.ts";
import { createReadPage, MAX_ROWS_PER_STEP } from "./page.ts";
import { createReader } from "./reader.ts";
import { createTestDatabase } from "./testing.ts";

const NOW_MS = 1000;

const sizes = [0, 1, 300, MAX_INLINE_VALUE_BYTES, MAX_INLINE_VALUE_BYTES + 1];
/** Some of each, in more than one pack. */
const keys = [...AWKWARD_KEYS, ...Array.from({ length: 150 }, (_, i) => `key ${i}`)];
const entryArbitrary = fc.record({
  key: fc.constantFrom(...keys),
  size: fc.constantFrom(...sizes),
  /** 0 = never. */
  expiresAtMs: fc.constantFrom(0, NOW_MS, NOW_MS + 1),
});

test("pages hold the live entries in order, each as few as it may and as many as it can", async () => {
  await using database = await createTestDatabase();
  const { writer, apply } = database;
  const reader = createReader(database.reader);
  fc.assert(
    fc.property(
      fc.uniqueArray(entryArbitrary, { selector: ({ key }) => key, maxLength: 200, size: "max" }),
      fc.constantFrom(1, 3, 64, 65, 1000),
      fc.constantFrom(1, 5000, 2 ** 18),
      fc.boolean(),
      fc.boolean(),
      (entries, maxEntries, maxBytes, keysOnly, reverse) => {
        writer.exec("PRAGMA synchronous = OFF; DELETE FROM entry");
        const writes = entries.map(({ key, size, expiresAtMs }) => ({
          key,
          value: Buffer.alloc(size, key),
          ttlMs: expiresAtMs,
        }));
        apply([{ type: "set", namespace: "n", items: writes }], 0);
        const live = entries
          .filter(({ expiresAtMs }) => expiresAtMs !== NOW_MS)
          .toSorted((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
        const seen: string[] = [];
        for (let after: string | undefined, more = true; more; ) {
          const query = { prefix: "", reverse, after, maxEntries, maxBytes, keysOnly };
          const page = reader.page("n", query, NOW_MS);
          const sizesOf = page.keys.map((key) => live.find((entry) => entry.key === key)?.size ?? Number.NaN);
          const bytesOf = page.keys.map(
            (key, i) => Buffer.byteLength(key) + (keysOnly ? 0 : (sizesOf[i] ?? 0)),
          );
          const allButLast = bytesOf.slice(0, -1).reduce((sum, bytes) => sum + bytes, 0);
          expect(page.keys.length).toBeLessThanOrEqual(maxEntries);
          expect(allButLast).toBeLessThan(maxBytes);
          expect([...page.values].map(Buffer.from)).toEqual(
            keysOnly ? [] : page.keys.map((key, i) => Buffer.alloc(sizesOf[i] ?? 0, key)),
          );
          const bytes = bytesOf.reduce((sum, each) => sum + each, 0);
          const isFull = page.keys.length === maxEntries || bytes >= maxBytes;
          expect(isFull || page.next === undefined).toBe(true);
          seen.push(...page.keys);
          after = page.next;
          more = after !== undefined;
        }
        const wanted = live.map(({ key }) => key);
        expect(seen).toEqual(reverse ? wanted.toReversed() : wanted);
      },
    ),
    { numRuns: 60 },
  );
});

test("expired entries are passed over in steps, and an entry deleted while its page is read is not in it", async () => {
  await using database = await createTestDatabase();
  const { writer, apply } = database;
  const large = Buffer.alloc(100_000, "v");
  const expired = Array.from({ length: 2 * MAX_ROWS_PER_STEP + 200 }, (_, i) => ({
    key: `a\0é${i}`,
    value: Buffer.from("1"),
    ttlMs: NOW_MS,
  }));
  const others = Array.from({ length: 6 }, (_, i) => ({
    key: `b${i}`,
    value: i % 2 === 0 ? Buffer.from(`${i}`) : large,
    ttlMs: 0,
  }));
  apply([{ type: "set", namespace: "n", items: [...expired, ...others] }], 0);
  const readPage = createReadPage(database.reader, (_, key) => {
    if (key !== "b3") {
      return large;
    }
    writer.exec("DELETE FROM entry WHERE key = CAST('b3' AS BLOB)");
    return undefined;
  });
  const query = { prefix: "", maxEntries: 1000, maxBytes: 2 ** 20, keysOnly: false };
  const first = readPage("n", { ...query, after: undefined }, NOW_MS);
  expect(first.keys).toEqual([]);
  const second = readPage("n", { ...query, after: first.next }, NOW_MS);
  expect(second.keys).toEqual([]);
  const last = readPage("n", { ...query, after: second.next }, NOW_MS);
  expect(last.keys).toEqual(["b0", "b1", "b2", "b4", "b5"]);
  expect([...last.values].map((value) => value.length)).toEqual([1, 100_000, 1, 1, 100_000]);
  expect(last.next).toBeUndefined();
});
