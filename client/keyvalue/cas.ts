import { Code } from "@connectrpc/connect";
import { KeyValueCASInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_cas_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "../call.ts";
import { fromInt64, toText, type Value } from "../convert.ts";
import { PrismError } from "../errors.ts";
import { type Entry, type Expectation, fromEntry, toExpectation } from "./entry.ts";
import { SET_OPTIONS, type SetOptions, toItem, toTtl } from "./write-options.ts";

/** What became of a write that was made if the entry was as expected. */
export type Swap =
  | { readonly swapped: true; readonly version: number }
  /** `actual`: what is there instead; `undefined` = nothing. */
  | { readonly swapped: false; readonly actual: Entry | undefined };

/** What became of a delete that was made if the entry was as expected. */
export type ConditionalDelete =
  | { readonly deleted: true }
  /** `actual`: what is there instead; `undefined` = nothing. */
  | { readonly deleted: false; readonly actual: Entry | undefined };

/** What became of a write that was made if there was no entry. */
export type Creation =
  | { readonly created: true; readonly version: number }
  /** `actual`: what is there. */
  | { readonly created: false; readonly actual: Entry };

const { method } = KeyValueCASInterface;

const COMPARE_AND_SWAP = { method: method.compareAndSwap, options: SET_OPTIONS };
const COMPARE_AND_DELETE = { method: method.compareAndDelete, options: CALL_OPTIONS };
const SET_IF_ABSENT = { method: method.setIfAbsent, options: SET_OPTIONS };

/** The calls of KeyValueCASInterface. */
export function casCalls(invoker: Invoker) {
  return {
    /**
     * Writes an entry if it is as expected. A mismatch is an answer, not an error. If the call
     * fails with a lost connection, it may have been made: read the entry before the next try.
     *
     * ```ts
     * const [before] = await client.keyvalue.getEntries(["plan"]);
     * const swap = await client.keyvalue.compareAndSwap(
     *   "plan", before === undefined ? { absent: true } : { version: before.version }, "new plan",
     * );
     * if (!swap.swapped) { ... swap.actual ... }
     * ```
     */
    async compareAndSwap(
      key: string,
      expected: Expectation,
      value: Value,
      options: SetOptions = {},
    ): Promise<Swap> {
      const { swapped, version, actual } = await invoker.unary(COMPARE_AND_SWAP, options, (namespace) => ({
        namespace,
        ...toItem(key, value),
        expected: { kind: toExpectation(expected) },
        ...toTtl(options),
      }));
      return swapped
        ? { swapped, version: fromInt64("version", version) }
        : { swapped, actual: actual && fromEntry(actual) };
    },

    /** Deletes an entry if it has the expected value or version. A mismatch is an answer. */
    async compareAndDelete(
      key: string,
      expected: Exclude<Expectation, { readonly absent: true }>,
      options: CallOptions = {},
    ): Promise<ConditionalDelete> {
      const { deleted, actual } = await invoker.unary(COMPARE_AND_DELETE, options, (namespace) => ({
        namespace,
        key: toText("key", key),
        expected: { kind: toExpectation(expected) },
      }));
      return deleted ? { deleted } : { deleted, actual: actual && fromEntry(actual) };
    },

    /** Writes an entry if there is none with this key. An entry that is there is an answer. */
    async setIfAbsent(key: string, value: Value, options: SetOptions = {}): Promise<Creation> {
      const { created, version, actual } = await invoker.unary(SET_IF_ABSENT, options, (namespace) => ({
        namespace,
        ...toItem(key, value),
        ...toTtl(options),
      }));
      if (created) {
        return { created, version: fromInt64("version", version) };
      }
      if (actual === undefined) {
        throw new PrismError("the gateway did not tell which entry is there", {
          reason: "internal",
          code: Code.Internal,
        });
      }
      return { created, actual: fromEntry(actual) };
    },
  };
}
