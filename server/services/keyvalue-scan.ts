import type { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { Columns } from "../calls/columns.ts";
import type { Handlers } from "../calls/implement.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkBound, checkLimit } from "./check.ts";
import { scanPages } from "./scan-pages.ts";

/** prism.interfaces.keyvalue.KeyValueScanInterface: check, route, reply page by page. */
export function createKeyValueScan(router: NamespaceRouter): Handlers<typeof KeyValueScanInterface> {
  return {
    scan({ namespace, prefix, limit }, call) {
      checkBound("prefix", prefix);
      const scan = { range: { prefix }, limit: checkLimit(limit), keysOnly: false };
      return scanPages(
        router.route("scans", namespace, call),
        scan,
        call,
        ({ keys, values }) => new Columns(keys.length, { key: keys, value: values }),
      );
    },

    scanKeys({ namespace, prefix, limit }, call) {
      checkBound("prefix", prefix);
      const scan = { range: { prefix }, limit: checkLimit(limit), keysOnly: true };
      return scanPages(
        router.route("scans", namespace, call),
        scan,
        call,
        ({ keys }) => new Columns(keys.length, { key: keys }),
      );
    },

    async count(request, call) {
      checkBound("prefix", request.prefix);
      const { namespace, store } = router.route("scans", request.namespace, call);
      return { count: BigInt(await store.count(namespace, request.prefix, call)) };
    },
  };
}
