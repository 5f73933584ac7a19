import { InsertSide, ListIndexingInterface } from "../../gen/prism/interfaces/list/list_indexing_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "../call.ts";
import { fromInt64, ownBytes, toBytes, toSignedInt64, toText, type Value } from "../convert.ts";

/** What became of an insert. */
export interface Insertion {
  /** False: no value equals the pivot, and the list is as it was. */
  readonly inserted: boolean;
  /** The number of values in the list; 0 = the list is absent. */
  readonly length: number;
}

/** The options of a removal. */
export interface RemoveOptions extends CallOptions {
  /**
   * The most values to remove: positive, the first ones from the left; negative, from the right.
   * Absent or 0: all.
   */
  readonly count?: number | undefined;
}

const { method } = ListIndexingInterface;
const REMOVE_OPTIONS = { count: true, ...CALL_OPTIONS } satisfies Record<keyof RemoveOptions, true>;

const GET = { method: method.get, options: CALL_OPTIONS };
const SET = { method: method.set, options: CALL_OPTIONS };
const INSERT = { method: method.insert, options: CALL_OPTIONS };
const REMOVE = { method: method.remove, options: REMOVE_OPTIONS };

/** The calls of ListIndexingInterface. */
export function indexingCalls(invoker: Invoker) {
  async function insert(
    side: InsertSide,
    listKey: string,
    pivot: Value,
    value: Value,
    options: CallOptions,
  ): Promise<Insertion> {
    const { inserted, length } = await invoker.unary(INSERT, options, (namespace) => ({
      namespace,
      listKey: toText("listKey", listKey),
      side,
      pivot: toBytes("pivot", pivot),
      value: toBytes("value", value),
    }));
    return { inserted, length: fromInt64("length", length) };
  }

  return {
    /**
     * The value in a place; `undefined` = there is no such place, or no list. 0 is the leftmost
     * place, -1 the rightmost.
     */
    async get(
      listKey: string,
      index: number,
      options: CallOptions = {},
    ): Promise<Uint8Array<ArrayBuffer> | undefined> {
      const { found, value } = await invoker.unary(GET, options, (namespace) => ({
        namespace,
        listKey: toText("listKey", listKey),
        index: toSignedInt64("index", index),
      }));
      return found ? ownBytes(value) : undefined;
    },

    /**
     * Replaces the value in a place. Throws `KeyNotFoundError` if there is no list, and reason
     * `index_out_of_range` if it has no such place.
     */
    async set(listKey: string, index: number, value: Value, options: CallOptions = {}): Promise<void> {
      await invoker.unary({ ...SET, key: listKey }, options, (namespace) => ({
        namespace,
        listKey: toText("listKey", listKey),
        index: toSignedInt64("index", index),
        value: toBytes("value", value),
      }));
    },

    /**
     * Inserts a value left of the leftmost one that equals `pivot`. May take time in proportion to
     * the length of the list.
     */
    insertBefore: (listKey: string, pivot: Value, value: Value, options: CallOptions = {}) =>
      insert(InsertSide.BEFORE, listKey, pivot, value, options),

    /** Inserts a value right of the leftmost one that equals `pivot`, as `insertBefore`. */
    insertAfter: (listKey: string, pivot: Value, value: Value, options: CallOptions = {}) =>
      insert(InsertSide.AFTER, listKey, pivot, value, options),

    /**
     * Removes the values that equal `value`. Answers how many. May take time in proportion to the
     * length of the list.
     */
    async remove(listKey: string, value: Value, options: RemoveOptions = {}): Promise<number> {
      const { removed } = await invoker.unary(REMOVE, options, (namespace) => ({
        namespace,
        listKey: toText("listKey", listKey),
        value: toBytes("value", value),
        ...toCount(options),
      }));
      return fromInt64("removed", removed);
    },
  };
}

function toCount({ count = 0 }: RemoveOptions) {
  return { count: toSignedInt64("count", count) };
}
