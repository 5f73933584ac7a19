import { KeyValueBasicInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueBatchInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { KeyValueTransactionInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_transaction_pb.ts";
import { ListBasicInterface } from "../../../gen/prism/interfaces/list/list_basic_pb.ts";
import { KeyValueService } from "../../../gen/prism/keyvalue/v1/keyvalue_pb.ts";
import { PrismError } from "../../errors.ts";
import { answerOf, type Call, type Interfaces, refusalOf } from "../contract.ts";
import { readTooLarge } from "../decide.ts";
import { itemsTooLarge } from "../decide-item.ts";
import {
  type AnswerOf,
  type AnyItemsRow,
  buildInterfaces,
  type ItemOf,
  type ItemsMethod,
  type ItemsName,
  OPERATIONS,
} from "../operations.ts";
import { bytesOfItem } from "../records.ts";
import { type AskBatch, BATCHES, type BatchName, inBatches } from "./batches.ts";
import { fromCommitResponse, toCommitRequest, toHeld, toTtlSeconds } from "./commits.ts";
import { answeredWrongly, toPrismError } from "./errors.ts";
import { eachInOrder } from "./in-order.ts";
import { LIST_EDITS } from "./list-edits.ts";
import type { Ask, Plugin } from "./plugin.ts";
import { fromItem, fromSwapResponse, inOrderOf, isOfScan, readScanPage, toPutRequest } from "./records.ts";
import { STREAMS } from "./streams.ts";

const entry = KeyValueBasicInterface.method;
const transaction = KeyValueTransactionInterface.method;
const list = ListBasicInterface.method;
const record = KeyValueService.method;

/** What the stores of this room need. */
export interface StoreOptions {
  /** The current plugin. Throws PrismError if there is none. */
  readonly plugin: () => Plugin;
  /** The number of milliseconds in a second of the plugin's clock. */
  readonly secondMs: number;
}

/** Makes the call for one item. Throws PrismError. */
type AskItem<Item, Answer> = (
  ask: Ask,
  namespace: string,
  item: Item,
  options: StoreOptions,
  call: Call,
) => Promise<Answer>;

/** The call for each method of the contract that takes items. */
const CALLS: { readonly [M in ItemsName]: AskItem<ItemOf<M>, AnswerOf<M>> } = {
  get: orNothing(undefined, async (ask, namespace, key) => (await ask(entry.get, { namespace, key })).value),
  exists: orNothing(
    false,
    async (ask, namespace, key) => (await ask(entry.exists, { namespace, key })).exists,
  ),
  async set(ask, namespace, { key, value, ttlMs }, { secondMs }) {
    const ttlSeconds = toTtlSeconds(ttlMs, secondMs);
    const { success } = await ask(entry.set, { namespace, key, value, ttlSeconds });
    if (!success) {
      throw answeredWrongly("success: false");
    }
    return undefined;
  },
  delete: orNothing(
    false,
    async (ask, namespace, key) => (await ask(entry.delete, { namespace, key })).found,
  ),
  async read(ask, namespace, read, { secondMs }) {
    const { keys, values, maxBytes } = read;
    const { results } = await ask(transaction.read, { namespace, keys: [...keys], omitValues: !values });
    if (results.length !== keys.length) {
      throw answeredWrongly(`${results.length} entries to ${keys.length} keys`);
    }
    const entries = results.map(({ entry }) => entry && toHeld(entry, secondMs));
    // The plugin has a bound of its own.
    if (values && OPERATIONS.commits.read.answerBytesOf(entries) > maxBytes) {
      return answerOf<never>(readTooLarge(read));
    }
    return entries;
  },
  async commit(ask, namespace, commit, { secondMs }) {
    const response = await ask(transaction.commit, toCommitRequest(namespace, commit, secondMs));
    return fromCommitResponse(response, commit, secondMs);
  },
  async push(ask, namespace, { key, end, value }) {
    const input = { namespace, listKey: key, value };
    const { newLength } = end === "left" ? await ask(list.pushLeft, input) : await ask(list.pushRight, input);
    // After a push a list has at least one value.
    if (newLength < 1n) {
      throw answeredWrongly(`new_length: ${newLength}`);
    }
    return Number(newLength);
  },
  pop: orNothing(undefined, async (ask, namespace, { key, end }) => {
    const input = { namespace, listKey: key };
    const { found, value } =
      end === "left" ? await ask(list.popLeft, input) : await ask(list.popRight, input);
    return found ? value : undefined;
  }),
  length: orNothing(0, async (ask, namespace, key) =>
    Number((await ask(list.length, { namespace, listKey: key })).length),
  ),
  ...LIST_EDITS,
  async putItems(ask, namespace, put, { secondMs }) {
    const { success } = await ask(record.put, toPutRequest(namespace, put, secondMs));
    if (!success) {
      throw answeredWrongly("success: false");
    }
    return undefined;
  },
  async getItems(ask, namespace, read, { secondMs }) {
    const { id, keys, maxBytes } = read;
    const predicate = { predicate: { case: "matchKeys" as const, value: { keys: [...keys] } } };
    const { items } = await ask(record.get, { namespace, id, predicate });
    const held = items.map((item) => fromItem(item, secondMs));
    const bytes = held.reduce((sum, item) => sum + bytesOfItem(item), 0);
    if (bytes > maxBytes) {
      answerOf(itemsTooLarge(read));
    }
    return inOrderOf(keys, held);
  },
  async pageItems(ask, namespace, range, { plugin, secondMs }, call) {
    if (isOfScan(range)) {
      try {
        return await readScanPage(
          (method, input, leaving) =>
            plugin().stream(method, input, call, AbortSignal.any([call.signal, leaving])),
          namespace,
          range,
          secondMs,
        );
      } catch (error) {
        throw toPrismError(error, { call, write: false });
      }
    }
    const { id, start, end } = range;
    const value = { ...(start && { startKey: start }), ...(end && { endKey: end }) };
    const predicate = { predicate: { case: "matchRange" as const, value } };
    const { items } = await ask(record.get, { namespace, id, predicate });
    return { items: items.map((item) => fromItem(item, secondMs)), next: undefined };
  },
  async deleteItems(ask, namespace, { id, keys = [] }) {
    const { deletedCount } = await ask(record.delete, { namespace, id, keys: [...keys] });
    return { deleted: deletedCount, more: false };
  },
  ...STREAMS,
  async swapItem(ask, namespace, { id, key, expected, value }) {
    const input = { namespace, id, key, newValue: value, ...(expected && { oldValue: expected }) };
    return fromSwapResponse(await ask(record.compareAndSwap, input));
  },
};

/**
 * Entries, conditional writes, lists, records and streams of a plugin. The items of a call go as
 * one batch, where the plugin has batches and they are of one caller. Else each item is its own
 * call.
 */
export function createStores(options: StoreOptions): Interfaces {
  return buildInterfaces((_, method, row) => {
    if (row.takes !== "items") {
      return undefined;
    }
    const askItem = CALLS[method as ItemsName] as AskItem<unknown, unknown>;
    const askBatch = BATCHES[method as BatchName] as AskBatch<unknown, unknown> | undefined;
    return createMethod(row, { askItem, askBatch }, options);
  });
}

/** The ways in which items are sent. */
interface Ways {
  readonly askItem: AskItem<unknown, unknown>;
  /** `undefined` = the wire has no batch of these. */
  readonly askBatch: AskBatch<unknown, unknown> | undefined;
}

function createMethod(
  row: AnyItemsRow,
  { askItem, askBatch }: Ways,
  options: StoreOptions,
): ItemsMethod<unknown, unknown> {
  const { keyOf, keysOf = (item: unknown) => [keyOf(item)], kept, writes } = row;
  return async (namespace, items, call) => {
    const ask: Ask = (method, input) => options.plugin().ask(method, input, call, writes);
    // The first call of a batch is written in this turn. The items of the others must outlive their
    // request, so they are copied.
    const mine = kept === undefined || items.length === 1 ? items : items.map(kept);
    let done = 0;
    const answer = async (item: unknown) => {
      try {
        const answered = await askItem(ask, namespace, item, options, call);
        done++;
        return answered;
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal === undefined) {
          throw error;
        }
        return refusal;
      }
    };
    const oneByOne = (some: readonly unknown[]) => eachInOrder(some, keysOf, answer);
    const hasBatch =
      askBatch !== undefined &&
      items.length > 1 &&
      call.each !== true &&
      options.plugin().lacks?.has(KeyValueBatchInterface.typeName) === false;
    const batch = async (some: readonly unknown[]) => {
      const answers = await askBatch?.(ask, namespace, some, options);
      done += some.length;
      return answers ?? [];
    };
    try {
      return await (hasBatch ? inBatches(mine, row, { batch, oneByOne }) : oneByOne(mine));
    } catch (error) {
      throw writes && done > 0 ? new PrismError("outcome_unknown", PARTLY_DONE, { cause: error }) : error;
    }
  };
}

const PARTLY_DONE = "a part of the batch took effect, and a part did not";

/** A call that answers `nothing` when the plugin says NOT_FOUND for the key. */
function orNothing<Item, Answer>(nothing: Answer, ask: AskItem<Item, Answer>): AskItem<Item, Answer> {
  return async (...args) => {
    try {
      return await ask(...args);
    } catch (error) {
      if (error instanceof PrismError && error.reason === "key_not_found") {
        return nothing;
      }
      throw error;
    }
  };
}
