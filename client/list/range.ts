import { ListRangeInterface } from "../../gen/prism/interfaces/list/list_range_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "../call.ts";
import { fromInt64, ownBytes, toSignedInt64, toText } from "../convert.ts";

const { method } = ListRangeInterface;

const GET_RANGE = { method: method.getRange, options: CALL_OPTIONS };
const TRIM = { method: method.trim, options: CALL_OPTIONS };

/** The calls of ListRangeInterface. */
export function rangeCalls(invoker: Invoker) {
  return {
    /**
     * The values from one place to another, both included, from the left. 0 is the leftmost place,
     * -1 the rightmost; a place beyond the list is its end. The gateway waits for a slow reader.
     * Leaving the loop ends the call. While a long range is read, changes at its left move the
     * values behind them, which may then come twice or be left out.
     *
     * ```ts
     * for await (const value of client.list.range("queue", 0, 9)) { ... } // the first ten
     * ```
     */
    range(
      listKey: string,
      start = 0,
      stop = -1,
      options: CallOptions = {},
    ): AsyncIterable<Uint8Array<ArrayBuffer>, void, undefined> {
      return invoker.stream(
        GET_RANGE,
        options,
        (namespace) => toRequest(namespace, listKey, start, stop),
        ({ value }) => ownBytes(value),
      );
    },

    /**
     * Removes the values outside of a range, which is given as for `range`. Answers the new length;
     * 0 = the list is gone.
     */
    async trim(listKey: string, start: number, stop: number, options: CallOptions = {}): Promise<number> {
      const { newLength } = await invoker.unary(TRIM, options, (namespace) =>
        toRequest(namespace, listKey, start, stop),
      );
      return fromInt64("new_length", newLength);
    },
  };
}

function toRequest(namespace: string, listKey: string, start: number, stop: number) {
  return {
    namespace,
    listKey: toText("listKey", listKey),
    start: toSignedInt64("start", start),
    stop: toSignedInt64("stop", stop),
  };
}
