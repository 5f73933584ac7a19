import type { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import type { Call, Page, ScanStore } from "../backend/contract.ts";
import { Columns } from "../calls/columns.ts";
import type { Handlers } from "../calls/implement.ts";
import { SCAN_PAGE_BYTES, SCAN_PAGE_ENTRIES } from "../limits.ts";
import type { Route } from "../namespaces/live-namespace.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkLimit, checkPrefix } from "./check.ts";

/** prism.interfaces.keyvalue.KeyValueScanInterface: check, route, reply page by page. */
export function createKeyValueScan(router: NamespaceRouter): Handlers<typeof KeyValueScanInterface> {
  return {
    scan({ namespace, prefix, limit }, call) {
      checkPrefix(prefix);
      const range = { prefix, limit: checkLimit(limit), keysOnly: false };
      return pages(
        router.route("scans", namespace, call),
        range,
        call,
        ({ keys, values }) => new Columns(keys.length, { key: keys, value: values }),
      );
    },

    scanKeys({ namespace, prefix, limit }, call) {
      checkPrefix(prefix);
      const range = { prefix, limit: checkLimit(limit), keysOnly: true };
      return pages(
        router.route("scans", namespace, call),
        range,
        call,
        ({ keys }) => new Columns(keys.length, { key: keys }),
      );
    },

    async count(request, call) {
      checkPrefix(request.prefix);
      const { namespace, store } = router.route("scans", request.namespace, call);
      return { count: BigInt(await store.count(namespace, request.prefix, call)) };
    },
  };
}

/** The range of a scan. */
interface ScanRange {
  readonly prefix: string;
  /** Infinity = all. */
  readonly limit: number;
  readonly keysOnly: boolean;
}

/**
 * The pages of a whole scan, as responses. The next page is fetched when the reader wants it, so
 * memory stays at one page. Not a generator: that would hold the last page as long as a slow reader
 * takes.
 */
function pages<B>(
  { namespace, store }: Route<ScanStore>,
  { prefix, limit, keysOnly }: ScanRange,
  call: Call,
  toResponses: (page: Page) => B,
): AsyncIterable<B> {
  let left = limit;
  let after: string | undefined;
  let more = true;

  async function next(): Promise<IteratorResult<B, undefined>> {
    if (!more) {
      return { done: true, value: undefined };
    }
    const maxEntries = Math.min(left, SCAN_PAGE_ENTRIES);
    const query = { prefix, after, maxEntries, maxBytes: SCAN_PAGE_BYTES, keysOnly };
    const page = await store.scanPage(namespace, query, call);
    left -= page.keys.length;
    after = page.next;
    more = after !== undefined && left > 0;
    return { done: false, value: toResponses(page) };
  }
  return { [Symbol.asyncIterator]: () => ({ next }) };
}
