import { expect, test } from "vitest";
import {
  bytes,
  CALL,
  describeFor,
  type Harness,
  NAMESPACE,
  setTexts,
  testBatch,
  texts,
  useOpenStore,
} from "./harness.ts";
import { keysIn, scanPages } from "./scan.ts";

/** Entries that expire. The harness moves the clock, so the times are exact. */
export function describeExpiry(harness: Harness): void {
  describeFor(harness, ["entries", "scans", "clock"], "expiry", () => {
    const store = useOpenStore(harness);

    test("an entry is there until its time, and not at it", async () => {
      const { entries, advance } = store();
      await setTexts(entries, { a: "1" }, { ttlMs: 1000 });
      await advance(999);
      expect(texts(await entries.get(NAMESPACE, ["a"], CALL))).toEqual(["1"]);
      await advance(1);
      expect(await entries.get(NAMESPACE, ["a"], CALL)).toEqual([undefined]);
    });

    test("an expired entry is invisible to every call", async () => {
      const { entries, scans, advance } = store();
      await setTexts(entries, { a: "1", c: "3" });
      await setTexts(entries, { b: "2" }, { ttlMs: 1000 });
      expect(await scans.count(NAMESPACE, "", CALL)).toBe(3);
      await advance(1000);
      expect(await entries.get(NAMESPACE, ["b"], CALL)).toEqual([undefined]);
      expect(await entries.exists(NAMESPACE, ["b"], CALL)).toEqual([false]);
      const all = { prefix: "", after: undefined, maxEntries: 10, maxBytes: 1e6 };
      expect((await scans.scanPage(NAMESPACE, { ...all, keysOnly: true }, CALL)).keys).toEqual(["a", "c"]);
      expect(texts((await scans.scanPage(NAMESPACE, { ...all, keysOnly: false }, CALL)).values)).toEqual([
        "1",
        "3",
      ]);
      expect(await scans.count(NAMESPACE, "", CALL)).toBe(2);
      expect(await scans.count(NAMESPACE, "b", CALL)).toBe(0);
    });

    test("a page tells times to live if it is asked, or nothing of them", async () => {
      const { entries, scans, advance } = store();
      await setTexts(entries, { a: "1", c: "3" });
      await setTexts(entries, { b: "2" }, { ttlMs: 3_600_000 });
      await advance(1000);
      const query = { prefix: "", after: undefined, maxEntries: 10, maxBytes: 1e6, keysOnly: false };
      expect(await scans.scanPage(NAMESPACE, query, CALL)).not.toHaveProperty("ttlsMs");
      const { keys, ttlsMs } = await scans.scanPage(NAMESPACE, { ...query, withTtls: true }, CALL);
      expect(keys).toEqual(["a", "b", "c"]);
      if (ttlsMs !== undefined) {
        const [a, b, c, ...others] = ttlsMs;
        expect([a, c, ...others]).toEqual([0, 0]);
        expect(b).toBeGreaterThan(3_000_000);
        expect(b).toBeLessThanOrEqual(3_599_000);
      }
    });

    test("deleting an expired entry finds nothing, before anything else has seen it", async () => {
      const { entries, advance } = store();
      await setTexts(entries, { a: "1" }, { ttlMs: 1000 });
      await advance(1000);
      expect(await entries.delete(NAMESPACE, ["a"], CALL)).toEqual([false]);
    });

    test("a write without an expiry clears an older one", async () => {
      const { entries, advance } = store();
      await setTexts(entries, { a: "1" }, { ttlMs: 1000 });
      await setTexts(entries, { a: "2" });
      await advance(1_000_000);
      expect(texts(await entries.get(NAMESPACE, ["a"], CALL))).toEqual(["2"]);
    });

    test("a write replaces an older expiry, with a later or a sooner one", async () => {
      const { entries, scans, advance } = store();
      await setTexts(entries, { later: "1", sooner: "1" }, { ttlMs: 1000 });
      await setTexts(entries, { later: "2" }, { ttlMs: 5000 });
      await setTexts(entries, { sooner: "2" }, { ttlMs: 500 });
      await advance(500);
      expect(texts(await entries.get(NAMESPACE, ["later", "sooner"], CALL))).toEqual(["2", undefined]);
      await advance(4499);
      expect(await scans.count(NAMESPACE, "", CALL)).toBe(1);
      await advance(1);
      expect(await scans.count(NAMESPACE, "", CALL)).toBe(0);
    });

    test("a key that was deleted and written again does not expire with its first life", async () => {
      const { entries, scans, advance } = store();
      await setTexts(entries, { a: "1" }, { ttlMs: 1000 });
      await entries.delete(NAMESPACE, ["a"], CALL);
      await setTexts(entries, { a: "2" });
      await advance(1000);
      expect(await scans.count(NAMESPACE, "", CALL)).toBe(1);
      expect(texts(await entries.get(NAMESPACE, ["a"], CALL))).toEqual(["2"]);
    });

    test("an expired key can be written again", async () => {
      const { entries, scans, advance } = store();
      await setTexts(entries, { a: "1" }, { ttlMs: 1000 });
      await advance(1000);
      await setTexts(entries, { a: "2" });
      expect(texts(await entries.get(NAMESPACE, ["a"], CALL))).toEqual(["2"]);
      expect(await scans.count(NAMESPACE, "", CALL)).toBe(1);
      await advance(1_000_000);
      expect(texts(await entries.get(NAMESPACE, ["a"], CALL))).toEqual(["2"]);
    });

    test("of two writes to one key in a batch the later one's expiry counts", async () => {
      const { entries, advance } = store();
      const write = (key: string, ttlMs: number) => ({ key, value: bytes("1"), ttlMs });
      await entries.set(NAMESPACE, [write("a", 1000), write("a", 0), write("b", 0), write("b", 1000)], CALL);
      await advance(1000);
      expect(await entries.exists(NAMESPACE, ["a", "b"], CALL)).toEqual([true, false]);
    });

    test("the longest life does not overflow", async () => {
      const { entries, advance } = store();
      await setTexts(entries, { a: "1" }, { ttlMs: harness.maxTtlMs });
      await advance(harness.maxTtlMs - 1);
      expect(await entries.exists(NAMESPACE, ["a"], CALL)).toEqual([true]);
      await advance(1);
      expect(await entries.exists(NAMESPACE, ["a"], CALL)).toEqual([false]);
    });

    test("expired entries in between are not there, in both directions", async () => {
      const { entries, scans, advance } = store();
      const keys = Array.from({ length: 60 }, (_, i) => `k${String(i).padStart(2, "0")}`);
      const staying = keys.filter((_, i) => i % 7 === 3);
      const writes = keys.map((key) => ({
        key,
        value: bytes(""),
        ttlMs: staying.includes(key) ? 0 : 1000,
      }));
      await entries.set(NAMESPACE, writes, CALL);
      await advance(1000);
      for (const reverse of [false, true]) {
        const range = { prefix: "", start: "k05", end: "k55", reverse };
        for (const maxEntries of [1, 2, 1000]) {
          const pages = await scanPages(scans, { ...range, maxEntries });
          expect(pages.flatMap((page) => page.keys)).toEqual(keysIn(range, staying));
        }
      }
    });

    testBatch(harness, "a scan gets past thousands of expired entries", async () => {
      const { entries, scans, advance } = store();
      const expiring = Array.from({ length: 6000 }, (_, i) => [`b${String(i).padStart(4, "0")}`, ""]);
      await setTexts(entries, Object.fromEntries(expiring), { ttlMs: 1000 });
      await setTexts(entries, { a: "first", c: "last" });
      await advance(1000);
      const found: string[] = [];
      let after: string | undefined;
      do {
        const query = { prefix: "", after, maxEntries: 100, maxBytes: 1e6, keysOnly: true };
        const page = await scans.scanPage(NAMESPACE, query, CALL);
        found.push(...page.keys);
        after = page.next;
      } while (after !== undefined);
      expect(found).toEqual(["a", "c"]);
      expect(await scans.count(NAMESPACE, "", CALL)).toBe(2);
    });
  });
}
