import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytes, CALL, NAMESPACE, present, texts } from "../backend/conformance/harness.ts";
import { createManualClock } from "../backend/conformance/manual-clock.ts";
import { keysIn } from "../backend/conformance/scan.ts";
import type { PageQuery, ScanRange, ScanStore } from "../backend/contract.ts";
import { createMemoryBackend } from "../backend/memory/backend.ts";
import { foldScan } from "./folded-scan.ts";

/** A store with these keys, each its own value. The keys of `expired` expired. */
async function storeWith(keys: readonly string[], expired: readonly string[] = []): Promise<ScanStore> {
  const clock = createManualClock();
  const backend = createMemoryBackend({ type: "memory" }, { clock });
  await backend.open();
  const write = (key: string, ttlMs: number) => ({ key, value: bytes(key), ttlMs });
  await backend.entries?.set(
    NAMESPACE,
    [...keys.map((key) => write(key, 0)), ...expired.map((key) => write(key, 1))],
    CALL,
  );
  await clock.advance(1);
  return present(backend.scans);
}

/** Reads all folded pages; answers the messages, and the number of pages that the store read. */
async function readFolded(scans: ScanStore, range: ScanRange, delimiter: string, maxEntries: number) {
  let pages = 0;
  const counted: Pick<ScanStore, "scanPage"> = {
    scanPage(...args) {
      pages++;
      return scans.scanPage(...args);
    },
  };
  const folded = foldScan(counted, delimiter);
  const query: PageQuery = { ...range, after: undefined, maxEntries, maxBytes: 1e6, keysOnly: false };
  const keys: string[] = [];
  const values: (string | undefined)[] = [];
  for (let after: string | undefined, more = true; more; more = after !== undefined) {
    const page = await folded.scanPage(NAMESPACE, { ...query, after }, CALL);
    expect(page.keys.length).toBeLessThanOrEqual(maxEntries);
    keys.push(...page.keys);
    values.push(...texts([...page.values]));
    after = page.next;
  }
  return { keys, values, pages };
}

/** The expected messages, in the simplest way. */
function foldedIn(range: ScanRange, delimiter: string, keys: readonly string[]): string[] {
  const told = keysIn(range, keys).map((key) => {
    const at = key.indexOf(delimiter, range.prefix.length);
    return at < 0 ? key : key.slice(0, at + delimiter.length);
  });
  return told.filter((each, i) => each !== told[i - 1]);
}

describe("foldScan", () => {
  test("each common prefix is told once, in its place, in both directions and with pages of any size", async () => {
    const unit = fc.constantFrom("a", "b", "/", "\u{10ffff}", "\x7f");
    const text = fc.string({ unit, maxLength: 6 });
    const bound = fc.option(text, { nil: undefined });
    const key = fc.string({ unit, minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(key, { maxLength: 60, size: "max" }),
        fc.record({
          prefix: fc.string({ unit, maxLength: 2 }),
          start: bound,
          end: bound,
          reverse: fc.boolean(),
        }),
        fc.constantFrom("/", "ab", "a", "\u{10ffff}"),
        fc.integer({ min: 1, max: 40 }),
        async (keys, range, delimiter, maxEntries) => {
          const live = keys.filter((_, i) => i % 4 !== 0);
          const scans = await storeWith(
            live,
            keys.filter((_, i) => i % 4 === 0),
          );
          const found = await readFolded(scans, range, delimiter, maxEntries);
          const wanted = foldedIn(range, delimiter, live);
          expect(found.keys).toEqual(wanted);
          const isWhole = (told: string) => told.indexOf(delimiter, range.prefix.length) < 0;
          expect(found.values).toEqual(wanted.map((told) => (isWhole(told) ? told : "")));
        },
      ),
      { numRuns: 300 },
    );
  });

  test("the longest keys under a prefix are jumped over, too", async () => {
    const longest = `a/${"\u{10ffff}".repeat(255)}\u07ff`;
    expect(Buffer.byteLength(longest)).toBe(1024);
    const scans = await storeWith(["a/", longest, "a0", `${"\u{10ffff}".repeat(255)}\uffff/`]);
    const told = ["a/", "a0", `${"\u{10ffff}".repeat(255)}\uffff/`];
    for (const reverse of [false, true]) {
      const { keys } = await readFolded(scans, { prefix: "", reverse }, "/", 1);
      expect(keys).toEqual(reverse ? told.toReversed() : told);
    }
  });

  test.each([false, true])(
    "a million keys under few prefixes are few pages: reverse %s",
    async (reverse) => {
      const name = (i: number) => `${i % 4}/${i}`;
      const scans = await storeWith(Array.from({ length: 1_000_000 }, (_, i) => name(i)));
      const { keys, pages } = await readFolded(scans, { prefix: "", reverse }, "/", 1024);
      expect(keys).toEqual(reverse ? ["3/", "2/", "1/", "0/"] : ["0/", "1/", "2/", "3/"]);
      expect(pages).toBeLessThanOrEqual(5);
      // Making a million entries takes a busy machine a minute.
    },
    240_000,
  );
});
