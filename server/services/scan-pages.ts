import type { Call, Page, ScanRange, ScanStore } from "../backend/contract.ts";
import { SCAN_PAGE_BYTES, SCAN_PAGE_ENTRIES } from "../limits.ts";

/** A scan of a request. */
export interface Scan {
  readonly range: ScanRange;
  /** Only keys that come after this one. Absent = from the first. */
  readonly after?: string | undefined;
  /** Infinity = all. */
  readonly limit: number;
  readonly keysOnly: boolean;
}

/**
 * The pages of a whole scan, as responses. The next page is fetched when the reader wants it, so
 * memory stays at one page. Not a generator: that would hold the last page as long as a slow reader
 * takes.
 */
export function scanPages<B>(
  { namespace, store }: { readonly namespace: string; readonly store: Pick<ScanStore, "scanPage"> },
  { range, limit, keysOnly, after: start }: Scan,
  call: Call,
  toResponses: (page: Page) => B,
): AsyncIterable<B> {
  let left = limit;
  let after = start;
  let more = true;

  async function next(): Promise<IteratorResult<B, undefined>> {
    if (!more) {
      return { done: true, value: undefined };
    }
    const maxEntries = Math.min(left, SCAN_PAGE_ENTRIES);
    const query = { ...range, after, maxEntries, maxBytes: SCAN_PAGE_BYTES, keysOnly };
    const page = await store.scanPage(namespace, query, call);
    left -= page.keys.length;
    after = page.next;
    more = after !== undefined && left > 0;
    return { done: false, value: toResponses(page) };
  }
  return { [Symbol.asyncIterator]: () => ({ next }) };
}
