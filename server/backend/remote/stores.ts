import { KeyValueBasicInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { ListBasicInterface } from "../../../gen/prism/interfaces/list/list_basic_pb.ts";
import { PrismError } from "../../errors.ts";
import type { EntryStore, ListStore } from "../contract.ts";
import { eachInOrder } from "./in-order.ts";
import type { Plugin } from "./plugin.ts";

const { get, set, exists, delete: remove } = KeyValueBasicInterface.method;
const { pushLeft, pushRight, popLeft, popRight, length } = ListBasicInterface.method;

/** What the stores of the room need. */
export interface StoreOptions {
  /** The plugin that is there now. Throws PrismError where there is none. */
  readonly plugin: () => Plugin;
  /** Milliseconds that a second of the plugin's clock counts. */
  readonly secondMs: number;
}

/** Entries of a plugin: a call for each key of a batch, so that a batch is not all or none. */
export function createEntries({ plugin, secondMs }: StoreOptions): EntryStore {
  return {
    get: (namespace, keys, call) =>
      eachInOrder(keys, itself, async (key) => {
        try {
          return (await plugin().ask(get, { namespace, key }, call, false)).value;
        } catch (error) {
          return nothing(error, undefined);
        }
      }),
    exists: (namespace, keys, call) =>
      eachInOrder(keys, itself, async (key) => {
        try {
          return (await plugin().ask(exists, { namespace, key }, call, false)).exists;
        } catch (error) {
          return nothing(error, false);
        }
      }),
    async set(namespace, entries, call) {
      await eachInOrder(kept(entries), keyOf, async ({ key, value, ttlMs }) => {
        // The wire counts whole seconds: an entry lives up to one longer than it was asked to, and never shorter.
        const ttlSeconds = BigInt(Math.ceil(ttlMs / secondMs));
        const { success } = await plugin().ask(set, { namespace, key, value, ttlSeconds }, call, true);
        if (!success) {
          throw failed("success: false");
        }
      });
    },
    delete: (namespace, keys, call) =>
      eachInOrder(keys, itself, async (key) => {
        try {
          return (await plugin().ask(remove, { namespace, key }, call, true)).found;
        } catch (error) {
          return nothing(error, false);
        }
      }),
  };
}

/** Lists of a plugin. */
export function createLists({ plugin }: StoreOptions): ListStore {
  return {
    push: (namespace, pushes, call) =>
      eachInOrder(kept(pushes), keyOf, async ({ key, end, value }) => {
        const push = { namespace, listKey: key, value };
        const { newLength } =
          end === "left"
            ? await plugin().ask(pushLeft, push, call, true)
            : await plugin().ask(pushRight, push, call, true);
        // A list has what was pushed just now.
        if (newLength < 1n) {
          throw failed(`new_length: ${newLength}`);
        }
        return Number(newLength);
      }),
    pop: (namespace, pops, call) =>
      eachInOrder(pops, keyOf, async ({ key, end }) => {
        const pop = { namespace, listKey: key };
        try {
          const { found, value } =
            end === "left"
              ? await plugin().ask(popLeft, pop, call, true)
              : await plugin().ask(popRight, pop, call, true);
          return found ? value : undefined;
        } catch (error) {
          return nothing(error, undefined);
        }
      }),
    length: (namespace, keys, call) =>
      eachInOrder(keys, itself, async (key) => {
        try {
          return Number((await plugin().ask(length, { namespace, listKey: key }, call, false)).length);
        } catch (error) {
          return nothing(error, 0);
        }
      }),
  };
}

function itself(key: string): string {
  return key;
}

function keyOf({ key }: { readonly key: string }): string {
  return key;
}

/** The first call of a batch is written before this turn ends; the values of the others must outlive the request that they are views of. */
function kept<T extends { readonly value: Uint8Array }>(writes: readonly T[]): readonly T[] {
  return writes.length === 1
    ? writes
    : writes.map((write) => ({ ...write, value: Uint8Array.from(write.value) }));
}

/** A write that the plugin does not refuse by a status, and says that it did not make. */
function failed(answer: string): PrismError {
  return new PrismError("internal", `the plugin failed: it answered the write with ${answer}`);
}

/** What a call answers whose key holds nothing, where the plugin tells that as NOT_FOUND; throws all other errors. */
function nothing<T>(error: unknown, value: T): T {
  if (error instanceof PrismError && error.reason === "key_not_found") {
    return value;
  }
  throw error;
}
