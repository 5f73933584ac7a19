import { KeyValueCounterInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_counter_pb.ts";
import type { Invoker } from "../call.ts";
import { fromInt64, toSignedInt64, toText } from "../convert.ts";
import { INCREMENT_OPTIONS, type IncrementOptions, toInitial, toTtl } from "./write-options.ts";

const INCREMENT = { method: KeyValueCounterInterface.method.increment, options: INCREMENT_OPTIONS };

/** The calls of KeyValueCounterInterface. */
export function counterCalls(invoker: Invoker) {
  function increment(key: string, delta?: number, options?: IncrementOptions): Promise<number>;
  function increment(key: string, delta: bigint, options?: IncrementOptions): Promise<bigint>;
  async function increment(
    key: string,
    delta: number | bigint = 1,
    options: IncrementOptions = {},
  ): Promise<number | bigint> {
    const { value } = await invoker.unary(INCREMENT, options, (namespace) => ({
      namespace,
      key: toText("key", key),
      delta: toSignedInt64("delta", delta),
      ...toInitial(options),
      ...toTtl(options),
    }));
    return typeof delta === "bigint" ? value : fromInt64("value", value);
  }

  return {
    /**
     * Adds to a counter and answers the sum. An absent counter is made. `get` reads a counter as
     * decimal text. A delta that is a bigint is answered with one. A sum beyond 2^53 needs that:
     * else it is made, but the call fails with reason `internal`. Throws reason `not_a_counter` if
     * the entry holds something else, and `counter_overflow` if the sum has more than 64 bits.
     *
     * ```ts
     * const visits = await client.keyvalue.increment("visits");
     * ```
     */
    increment,
  };
}
