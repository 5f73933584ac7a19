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

/** What the stores of this room need. */
export interface StoreOptions {
  /** The current plugin. Throws PrismError if there is none. */
  readonly plugin: () => Plugin;
  /** The number of milliseconds in a second of the plugin's clock. */
  readonly secondMs: number;
}

/** Makes one call to the plugin. */
type Ask = <I extends DescMessage, O extends DescMessage>(
  method: DescMethodUnary<I, O>,
  input: MessageInitShape<I> & { readonly namespace: string },
) => Promise<MessageShape<O>>;

/** Makes the call for one item. Throws PrismError. */
type AskItem<Item, Answer> = (
  ask: Ask,
  namespace: string,
  item: Item,
  options: StoreOptions,
) => Promise<Answer>;

/** The call for each method of the contract that takes items. */
const CALLS: { readonly [M in ItemsName]: AskItem<ItemOf<M>, AnswerOf<M>> } = {
  get: orNothing(undefined, async (ask, namespace, key) => (await ask(entry.get, { namespace, key })).value),
  exists: orNothing(
    false,
    async (ask, namespace, key) => (await ask(entry.exists, { namespace, key })).exists,
  ),
  async set(ask, namespace, { key, value, ttlMs }, { secondMs }) {
    // The wire counts whole seconds. Rounding up keeps an entry up to a second longer, never
    // shorter.
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
    // After a push a list has at least one value.
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

/**
 * Entries and lists of a plugin. Each item of a batch is its own call, so a batch is not atomic.
 */
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
    // The first call of a batch is written in this turn. The items of the others must outlive their
    // request, so they are copied.
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

/** The plugin reports success by status, but says that it did not make the write. */
function failed(answer: string): PrismError {
  return new PrismError("internal", `the plugin failed: it answered the write with ${answer}`);
}

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
