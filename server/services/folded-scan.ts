import type { Page, PageQuery, ScanStore } from "../backend/contract.ts";
import { ArrayValues, PickedValues } from "../backend/values.ts";
import { MAX_KEY_BYTES } from "../limits.ts";

/**
 * The entries that a page reads after a jump. More would be read in vain if the next keys have one
 * common prefix, too.
 */
const FIRST_ENTRIES = 16;

const NO_VALUE = new ArrayValues([]);

/**
 * The pages of one scan in which a common prefix stands for all keys that have it. It is among the
 * keys, in its place and once, and its value is empty. Pages jump over the rest of its keys, so
 * their number does not matter.
 */
export function foldScan(scans: Pick<ScanStore, "scanPage">, delimiter: string): Pick<ScanStore, "scanPage"> {
  let entries = FIRST_ENTRIES;
  return {
    async scanPage(namespace, query, call) {
      const maxEntries = Math.min(query.maxEntries, entries);
      const page = await scans.scanPage(namespace, { ...query, maxEntries }, call);
      const { folded, last } = foldPage(page, query, delimiter);
      const jumps = last !== undefined && page.next?.startsWith(last) === true;
      entries = jumps ? FIRST_ENTRIES : Math.min(entries * 2, query.maxEntries);
      return jumps ? { ...folded, next: query.reverse ? last : lastKeyUnder(last) } : folded;
    },
  };
}

/**
 * The part of a key up to and with the first delimiter behind the scan's prefix. `undefined` =
 * there is none.
 */
export function commonPrefixOf(key: string, prefix: string, delimiter: string): string | undefined {
  const at = key.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : key.slice(0, at + delimiter.length);
}

/** `last`: the common prefix of the last key. */
function foldPage(
  page: Page,
  { prefix, keysOnly }: PageQuery,
  delimiter: string,
): { readonly folded: Page; readonly last: string | undefined } {
  const keys: string[] = [];
  const values = new PickedValues();
  let last: string | undefined;
  for (const [i, key] of page.keys.entries()) {
    const common = commonPrefixOf(key, prefix, delimiter);
    if (common !== undefined && common === last) {
      continue;
    }
    last = common;
    keys.push(common ?? key);
    if (!keysOnly) {
      values.add(common === undefined ? page.values : NO_VALUE, common === undefined ? i : 0);
    }
  }
  return { folded: { keys, values, next: page.next }, last };
}

/** The greatest key that starts with `prefix`, which is no longer than a key may be. */
function lastKeyUnder(prefix: string): string {
  const room = Math.max(0, MAX_KEY_BYTES - Buffer.byteLength(prefix));
  return `${prefix}${"\u{10ffff}".repeat(room / 4)}${GREATEST_OF[room % 4]}`;
}

/** The greatest text of 0 to 3 bytes of UTF-8. */
const GREATEST_OF = ["", "\x7f", "\u07ff", "\uffff"] as const;
