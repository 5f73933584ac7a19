import { expect, test } from "vitest";
import type { EntryStore, Page, PageQuery, ScanRange, ScanStore } from "../contract.ts";
import { compareUtf8 } from "../utf8.ts";
import {
  AWKWARD_KEYS,
  bytes,
  CALL,
  describeFor,
  type Harness,
  NAMESPACE,
  NAMESPACES,
  setTexts,
  sortedByBytes,
  testBatch,
  texts,
  useOpenStore,
} from "./harness.ts";

/** A query; a test states only the fields that it is about. */
function query(partial: Partial<PageQuery>): PageQuery {
  return { prefix: "", after: undefined, maxEntries: 1000, maxBytes: 1e9, keysOnly: false, ...partial };
}

/** The keys in a range, in its order: the expected result of a scan. */
export function keysIn(range: ScanRange, keys: Iterable<string>): string[] {
  const { prefix, start, end, reverse = false } = range;
  const found = [...keys].filter(
    (key) =>
      key.startsWith(prefix) &&
      (start === undefined || compareUtf8(key, start) >= 0) &&
      (end === undefined || compareUtf8(key, end) < 0),
  );
  return reverse ? sortedByBytes(found).toReversed() : sortedByBytes(found);
}

/** Reads all pages of a scan and checks their bounds. `between` runs after each page. */
export async function scanPages(
  scans: ScanStore,
  partial: Partial<PageQuery>,
  {
    namespace = NAMESPACE,
    between = async () => {},
  }: { namespace?: string; between?: () => Promise<void> } = {},
): Promise<Page[]> {
  const pages: Page[] = [];
  for (let after = partial.after; ; ) {
    const page = await scans.scanPage(namespace, query({ ...partial, after }), CALL);
    expect(page.keys.length).toBeLessThanOrEqual(partial.maxEntries ?? 1000);
    expect(page.values.length).toBe(partial.keysOnly === true ? 0 : page.keys.length);
    pages.push(page);
    if (page.next === undefined) {
      return pages;
    }
    after = page.next;
    await between();
  }
}

/** The values again, by copying each out. */
function copiesOf({ values }: Page): Buffer[] {
  return Array.from({ length: values.length }, (_, i) => {
    // Larger than needed, so that a misplaced or too long copy shows.
    const target = Buffer.alloc(values.bytesOf(i) + 2, "!");
    values.copyTo(i, target, 1);
    expect(`${target.subarray(0, 1)}${target.subarray(-1)}`).toBe("!!");
    return target.subarray(1, -1);
  });
}

function keysOf(pages: readonly Page[]): string[] {
  return pages.flatMap(({ keys }) => keys);
}

/** Ordered reads: order, prefixes, pages, and scans during writes. */
export function describeScans(harness: Harness): void {
  describeFor(harness, ["entries", "scans"], "scans", () => {
    const store = useOpenStore(harness);
    describeOrderAndPrefixes();
    describePages();
    describeRanges();
    describeChanges();

    function describeOrderAndPrefixes(): void {
      test("an empty namespace is one empty page", async () => {
        const { scans } = store();
        const page = await scans.scanPage(NAMESPACE, query({}), CALL);
        expect({ ...page, values: page.values.length }).toEqual({ keys: [], values: 0, next: undefined });
        expect(await scans.count(NAMESPACE, "", CALL)).toBe(0);
      });

      test("keys come in the order of their bytes, each with its value", async () => {
        const { entries, scans } = store();
        await setTexts(entries, Object.fromEntries(AWKWARD_KEYS.map((key) => [key, `value of ${key}`])));
        const pages = await scanPages(scans, {});
        const sorted = sortedByBytes(AWKWARD_KEYS);
        expect(keysOf(pages)).toEqual(sorted);
        expect(texts(pages.flatMap(({ values }) => [...values]))).toEqual(
          sorted.map((key) => `value of ${key}`),
        );
        expect(texts(pages.flatMap(copiesOf))).toEqual(sorted.map((key) => `value of ${key}`));
        expect(await scans.count(NAMESPACE, "", CALL)).toBe(sorted.length);
      });

      test("U+E000 comes before U+10000", async () => {
        const { entries, scans } = store();
        await setTexts(entries, {
          "\u{10000}": "",
          "\ue000": "",
          "\uffff": "",
          "\ud7ff": "",
          "\u{10ffff}": "",
        });
        expect(keysOf(await scanPages(scans, {}))).toEqual([
          "\ud7ff",
          "\ue000",
          "\uffff",
          "\u{10000}",
          "\u{10ffff}",
        ]);
      });

      test("every prefix of every key finds what starts with it", async () => {
        const { entries, scans } = store();
        await entries.set(
          NAMESPACE,
          AWKWARD_KEYS.map((key) => ({ key, value: bytes(""), ttlMs: 0 })),
          CALL,
        );
        const sorted = sortedByBytes(AWKWARD_KEYS);
        const prefixes = AWKWARD_KEYS.flatMap((key) => {
          const characters = [...key];
          return [1, 2, 3, 1023].map((length) => characters.slice(0, length).join(""));
        });
        const absent = [
          "b",
          "a\u{10ffff}",
          "\ud7fe",
          "\ue001",
          "\uffff\uffff",
          "\u{10ffff}\u{10ffff}",
          "x".repeat(1025),
        ];
        for (const prefix of new Set([...prefixes, ...absent, "😀".repeat(256)])) {
          const wanted = sorted.filter((key) => key.startsWith(prefix));
          expect(keysOf(await scanPages(scans, { prefix, keysOnly: true })), prefix).toEqual(wanted);
          expect(await scans.count(NAMESPACE, prefix, CALL), prefix).toBe(wanted.length);
        }
      });

      test("namespaces and lists are not scanned along", async () => {
        const { backend, entries, scans } = store();
        for (const namespace of NAMESPACES) {
          await setTexts(entries, { [`b ${namespace}`]: "" }, { namespace });
        }
        await backend.lists?.push("a", [{ key: "b list", end: "right", value: bytes("1") }], CALL);
        for (const namespace of NAMESPACES) {
          expect(keysOf(await scanPages(scans, { prefix: "b" }, { namespace }))).toEqual([`b ${namespace}`]);
          expect(await scans.count(namespace, "", CALL)).toBe(1);
        }
      });
    }

    function describePages(): void {
      test("pages of every size hold the same", async () => {
        const { entries, scans } = store();
        await entries.set(
          NAMESPACE,
          AWKWARD_KEYS.map((key) => ({ key, value: bytes(key), ttlMs: 0 })),
          CALL,
        );
        const sorted = sortedByBytes(AWKWARD_KEYS);
        // Behind a wire a page is a new scan, which is slow, so fewer sizes are tried.
        const sizeStep = harness.overWire !== true ? 1 : 5;
        for (let maxEntries = 1; maxEntries <= sorted.length + 1; maxEntries += sizeStep) {
          expect(keysOf(await scanPages(scans, { maxEntries }))).toEqual(sorted);
          expect(keysOf(await scanPages(scans, { maxEntries, keysOnly: true }))).toEqual(sorted);
        }
      });

      test("`after` starts behind a key, whether or not that key exists or has the prefix", async () => {
        const { entries, scans } = store();
        await setTexts(entries, { a: "", "a\0": "", ab: "", abc: "", ac: "", b: "" });
        const cases: [prefix: string, after: string, wanted: string[]][] = [
          ["", "a", ["a\0", "ab", "abc", "ac", "b"]],
          ["a", "a", ["a\0", "ab", "abc", "ac"]],
          ["ab", "ab", ["abc"]],
          ["ab", "a", ["ab", "abc"]],
          ["a", "aa", ["ab", "abc", "ac"]],
          ["a", "b", []],
          ["ab", "ac", []],
          ["", "\u{10ffff}", []],
          ["", "\0", ["a", "a\0", "ab", "abc", "ac", "b"]],
        ];
        for (const [prefix, after, wanted] of cases) {
          expect(keysOf(await scanPages(scans, { prefix, after })), `${prefix} after ${after}`).toEqual(
            wanted,
          );
        }
      });

      test("a page ends with the entry that takes it to maxBytes", async () => {
        const { entries, scans } = store();
        await setTexts(entries, { k1: "12345678", k2: "12345678", k3: "12345678", k4: "" });
        const pages = async (maxBytes: number, keysOnly: boolean) =>
          (await scanPages(scans, { maxBytes, keysOnly }))
            .map(({ keys }) => keys)
            .filter((keys) => keys.length > 0);
        expect(await pages(1, false)).toEqual([["k1"], ["k2"], ["k3"], ["k4"]]);
        expect(await pages(10, false)).toEqual([["k1"], ["k2"], ["k3"], ["k4"]]);
        expect(await pages(11, false)).toEqual([
          ["k1", "k2"],
          ["k3", "k4"],
        ]);
        expect(await pages(20, false)).toEqual([
          ["k1", "k2"],
          ["k3", "k4"],
        ]);
        expect(await pages(21, false)).toEqual([["k1", "k2", "k3"], ["k4"]]);
        expect(await pages(4, true)).toEqual([
          ["k1", "k2"],
          ["k3", "k4"],
        ]);
      });

      test("an entry larger than a page is a page", async () => {
        const { entries, scans } = store();
        await entries.set(NAMESPACE, [{ key: "big", value: new Uint8Array(1_000_000), ttlMs: 0 }], CALL);
        await setTexts(entries, { a: "1", z: "2" });
        const pages = await scanPages(scans, { maxBytes: 1000 });
        expect(keysOf(pages)).toEqual(["a", "big", "z"]);
        expect(pages.flatMap(({ values }) => Array.from(values, ({ length }) => length))).toEqual([
          1, 1_000_000, 1,
        ]);
      });

      testBatch(harness, "counts and scans of ten thousand entries are exact", async () => {
        const { entries, scans } = store();
        const keys = Array.from({ length: 10_000 }, (_, i) => `k${String(i).padStart(5, "0")}`);
        await setTexts(entries, Object.fromEntries(keys.map((key) => [key, ""])));
        expect(await scans.count(NAMESPACE, "", CALL)).toBe(10_000);
        expect(await scans.count(NAMESPACE, "k0", CALL)).toBe(10_000);
        expect(await scans.count(NAMESPACE, "k00", CALL)).toBe(1000);
        expect(await scans.count(NAMESPACE, "k09999", CALL)).toBe(1);
        expect(keysOf(await scanPages(scans, { keysOnly: true }))).toEqual(keys);
        await entries.delete(
          NAMESPACE,
          keys.filter((_, i) => i % 3 !== 0),
          CALL,
        );
        expect(await scans.count(NAMESPACE, "", CALL)).toBe(3334);
        expect(keysOf(await scanPages(scans, {}))).toEqual(keys.filter((_, i) => i % 3 === 0));
      });
    }

    function describeRanges(): void {
      test("every range of awkward keys, in both directions", async () => {
        const { entries, scans } = store();
        await setAwkward(entries);
        // Of a store that is not in this process every fifth pair is tried, because each is a call.
        const step = harness.durable ? 5 : 1;
        const bounds = [undefined, "", ...sortedByBytes(AWKWARD_KEYS), "b", "\u{10ffff}\u{10ffff}"];
        for (let i = 0; i < bounds.length; i++) {
          for (let j = i % step; j < bounds.length; j += step) {
            const [start, end] = [bounds[i], bounds[j]];
            for (const reverse of [false, true]) {
              const range = { prefix: "", start, end, reverse };
              const found = keysOf(await scanPages(scans, { ...range, maxEntries: 100, keysOnly: true }));
              expect(found, JSON.stringify(range)).toEqual(keysIn(range, AWKWARD_KEYS));
            }
          }
        }
      });

      test("pages of every size hold the same backwards, each key with its value", async () => {
        const { entries, scans } = store();
        await setAwkward(entries);
        const sorted = sortedByBytes(AWKWARD_KEYS).toReversed();
        const sizeStep = harness.overWire !== true ? 1 : 5;
        for (let maxEntries = 1; maxEntries <= sorted.length + 1; maxEntries += sizeStep) {
          const pages = await scanPages(scans, { reverse: true, maxEntries });
          expect(keysOf(pages)).toEqual(sorted);
          expect(texts(pages.flatMap(copiesOf))).toEqual(sorted);
          const keysOnly = await scanPages(scans, { reverse: true, maxEntries, keysOnly: true });
          expect(keysOf(keysOnly)).toEqual(sorted);
        }
      });

      test("prefix, start, end and `after` all count", async () => {
        const { entries, scans } = store();
        const keys = ["a", "a\0", "ab", "abc", "ac", "b", "ba"];
        await setTexts(entries, Object.fromEntries(keys.map((key) => [key, ""])));
        const cases: [query: Partial<PageQuery>, wanted: string[]][] = [
          [{ prefix: "a", start: "ab" }, ["ab", "abc", "ac"]],
          [{ prefix: "a", end: "ab" }, ["a", "a\0"]],
          [{ prefix: "a", end: "ab", reverse: true }, ["a\0", "a"]],
          [{ prefix: "ab", start: "a", end: "b" }, ["ab", "abc"]],
          [{ prefix: "ab", start: "ac" }, []],
          [{ prefix: "ab", start: "b" }, []],
          [{ prefix: "ab", end: "a" }, []],
          [{ prefix: "ab", start: "b", reverse: true }, []],
          [{ start: "ab", end: "ab" }, []],
          [{ start: "b", end: "a" }, []],
          [{ start: "b", end: "a", reverse: true }, []],
          [{ end: "" }, []],
          [{ start: "" }, keys],
          [{ start: "ab", end: "b", after: "ab" }, ["abc", "ac"]],
          [{ start: "ab", end: "b", after: "a" }, ["ab", "abc", "ac"]],
          [{ start: "ab", end: "b", after: "b" }, []],
          [{ start: "ab", end: "b", after: "ac", reverse: true }, ["abc", "ab"]],
          [{ start: "ab", end: "b", after: "ba", reverse: true }, ["ac", "abc", "ab"]],
          [{ start: "ab", end: "b", after: "ab", reverse: true }, []],
          [{ prefix: "a", after: "ab", reverse: true }, ["a\0", "a"]],
          [{ prefix: "a", after: "b", reverse: true }, ["ac", "abc", "ab", "a\0", "a"]],
          [{ prefix: "ab", after: "a", reverse: true }, []],
        ];
        for (const [partial, wanted] of cases) {
          expect(keysOf(await scanPages(scans, partial)), JSON.stringify(partial)).toEqual(wanted);
        }
      });

      test("a page ends with the entry that takes it to maxBytes, backwards too; large values come whole", async () => {
        const { entries, scans } = store();
        await setTexts(entries, { k1: "12345678", k2: "12345678", k3: "12345678", k4: "" });
        const pages = (await scanPages(scans, { reverse: true, maxBytes: 12 })).filter(
          ({ keys }) => keys.length > 0,
        );
        expect(pages.map(({ keys }) => keys)).toEqual([
          ["k4", "k3"],
          ["k2", "k1"],
        ]);
        await entries.set(NAMESPACE, [{ key: "k25", value: Buffer.alloc(100_000, "x"), ttlMs: 0 }], CALL);
        const all = await scanPages(scans, { reverse: true, start: "k2", end: "k4", inlineBytes: 100 });
        expect(keysOf(all)).toEqual(["k3", "k25", "k2"]);
        const sizes = all.flatMap(({ values, later }) =>
          Array.from({ length: values.length }, (_, i) => later?.get(i) ?? values.bytesOf(i)),
        );
        expect(sizes).toEqual([8, 100_000, 8]);
      });

      async function setAwkward(entries: EntryStore): Promise<void> {
        const writes = AWKWARD_KEYS.map((key) => ({ key, value: bytes(key), ttlMs: 0 }));
        await entries.set(NAMESPACE, writes, CALL);
      }
    }

    function describeChanges(): void {
      test.each([false, true])(
        "an entry that stays during the whole scan is returned once, whatever comes and goes: reverse %s",
        async (reverse) => {
          const { entries, scans } = store();
          const staying = Array.from({ length: 200 }, (_, i) => `stay ${String(i * 2).padStart(4, "0")}`);
          await setTexts(entries, Object.fromEntries(staying.map((key) => [key, "1"])));
          let round = 0;
          const between = async () => {
            const coming = [`stay ${String(round * 14 + 1).padStart(4, "0")}`, `a ${round}`, `z ${round}`];
            await setTexts(entries, Object.fromEntries(coming.map((key) => [key, "2"])));
            if (round > 0) {
              await entries.delete(NAMESPACE, [`a ${round - 1}`, `z ${round - 1}`], CALL);
            }
            round++;
          };
          const found = keysOf(await scanPages(scans, { reverse, maxEntries: 7 }, { between }));
          expect(new Set(found).size).toBe(found.length);
          expect(found.filter((key) => staying.includes(key))).toEqual(
            keysIn({ prefix: "", reverse }, staying),
          );
          expect(found).toEqual(keysIn({ prefix: "", reverse }, found));
        },
      );

      test("a scan goes on behind a key that was deleted meanwhile", async () => {
        const { entries, scans } = store();
        await setTexts(entries, { a: "1", b: "2", c: "3" });
        const first = await scans.scanPage(NAMESPACE, query({ maxEntries: 2 }), CALL);
        expect(first.keys).toEqual(["a", "b"]);
        await entries.delete(NAMESPACE, ["a", "b"], CALL);
        expect(keysOf(await scanPages(scans, { after: first.next }))).toEqual(["c"]);
        await setTexts(entries, { a: "1", b: "2" });
        const last = await scans.scanPage(NAMESPACE, query({ reverse: true, maxEntries: 2 }), CALL);
        expect(last.keys).toEqual(["c", "b"]);
        await entries.delete(NAMESPACE, ["b", "c"], CALL);
        expect(keysOf(await scanPages(scans, { reverse: true, after: last.next }))).toEqual(["a"]);
      });
    }
  });
}
