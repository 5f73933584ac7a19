import { ListBasicInterface } from "../../../gen/prism/interfaces/list/list_basic_pb.ts";
import { InsertSide, ListIndexingInterface } from "../../../gen/prism/interfaces/list/list_indexing_pb.ts";
import { ListMoveInterface, ListEnd as WireEnd } from "../../../gen/prism/interfaces/list/list_move_pb.ts";
import { ListRangeInterface } from "../../../gen/prism/interfaces/list/list_range_pb.ts";
import { PrismError } from "../../errors.ts";
import type { Call } from "../contract.ts";
import { placesOf, restOf } from "../list-range.ts";
import type {
  ListEnd,
  ListInsert,
  ListInsertAnswer,
  ListMove,
  ListPage,
  ListPlace,
  ListPut,
  ListPutAnswer,
  ListRange,
  ListRemove,
  ListSlice,
} from "../lists.ts";
import { ArrayValues } from "../values.ts";
import { toPrismError } from "./errors.ts";
import type { Ask, Plugin } from "./plugin.ts";

const { length } = ListBasicInterface.method;
const { getRange, trim } = ListRangeInterface.method;
const { get, set, insert, remove } = ListIndexingInterface.method;
const { move } = ListMoveInterface.method;

const ENDS: Readonly<Record<ListEnd, WireEnd>> = { left: WireEnd.LEFT, right: WireEnd.RIGHT };
const SIDES: Readonly<Record<ListInsert["side"], InsertSide>> = {
  before: InsertSide.BEFORE,
  after: InsertSide.AFTER,
};

/** The call for each method about ranges, places and moves of lists. */
export const LIST_EDITS = {
  async slice(
    ask: Ask,
    namespace: string,
    slice: ListSlice,
    { plugin }: { readonly plugin: () => Plugin },
    call: Call,
  ): Promise<ListPage> {
    const { key, start, stop, maxEntries, maxBytes } = slice;
    const isCounted = start >= 0 && stop >= 0;
    // Where the places are known, the plugin sends no more values than the page may have.
    const last = isCounted ? Math.min(stop, start + maxEntries - 1) : stop;
    const values: Uint8Array[] = [];
    let bytes = 0;
    const range = { namespace, listKey: key, start: BigInt(start), stop: BigInt(last) };
    const isWhole = await readStream(plugin(), range, call, (value) => {
      bytes += value.length;
      return values.push(value) < maxEntries && bytes < maxBytes;
    });
    if (isWhole) {
      return { values: new ArrayValues(values), next: undefined };
    }
    // Places from the end are resolved with the first page, for which the length is needed.
    const total = isCounted ? stop + 1 : Number((await ask(length, { namespace, listKey: key })).length);
    return { values: new ArrayValues(values), next: restOf(placesOf(slice, total), values.length) };
  },

  async trim(ask: Ask, namespace: string, { key, start, stop }: ListRange): Promise<number> {
    const range = { namespace, listKey: key, start: BigInt(start), stop: BigInt(stop) };
    return Number((await ask(trim, range)).newLength);
  },

  async at(ask: Ask, namespace: string, { key, index }: ListPlace): Promise<Uint8Array | undefined> {
    const { found, value } = await ask(get, { namespace, listKey: key, index: BigInt(index) });
    return found ? value : undefined;
  },

  async put(ask: Ask, namespace: string, { key, index, value }: ListPut): Promise<ListPutAnswer> {
    try {
      await ask(set, { namespace, listKey: key, index: BigInt(index), value });
      return "put";
    } catch (error) {
      switch (error instanceof PrismError ? error.reason : undefined) {
        case "key_not_found":
          return "absent";
        case "index_out_of_range":
          return "outside";
        default:
          throw error;
      }
    }
  },

  async insert(
    ask: Ask,
    namespace: string,
    { key, side, pivot, value }: ListInsert,
  ): Promise<ListInsertAnswer> {
    const input = { namespace, listKey: key, side: SIDES[side], pivot, value };
    const answer = await ask(insert, input);
    return { inserted: answer.inserted, length: Number(answer.length) };
  },

  async remove(ask: Ask, namespace: string, { key, value, count }: ListRemove): Promise<number> {
    return Number((await ask(remove, { namespace, listKey: key, value, count: BigInt(count) })).removed);
  },

  async move(ask: Ask, namespace: string, item: ListMove): Promise<Uint8Array | undefined> {
    const { found, value } = await ask(move, {
      namespace,
      sourceKey: item.key,
      destinationKey: item.to,
      sourceEnd: ENDS[item.end],
      destinationEnd: ENDS[item.toEnd],
    });
    return found ? value : undefined;
  },
};

/**
 * Reads values until `take` answers false, and then ends the stream. Answers whether all were read.
 * A page is a stream of its own, so nothing waits at the plugin for a slow reader.
 */
async function readStream(
  plugin: Plugin,
  range: {
    readonly namespace: string;
    readonly listKey: string;
    readonly start: bigint;
    readonly stop: bigint;
  },
  call: Call,
  take: (value: Uint8Array) => boolean,
): Promise<boolean> {
  const leaving = new AbortController();
  try {
    const signal = AbortSignal.any([call.signal, leaving.signal]);
    const items = await plugin.stream(getRange, range, call, signal);
    for (;;) {
      const { done, value: item } = await items.next();
      if (done === true) {
        return true;
      }
      if (!take(item.value)) {
        return false;
      }
    }
  } catch (error) {
    throw toPrismError(error, { call, write: false });
  } finally {
    leaving.abort();
  }
}
