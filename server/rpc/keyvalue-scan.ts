import type { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import type { Call, Page, ScanStore } from "../backend/contract.ts";
import { SCAN_PAGE_BYTES, SCAN_PAGE_ENTRIES } from "../limits.ts";
import type { NamespaceRouter, Route } from "../namespace/router.ts";
import { checkLimit, checkPrefix } from "./check.ts";
import type { Handlers } from "./implement.ts";

/** prism.interfaces.keyvalue.KeyValueScanInterface: check, route, page by page, reply. */
export function createKeyValueScan(router: NamespaceRouter): Handlers<typeof KeyValueScanInterface> {
  return {
    async *scan(request, call) {
      checkPrefix(request.prefix);
      const limit = checkLimit(request.limit);
      const route = router.scans(request.namespace);
      for await (const { keys, values } of pages(route, request.prefix, limit, false, call)) {
        for (const [i, key] of keys.entries()) {
          yield { key, value: values[i] ?? NO_BYTES };
        }
      }
    },

    async *scanKeys(request, call) {
      checkPrefix(request.prefix);
      const limit = checkLimit(request.limit);
      const route = router.scans(request.namespace);
      for await (const { keys } of pages(route, request.prefix, limit, true, call)) {
        for (const key of keys) {
          yield { key };
        }
      }
    },

    async count(request, call) {
      checkPrefix(request.prefix);
      const { namespace, store } = router.scans(request.namespace);
      return { count: BigInt(await store.count(namespace, request.prefix, call)) };
    },
  };
}

const NO_BYTES = new Uint8Array(0);

/** The pages of a whole scan. The next is fetched when the reader wants it, so memory stays that of one page. */
async function* pages(
  route: Route<ScanStore>,
  prefix: string,
  limit: number,
  keysOnly: boolean,
  call: Call,
): AsyncGenerator<Page> {
  let after: string | undefined;
  let left = limit;
  do {
    const page = await route.store.scanPage(
      route.namespace,
      {
        prefix,
        after,
        maxEntries: Math.min(left, SCAN_PAGE_ENTRIES),
        maxBytes: SCAN_PAGE_BYTES,
        keysOnly,
      },
      call,
    );
    yield page;
    left -= page.keys.length;
    after = page.next;
  } while (after !== undefined && left > 0);
}
