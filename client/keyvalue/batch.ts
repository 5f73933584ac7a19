import { Code } from "@connectrpc/connect";
import type { Error as ErrorDetail } from "../../gen/prism/common/errors_pb.ts";
import { KeyValueBatchInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "../call.ts";
import { describe, ownBytes, toArray, toKeys, type Value } from "../convert.ts";
import { invalidField, PrismError, reasonOf } from "../errors.ts";
import { SET_OPTIONS, type SetOptions, toItem, toTtl } from "./write-options.ts";

/** The most items of a call. */
const MAX_BATCH_ITEMS = 1000;

const { method } = KeyValueBatchInterface;

const BATCH_GET = { method: method.batchGet, options: CALL_OPTIONS };
const BATCH_SET = { method: method.batchSet, options: SET_OPTIONS };
const BATCH_DELETE = { method: method.batchDelete, options: CALL_OPTIONS };

/**
 * The calls of KeyValueBatchInterface. More than 1,000 items make several calls, one after another.
 */
export function batchCalls(invoker: Invoker) {
  return {
    /**
     * The values of many keys, in their order; `undefined` = the key is absent or has expired. The
     * values of 1,000 keys may have as many bytes together as one value may have. More than 1,000
     * keys make several calls, one after another.
     *
     * ```ts
     * const [alice, bob] = await client.keyvalue.getMany(["user:1", "user:2"]);
     * ```
     */
    async getMany(
      keys: Iterable<string> & object,
      options: CallOptions = {},
    ): Promise<(Uint8Array<ArrayBuffer> | undefined)[]> {
      return await inSlices(toKeys(keys), async (slice) => {
        const { results } = await invoker.unary(BATCH_GET, options, (namespace) => ({
          namespace,
          keys: slice,
        }));
        checkResults(slice, results);
        return results.map(({ found, value }) => (found ? ownBytes(value) : undefined));
      });
    },

    /**
     * Writes many entries; of two with one key the later one wins. Up to 1,000 entries are written
     * together: all or none, if the namespace's store can do that over these keys. More make
     * several calls, one after another. The first failure is thrown; other entries may be written
     * then.
     *
     * ```ts
     * await client.keyvalue.setMany([["user:1", "alice"], ["user:2", "bob"]], { ttlSeconds: 60 });
     * await client.keyvalue.setMany(new Map([["user:3", "carol"]]));
     * ```
     */
    async setMany(
      entries: Iterable<readonly [key: string, value: Value]> & object,
      options: SetOptions = {},
    ): Promise<void> {
      const items = toArray("entries", entries, (entry) => ({ ...toPair(entry), ...toTtl(options) }));
      await inSlices(items, async (slice) => {
        const { results } = await invoker.unary(BATCH_SET, options, (namespace) => ({
          namespace,
          items: slice,
        }));
        checkResults(
          slice.map(({ key }) => key),
          results,
        );
        return [];
      });
    },

    /**
     * Deletes many entries. Answers for each key whether it existed. Up to 1,000 keys are deleted
     * together, as `setMany` writes them.
     */
    async deleteMany(keys: Iterable<string> & object, options: CallOptions = {}): Promise<boolean[]> {
      return await inSlices(toKeys(keys), async (slice) => {
        const { results } = await invoker.unary(BATCH_DELETE, options, (namespace) => ({
          namespace,
          keys: slice,
        }));
        checkResults(slice, results);
        return results.map(({ found }) => found);
      });
    },
  };
}

async function inSlices<Item, Answer>(
  items: readonly Item[],
  call: (slice: Item[]) => Promise<Answer[]>,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let at = 0; at < items.length; at += MAX_BATCH_ITEMS) {
    answers.push(...(await call(items.slice(at, at + MAX_BATCH_ITEMS))));
  }
  return answers;
}

/** Throws the failure of the first item that has one, and if an item has no answer. */
function checkResults(
  keys: readonly string[],
  results: readonly { readonly error?: ErrorDetail | undefined }[],
): void {
  if (results.length !== keys.length) {
    throw new PrismError(`the gateway answered ${results.length} of ${keys.length} items`, {
      reason: "internal",
      code: Code.Internal,
    });
  }
  for (const [index, { error }] of results.entries()) {
    if (error !== undefined) {
      throw new PrismError(`key ${JSON.stringify(keys[index])}: ${error.message}`, {
        reason: reasonOf(error.reason),
        code: Code.Unknown,
        retryable: error.retryable,
        retryAfterMs: error.retryAfterMs,
        namespace: error.namespace || undefined,
        requestId: error.requestId || undefined,
      });
    }
  }
}

/** A pair of key and value. A string of two characters is none, though it has two parts. */
function toPair(entry: unknown) {
  if (!Array.isArray(entry) || entry.length !== 2) {
    throw invalidField(`entries must be pairs of key and value, not ${describe(entry)}`);
  }
  return toItem(entry[0], entry[1]);
}
