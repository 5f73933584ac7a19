import { Code } from "@connectrpc/connect";
import type { Error as ErrorDetail } from "../../gen/prism/common/errors_pb.ts";
import { KeyValueBatchInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "../call.ts";
import { describe, ownBytes, toArray, toKeys, type Value } from "../convert.ts";
import { invalidField, PrismError, reasonOf } from "../errors.ts";
import { SET_OPTIONS, type SetOptions, toItem, toTtl } from "./write-options.ts";

/** The most items of a call. */
export const MAX_BATCH_ITEMS = 1000;

/**
 * The most bytes of a call's entries together; a larger entry has a call of its own. They are what
 * a gateway with its default limits takes, in JSON too.
 */
const MAX_BATCH_BYTES = 4 * 1024 * 1024;

/** What an entry counts besides its key and value: names and framing. */
const AROUND_ENTRY_BYTES = 64;

/** The most bytes of UTF-8 that one unit of a string takes. */
const MAX_UNIT_BYTES = 3;

const { method } = KeyValueBatchInterface;

const BATCH_GET = { method: method.batchGet, options: CALL_OPTIONS };
const BATCH_SET = { method: method.batchSet, options: SET_OPTIONS };
const BATCH_DELETE = { method: method.batchDelete, options: CALL_OPTIONS };

/**
 * The calls of KeyValueBatchInterface. What is more than one call takes becomes several calls, one
 * after another.
 */
export function batchCalls(invoker: Invoker) {
  /** `undefined` = the values are more than one answer takes. */
  async function getSlice(
    keys: string[],
    options: CallOptions,
  ): Promise<(Uint8Array<ArrayBuffer> | undefined)[] | undefined> {
    try {
      const { results } = await invoker.unary(BATCH_GET, options, (namespace) => ({ namespace, keys }));
      checkResults(keys, results);
      return results.map(({ found, value }) => (found ? ownBytes(value) : undefined));
    } catch (error) {
      if (keys.length > 1 && error instanceof PrismError && error.reason === "value_too_large") {
        return undefined;
      }
      throw error;
    }
  }

  return {
    /**
     * The values of many keys, in their order; `undefined` = the key is absent or has expired. More
     * than 1,000 keys make several calls, one after another. So do values that have more bytes
     * together than one answer takes, by default 4 MiB: keys are asked for again, half as many.
     *
     * ```ts
     * const [alice, bob] = await client.keyvalue.getMany(["user:1", "user:2"]);
     * ```
     */
    async getMany(
      keys: Iterable<string> & object,
      options: CallOptions = {},
    ): Promise<(Uint8Array<ArrayBuffer> | undefined)[]> {
      const all = toKeys(keys);
      const values: (Uint8Array<ArrayBuffer> | undefined)[] = [];
      for (let most = MAX_BATCH_ITEMS; values.length < all.length; ) {
        const slice = all.slice(values.length, values.length + most);
        const some = await getSlice(slice, options);
        if (some === undefined) {
          most = Math.ceil(slice.length / 2);
          continue;
        }
        values.push(...some);
        const bytes = some.reduce((sum, value) => sum + (value?.length ?? 0), 0);
        // Large values may be followed by small ones.
        most = bytes < MAX_BATCH_BYTES / 4 ? Math.min(2 * most, MAX_BATCH_ITEMS) : most;
      }
      return values;
    },

    /**
     * Writes many entries; of two with one key the later one wins. Up to 1,000 entries of 4 MiB
     * together are written together: all or none, if the namespace's store can do that over these
     * keys. More make several calls, one after another. The first failure is thrown; other entries
     * may be written then. A gateway whose `limits.max_value_bytes` is below its default refuses
     * calls that are too large for it (`value_too_large`). An entry can have a time to live of its
     * own, in place of `ttlSeconds` of the options.
     *
     * ```ts
     * await client.keyvalue.setMany([["user:1", "alice"], ["user:2", "bob"]], { ttlSeconds: 60 });
     * await client.keyvalue.setMany([["code:1", "4711", 300], ["code:2", "4712", 600]]);
     * await client.keyvalue.setMany(new Map([["user:3", "carol"]]));
     * ```
     */
    async setMany(
      entries: Iterable<readonly [key: string, value: Value, ttlSeconds?: number | undefined]> & object,
      options: SetOptions = {},
    ): Promise<void> {
      const all = toArray("entries", entries, (entry) => toEntry(entry, options));
      for (const items of slicesOf(all, ({ key, value }) => bytesOfKey(key) + value.length)) {
        const { results } = await invoker.unary(BATCH_SET, options, (namespace) => ({ namespace, items }));
        checkResults(
          items.map(({ key }) => key),
          results,
        );
      }
    },

    /**
     * Deletes many entries. Answers for each key whether it existed. Up to 1,000 keys are deleted
     * together, as `setMany` writes them.
     */
    async deleteMany(keys: Iterable<string> & object, options: CallOptions = {}): Promise<boolean[]> {
      const existed: boolean[] = [];
      for (const slice of slicesOf(toKeys(keys), bytesOfKey)) {
        const { results } = await invoker.unary(BATCH_DELETE, options, (namespace) => ({
          namespace,
          keys: slice,
        }));
        checkResults(slice, results);
        existed.push(...results.map(({ found }) => found));
      }
      return existed;
    },
  };
}

/** The items of each call, in order. */
function* slicesOf<Item>(items: readonly Item[], bytesOf: (item: Item) => number): Generator<Item[], void> {
  let slice: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = AROUND_ENTRY_BYTES + bytesOf(item);
    const isFull = slice.length === MAX_BATCH_ITEMS || bytes + size > MAX_BATCH_BYTES;
    if (isFull && slice.length > 0) {
      yield slice;
      slice = [];
      bytes = 0;
    }
    slice.push(item);
    bytes += size;
  }
  if (slice.length > 0) {
    yield slice;
  }
}

/** At least what the key takes on the wire. */
function bytesOfKey(key: string): number {
  return MAX_UNIT_BYTES * key.length;
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

/** Key, value and time to live. A string of two characters is no entry, though it has two parts. */
function toEntry(entry: unknown, options: SetOptions) {
  if (!Array.isArray(entry) || entry.length < 2 || entry.length > 3) {
    throw invalidField(`entries must be pairs of key and value, not ${describe(entry)}`);
  }
  const [key, value, ttlSeconds = options.ttlSeconds] = entry;
  return { ...toItem(key, value), ...toTtl({ ttlSeconds }) };
}
