import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "../call.ts";
import { fromInt64, ownBytes, toInt32, toText } from "../convert.ts";

/** The options of a scan. */
export interface ScanOptions extends CallOptions {
  /** The most entries to return, the first in key order. Absent or 0: all. */
  readonly limit?: number | undefined;
}

const { method } = KeyValueScanInterface;
const SCAN_OPTIONS = { limit: true, ...CALL_OPTIONS } satisfies Record<keyof ScanOptions, true>;

const SCAN = { method: method.scan, options: SCAN_OPTIONS };
const SCAN_KEYS = { method: method.scanKeys, options: SCAN_OPTIONS };
const COUNT = { method: method.count, options: CALL_OPTIONS };

/** The calls of KeyValueScanInterface. */
export function scanCalls(invoker: Invoker) {
  return {
    /**
     * The entries whose keys begin with `prefix` ("" = all), in ascending order of the keys' UTF-8
     * bytes. The gateway waits for a slow reader. Leaving the loop ends the call. A timeout limits
     * the whole scan.
     *
     * ```ts
     * for await (const [key, value] of client.keyvalue.scan("user:", { limit: 10 })) { ... }
     * ```
     */
    scan(
      prefix = "",
      options: ScanOptions = {},
    ): AsyncIterable<[key: string, value: Uint8Array<ArrayBuffer>], void, undefined> {
      return invoker.stream(
        SCAN,
        options,
        (namespace) => toRequest(namespace, prefix, options),
        ({ key, value }): [string, Uint8Array<ArrayBuffer>] => [key, ownBytes(value)],
      );
    },

    /** The keys that `scan` would return, without their values. */
    scanKeys(prefix = "", options: ScanOptions = {}): AsyncIterable<string, void, undefined> {
      return invoker.stream(
        SCAN_KEYS,
        options,
        (namespace) => toRequest(namespace, prefix, options),
        ({ key }) => key,
      );
    },

    /** The exact number of keys that begin with `prefix` ("" = all). */
    async count(prefix = "", options: CallOptions = {}): Promise<number> {
      const { count } = await invoker.unary(COUNT, options, (namespace) => ({
        namespace,
        prefix: toText("prefix", prefix),
      }));
      return fromInt64("count", count);
    },
  };
}

function toRequest(namespace: string, prefix: string, { limit = 0 }: ScanOptions) {
  return { namespace, prefix: toText("prefix", prefix), limit: toInt32("limit", limit) };
}
