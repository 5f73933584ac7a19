import type { Invoker } from "./call.ts";
import { basicCalls } from "./keyvalue/basic.ts";
import { batchCalls } from "./keyvalue/batch.ts";
import { casCalls } from "./keyvalue/cas.ts";
import { counterCalls } from "./keyvalue/counter.ts";
import { rangeCalls } from "./keyvalue/range.ts";
import { scanCalls } from "./keyvalue/scan.ts";
import { transactionCalls } from "./keyvalue/transaction.ts";
import { ttlCalls } from "./keyvalue/ttl.ts";

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
  ReturnType<typeof transactionCalls>;

/** The calls of {@link KeyValueApi}, one file for each wire service. */
export function createKeyValueApi(invoker: Invoker): KeyValueApi {
  return {
    ...basicCalls(invoker),
    ...scanCalls(invoker),
    ...rangeCalls(invoker),
    ...batchCalls(invoker),
    ...ttlCalls(invoker),
    ...casCalls(invoker),
    ...counterCalls(invoker),
    ...transactionCalls(invoker),
  };
}
