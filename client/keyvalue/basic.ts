import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "../call.ts";
import { ownBytes, toText, type Value } from "../convert.ts";
import { KeyNotFoundError } from "../errors.ts";
import { batchCalls } from "./batch.ts";
import { gatheredGets } from "./gathered-gets.ts";
import { SET_OPTIONS, type SetOptions, toItem, toTtl } from "./write-options.ts";

const { method } = KeyValueBasicInterface;

const SET = { method: method.set, options: SET_OPTIONS };
const GET = { method: method.get, options: CALL_OPTIONS };
const DELETE = { method: method.delete, options: CALL_OPTIONS };
const EXISTS = { method: method.exists, options: CALL_OPTIONS };

/** The calls of KeyValueBasicInterface. */
export function basicCalls(invoker: Invoker) {
  async function getOne(key: string, options: CallOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    const { value } = await invoker.unary({ ...GET, key }, options, (namespace) => ({
      namespace,
      key: toText("key", key),
    }));
    return ownBytes(value);
  }

  const get = invoker.gathersGets
    ? gatheredGets(getOne, batchCalls(invoker).getMany, invoker.namespace)
    : getOne;

  return {
    /** Writes an entry, and replaces an older one with the same key. Text is stored as UTF-8. */
    async set(key: string, value: Value, options: SetOptions = {}): Promise<void> {
      await invoker.unary(SET, options, (namespace) => ({
        namespace,
        ...toItem(key, value),
        ...toTtl(options),
      }));
    },

    /**
     * The value of an entry. Throws `KeyNotFoundError` if the key is absent or has expired, and
     * `NamespaceNotFoundError` if the namespace is unknown.
     *
     * ```ts
     * const text = new TextDecoder().decode(await client.keyvalue.get("greeting"));
     * ```
     */
    get,

    /**
     * The value of an entry; `undefined` = the key is absent or has expired. Throws
     * `NamespaceNotFoundError` if the namespace is unknown.
     */
    async find(key: string, options?: CallOptions): Promise<Uint8Array<ArrayBuffer> | undefined> {
      try {
        return await get(key, options);
      } catch (error) {
        if (error instanceof KeyNotFoundError) {
          return undefined;
        }
        throw error;
      }
    },

    /** Deletes an entry. True: it existed. */
    async delete(key: string, options: CallOptions = {}): Promise<boolean> {
      const { found } = await invoker.unary(DELETE, options, (namespace) => ({
        namespace,
        key: toText("key", key),
      }));
      return found;
    },

    /** Whether a key exists. Its value may be empty. */
    async exists(key: string, options: CallOptions = {}): Promise<boolean> {
      const { exists } = await invoker.unary(EXISTS, options, (namespace) => ({
        namespace,
        key: toText("key", key),
      }));
      return exists;
    },
  };
}
