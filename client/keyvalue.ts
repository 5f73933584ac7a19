import type { Invoker } from "./call.ts";
import { basicCalls } from "./keyvalue/basic.ts";
import { batchCalls } from "./keyvalue/batch.ts";
import { casCalls } from "./keyvalue/cas.ts";
import { counterCalls } from "./keyvalue/counter.ts";
import { deletePrefixCalls } from "./keyvalue/delete-prefix.ts";
import { rangeCalls } from "./keyvalue/range.ts";
import { scanCalls } from "./keyvalue/scan.ts";
import { transactionCalls } from "./keyvalue/transaction.ts";
import { ttlCalls } from "./keyvalue/ttl.ts";
import { typedCalls } from "./keyvalue/typed.ts";

/**
 * Entries: one key, one value. Keys are 1 to 1,024 bytes of UTF-8. Every call fails with a
 * `PrismError`.
 *
 * ```ts
 * await client.keyvalue.set("user:1", "alice", { ttlSeconds: 60 });
 * const value = await client.keyvalue.get("user:1"); // Uint8Array
 * ```
 */
export type KeyValueApi = ReturnType<typeof basicCalls> &
  ReturnType<typeof scanCalls> &
  ReturnType<typeof rangeCalls> &
  ReturnType<typeof batchCalls> &
  ReturnType<typeof ttlCalls> &
  ReturnType<typeof casCalls> &
  ReturnType<typeof counterCalls> &
  ReturnType<typeof transactionCalls> &
  ReturnType<typeof deletePrefixCalls> &
  ReturnType<typeof typedCalls>;

/** The calls of {@link KeyValueApi}, one file for each wire service. */
export function createKeyValueApi(invoker: Invoker): KeyValueApi {
  const basic = basicCalls(invoker);
  const scans = scanCalls(invoker);
  const ranges = rangeCalls(invoker);
  const batches = batchCalls(invoker);
  return {
    ...basic,
    ...scans,
    ...ranges,
    ...batches,
    ...ttlCalls(invoker),
    ...casCalls(invoker),
    ...counterCalls(invoker),
    ...transactionCalls(invoker),
    ...deletePrefixCalls({ ...ranges, ...batches }),
    ...typedCalls({ ...basic, ...batches, ...scans }),
  };
}
