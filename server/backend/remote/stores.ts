import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { KeyValueBasicInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { ListBasicInterface } from "../../../gen/prism/interfaces/list/list_basic_pb.ts";
import { PrismError } from "../../errors.ts";
import { type Interfaces, refusalOf } from "../contract.ts";
import {
  type AnswerOf,
  type AnyItemsRow,
  buildInterfaces,
  type ItemOf,
  type ItemsMethod,
  type ItemsName,
} from "../operations.ts";
import { eachInOrder } from "./in-order.ts";
import type { Plugin } from "./plugin.ts";

const entry = KeyValueBasicInterface.method;
const list = ListBasicInterface.method;

/** What the stores of the room need. */
export interface StoreOptions {
  /** The plugin that is there now. Throws PrismError where there is none. */
  readonly plugin: () => Plugin;
  /** Milliseconds that a second of the plugin's clock counts. */
  readonly secondMs: number;
}

/** Makes one call to the plugin. */
type Ask = <I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  input: MessageInitShape<I> & { readonly namespace: string },
) => Promise<MessageShape<O>>;

/** What an item is on the wire. Throws PrismError. */
type AskItem<Item, Answer> = (
  ask: Ask,
  namespace: string,
  item: Item,
  options: StoreOptions,
) => Promise<Answer>;

/** Each method of the contract that takes items. */
const CALLS: { readonly [M in ItemsName]: AskItem<ItemOf<M>, AnswerOf<M>> } = {
  get: orNothing(undefined, async (ask, namespace, key) => (await ask(entry.get, { namespace, key })).value),
  exists: orNothing(
    false,
    async (ask, namespace, key) => (await ask(entry.exists, { namespace, key })).exists,
  ),
  async set(ask, namespace, { key, value, ttlMs }, { secondMs }) {
    // The wire counts whole seconds: an entry lives up to one longer than it was asked to, and never shorter.
    const ttlSeconds = BigInt(Math.ceil(ttlMs / secondMs));
    const { success } = await ask(entry.set, { namespace, key, value, ttlSeconds });
    if (!success) {
      throw failed("success: false");
    }
    return undefined;
  },
  delete: orNothing(
    false,
    async (ask, namespace, key) => (await ask(entry.delete, { namespace, key })).found,
  ),
  async push(ask, namespace, { key, end, value }) {
    const input = { namespace, listKey: key, value };
    const { newLength } = end === "left" ? await ask(list.pushLeft, input) : await ask(list.pushRight, input);
    // A list has what was pushed just now.
    if (newLength < 1n) {
      throw failed(`new_length: ${newLength}`);
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
};

/** Entries and lists of a plugin: a call for each item of a batch, so that a batch is not all or none. */
export function createStores(options: StoreOptions): Interfaces {
  return buildInterfaces((_, method, row) =>
    row.takes === "items"
      ? createMethod(row, CALLS[method as ItemsName] as AskItem<unknown, unknown>, options)
      : undefined,
  );
}

function createMethod(
  { keyOf, kept, writes }: AnyItemsRow,
  askItem: AskItem<unknown, unknown>,
  options: StoreOptions,
): ItemsMethod<unknown, unknown> {
  return async (namespace, items, call) => {
    const ask: Ask = (method, input) => options.plugin().ask(method, input, call, writes);
    // The first call of a batch is written before this turn ends; the values of the others must outlive their request.
    const mine = kept === undefined || items.length === 1 ? items : items.map(kept);
    let done = 0;
    const answer = async (item: unknown) => {
      try {
        const answered = await askItem(ask, namespace, item, options);
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
    try {
      return await eachInOrder(mine, keyOf, answer);
    } catch (error) {
      throw writes && done > 0 ? new PrismError("outcome_unknown", PARTLY_DONE, { cause: error }) : error;
    }
  };
}

const PARTLY_DONE = "a part of the batch took effect, and a part did not";

/** A write that the plugin does not refuse by a status, and says that it did not make. */
function failed(answer: string): PrismError {
  return new PrismError("internal", `the plugin failed: it answered the write with ${answer}`);
}

/** A call that answers `nothing` where the plugin tells as NOT_FOUND that the key holds nothing. */
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
