import { KeyValueTTLInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_ttl_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "../call.ts";
import { fromInt64, toInt64, toText } from "../convert.ts";

const { method } = KeyValueTTLInterface;

const EXPIRE = { method: method.expire, options: CALL_OPTIONS };
const GET_TTL = { method: method.getTTL, options: CALL_OPTIONS };
const PERSIST = { method: method.persist, options: CALL_OPTIONS };

/** The calls of KeyValueTTLInterface. */
export function ttlCalls(invoker: Invoker) {
  return {
    /**
     * Makes an entry expire after whole seconds from now, 1 or more. Throws `KeyNotFoundError` if
     * the key is absent or has expired.
     */
    async expire(key: string, ttlSeconds: number, options: CallOptions = {}): Promise<void> {
      await invoker.unary({ ...EXPIRE, key }, options, (namespace) => ({
        namespace,
        key: toText("key", key),
        ttlSeconds: toInt64("ttlSeconds", ttlSeconds),
      }));
    },

    /**
     * The milliseconds until an entry expires; `undefined` = never. Throws `KeyNotFoundError` if
     * the key is absent or has expired.
     */
    async ttl(key: string, options: CallOptions = {}): Promise<number | undefined> {
      const { remainingMs } = await invoker.unary({ ...GET_TTL, key }, options, (namespace) => ({
        namespace,
        key: toText("key", key),
      }));
      return remainingMs === undefined ? undefined : fromInt64("remaining_ms", remainingMs);
    },

    /**
     * Makes an entry never expire. True: it would have expired. Throws `KeyNotFoundError` if the
     * key is absent or has expired.
     */
    async persist(key: string, options: CallOptions = {}): Promise<boolean> {
      const { removed } = await invoker.unary({ ...PERSIST, key }, options, (namespace) => ({
        namespace,
        key: toText("key", key),
      }));
      return removed;
    },
  };
}
