import type { Invoker } from "./call.ts";
import { basicCalls } from "./list/basic.ts";
import { blockingCalls } from "./list/blocking.ts";
import { indexingCalls } from "./list/indexing.ts";
import { moveCalls } from "./list/move.ts";
import { nameCalls } from "./list/names.ts";
import { rangeCalls } from "./list/range.ts";

/**
 * Lists: double-ended queues of values. A list exists while it holds a value. Keys are 1 to 1,024
 * bytes of UTF-8. Every call fails with a `PrismError`; a write that fails with
 * `deadline_exceeded`, `canceled`, `outcome_unknown` or a lost connection may have taken effect.
 *
 * ```ts
 * await client.list.pushRight("queue", "job-1");
 * const job = await client.list.popLeft("queue"); // first in, first out
 * ```
 */
export type ListApi = ReturnType<typeof basicCalls> &
  ReturnType<typeof rangeCalls> &
  ReturnType<typeof indexingCalls> &
  ReturnType<typeof moveCalls> &
  ReturnType<typeof blockingCalls> &
  ReturnType<typeof nameCalls>;

/** The calls of {@link ListApi}, one file for each wire service. */
export function createListApi(invoker: Invoker): ListApi {
  return {
    ...basicCalls(invoker),
    ...rangeCalls(invoker),
    ...indexingCalls(invoker),
    ...moveCalls(invoker),
    ...blockingCalls(invoker),
    ...nameCalls(invoker),
  };
}
