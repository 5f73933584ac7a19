import type { MessageInitShape } from "@bufbuild/protobuf";
import { type KeyPredicateSchema, KeyValueService } from "../gen/prism/keyvalue/v1/keyvalue_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker, requireKnown } from "./call.ts";
import {
  describe,
  ownBytes,
  toArray,
  toBytes,
  toInt32,
  toSignedInt64,
  toText,
  toToken,
  type Value,
} from "./convert.ts";
import { invalidField } from "./errors.ts";
import { idCalls } from "./records/ids.ts";
import { fromItem, type NewItem, type RecordItem, toItem } from "./records/item.ts";
import { resumed } from "./resumed.ts";

/** One of several puts. */
export interface RecordPut {
  readonly id: string;
  readonly items: Iterable<NewItem> & object;
  /** Of two items with one id and key the one with the larger number stays. Default: 0. */
  readonly priority?: number | bigint | undefined;
}

/** Which items to read: those with `keys`, or those from `start` on and before `end`; else all. */
export interface RecordGetOptions extends CallOptions {
  readonly keys?: (Iterable<Value> & object) | undefined;
  /** Inclusive. Absent: from the first. */
  readonly start?: Value | undefined;
  /** Exclusive. Absent: to the last. */
  readonly end?: Value | undefined;
}

/** Which items to delete. */
export interface RecordDeleteOptions extends CallOptions {
  /** Absent: the whole record. None: nothing. `undefined` is refused: it may be an oversight. */
  readonly keys?: Iterable<Value> & object;
}

/** How to read a whole record. */
export interface RecordScanOptions extends CallOptions {
  /** The most items, the first in order of key. Absent or 0: all. */
  readonly limit?: number | undefined;
  /** Where an earlier scan of the record stopped. */
  readonly cursor?: Uint8Array | undefined;
}

/** An item of a scan. */
export interface ScannedItem extends RecordItem {
  /**
   * A later scan goes on behind this item. Only the last item of a page has it. `undefined` in the
   * last item of a scan = the record is at its end.
   */
  readonly cursor: Uint8Array<ArrayBuffer> | undefined;
}

/** What became of a write that was made if the item was as expected. */
export type ItemSwap =
  | { readonly swapped: true }
  /** `actual`: the value that is there instead; `undefined` = no item. */
  | { readonly swapped: false; readonly actual: Uint8Array<ArrayBuffer> | undefined };

const { method } = KeyValueService;
const PUT_NAMES = { id: true, items: true, priority: true } satisfies Record<keyof RecordPut, true>;
const SCAN_OPTIONS = { limit: true, cursor: true, ...CALL_OPTIONS } satisfies Record<
  keyof RecordScanOptions,
  true
>;
const DELETE_OPTIONS = { keys: true, ...CALL_OPTIONS } satisfies Record<keyof RecordDeleteOptions, true>;
const GET_OPTIONS = { start: true, end: true, ...DELETE_OPTIONS } satisfies Record<
  keyof RecordGetOptions,
  true
>;

const PUT = { method: method.put, options: CALL_OPTIONS };
const PUT_BATCH = { method: method.putBatch, options: CALL_OPTIONS };
const GET = { method: method.get, options: GET_OPTIONS };
const DELETE = { method: method.delete, options: DELETE_OPTIONS };
const SCAN = { method: method.scan, options: SCAN_OPTIONS };
const COMPARE_AND_SWAP = { method: method.compareAndSwap, options: CALL_OPTIONS };

/**
 * Records: an id holds items, each a key and a value, in ascending order of the keys' bytes. A
 * record exists while it has an item. Keys of items are text or any bytes, and come as bytes. Every
 * call fails with a `PrismError`.
 *
 * ```ts
 * await client.records.put("user:1", [{ key: "name", value: "alice" }]);
 * const items = await client.records.get("user:1", { start: "a", end: "o" });
 * ```
 */
export type RecordsApi = ReturnType<typeof createRecordsApi>;

/** The calls of {@link RecordsApi}. */
export function createRecordsApi(invoker: Invoker) {
  return {
    ...idCalls(invoker),

    /** Writes 1 to 1,000 items of a record, all or none. Items with other keys stay. */
    async put(id: string, items: Iterable<NewItem> & object, options: CallOptions = {}): Promise<void> {
      await invoker.unary(PUT, options, (namespace) => ({
        namespace,
        id: toText("id", id),
        items: toArray("items", items, toItem),
      }));
    },

    /**
     * Makes 1 to 1,000 puts, in the order of their priorities, with at most 1,000 items together.
     * Each takes effect whole or not at all. Answers for each whether it was made.
     */
    async putBatch(puts: Iterable<RecordPut> & object, options: CallOptions = {}): Promise<boolean[]> {
      const { responses } = await invoker.unary(PUT_BATCH, options, (namespace) => ({
        namespace,
        requests: toArray("puts", puts, toPut),
      }));
      return responses.map(({ success }) => success);
    },

    /**
     * Items of a record as they were at one moment; an absent record has none. At most 10,000
     * items, with as many bytes together as one value may have: more are for `scan`.
     */
    async get(id: string, options: RecordGetOptions = {}): Promise<RecordItem[]> {
      const { items } = await invoker.unary(GET, options, (namespace) => ({
        namespace,
        id: toText("id", id),
        predicate: { predicate: toPredicate(options) },
      }));
      return items.map(fromItem);
    },

    /** Deletes items, or the whole record. Answers how many items there were. */
    async delete(id: string, options: RecordDeleteOptions = {}): Promise<number> {
      requireKnown(DELETE_OPTIONS, options);
      const isWhole = !("keys" in options);
      const keys = isWhole ? [] : toItemKeys(options.keys);
      // On the wire no keys are the whole record.
      if (!isWhole && keys.length === 0) {
        return 0;
      }
      const { deletedCount } = await invoker.unary(DELETE, options, (namespace) => ({
        namespace,
        id: toText("id", id),
        keys,
      }));
      return deletedCount;
    },

    /**
     * All items of a record, however many. If the connection breaks meanwhile, or the gateway's
     * time limit for one call passes, the scan goes on where it was. Leaving the loop ends the
     * call.
     *
     * ```ts
     * for await (const { key, value } of client.records.scan("user:1")) { ... }
     * ```
     */
    scan(id: string, options: RecordScanOptions = {}): AsyncIterable<ScannedItem, void, undefined> {
      return resumed(SCAN_OPTIONS, options, (rest, token) =>
        invoker.stream(
          SCAN,
          rest,
          (namespace) => toScan(namespace, id, rest, token),
          ({ items, nextCursor }) => {
            const cursor = nextCursor && ownBytes(nextCursor.token);
            const last = items.length - 1;
            return {
              items: items.map((item, i) => ({
                ...fromItem(item),
                cursor: i === last ? cursor : undefined,
              })),
              token: cursor,
            };
          },
        ),
      );
    },

    /**
     * Writes an item if it has the expected value, or if there is none and `undefined` is expected.
     * A mismatch is an answer, not an error. If the call fails with a lost connection, it may have
     * been made: read the item before the next try.
     */
    async compareAndSwap(
      id: string,
      key: Value,
      expected: Value | undefined,
      value: Value,
      options: CallOptions = {},
    ): Promise<ItemSwap> {
      const { success, actualValue } = await invoker.unary(COMPARE_AND_SWAP, options, (namespace) => ({
        namespace,
        id: toText("id", id),
        key: toBytes("key", key),
        ...(expected !== undefined && { oldValue: toBytes("expected", expected) }),
        newValue: toBytes("value", value),
      }));
      return success ? { swapped: true } : { swapped: false, actual: actualValue && ownBytes(actualValue) };
    },
  };
}

function toPut(put: unknown) {
  if (typeof put !== "object" || put === null || Array.isArray(put)) {
    throw invalidField(`puts must be objects with id and items, not ${describe(put)}`);
  }
  requireKnown(PUT_NAMES, put);
  const { id, items, priority = 0 } = put as RecordPut;
  return {
    id: toText("id", id),
    items: toArray("items", items, toItem),
    itemPriorityToken: toSignedInt64("priority", priority),
  };
}

function toItemKeys(keys: unknown): Uint8Array[] {
  if (ArrayBuffer.isView(keys)) {
    throw invalidField("keys must be an array of keys, not one key");
  }
  return toArray("keys", keys, (key) => toBytes("key", key));
}

type Predicate = NonNullable<MessageInitShape<typeof KeyPredicateSchema>["predicate"]>;

function toPredicate({ keys, start, end }: RecordGetOptions): Predicate {
  if (keys === undefined) {
    const startKey = start !== undefined && { startKey: toBytes("start", start) };
    const endKey = end !== undefined && { endKey: toBytes("end", end) };
    return { case: "matchRange", value: { ...startKey, ...endKey } };
  }
  if (start !== undefined || end !== undefined) {
    throw invalidField("keys cannot be given with start or end");
  }
  return { case: "matchKeys", value: { keys: toItemKeys(keys) } };
}

function toScan(namespace: string, id: string, options: RecordScanOptions, token: Uint8Array | undefined) {
  const { limit = 0, cursor } = options;
  const from = token ?? (cursor === undefined ? undefined : toToken("cursor", cursor));
  return {
    namespace,
    id: toText("id", id),
    limit: toInt32("limit", limit),
    ...(from !== undefined && { cursor: { token: from } }),
  };
}
