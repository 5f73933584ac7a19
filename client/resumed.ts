import { type CallOptions, type OptionNames, requireKnown } from "./call.ts";
import { PrismError } from "./errors.ts";

/** The options of a call that can go on where an earlier one stopped. */
interface ResumableOptions extends CallOptions {
  /** The most items. Absent or 0: all. */
  readonly limit?: number | undefined;
}

/** Items that came together. */
export interface Group<Item> {
  readonly items: readonly Item[];
  /** Where a call goes on behind them. `undefined` = they are the last ones. */
  readonly token: Uint8Array | undefined;
}

/**
 * Reads a stream of groups call by call: one that breaks after it got somewhere is followed by
 * another, with what is left of limit and time. So it is with one that ends by the gateway's own
 * time limit. `open` makes a call that goes on at `token`; `undefined` = where `options` say.
 */
export async function* resumed<Options extends ResumableOptions, Item>(
  names: OptionNames,
  options: Options,
  open: (rest: Options, token: Uint8Array | undefined) => AsyncIterable<Group<Item>>,
): AsyncGenerator<Item, void, undefined> {
  requireKnown(names, options);
  const { limit, timeoutMs } = options;
  const startedMs = performance.now();
  let rest = options;
  let token: Uint8Array | undefined;
  let read = 0;
  for (;;) {
    const before = token;
    let isAll = false;
    try {
      for await (const group of open(rest, token)) {
        read += group.items.length;
        isAll = group.token === undefined || read === limit;
        token = group.token ?? token;
        yield* group.items;
      }
      return;
    } catch (error) {
      const leftMs = timeoutMs ? startedMs + timeoutMs - performance.now() : Infinity;
      if (!isPassing(error) || (!isAll && (token === before || leftMs <= 0))) {
        throw error;
      }
      if (isAll) {
        return;
      }
      rest = { ...options, limit: limit && limit - read, timeoutMs: timeoutMs && Math.ceil(leftMs) };
    }
  }
}

/** Whether a call that broke may go on where it was. */
export function isPassing(error: unknown): error is PrismError {
  return error instanceof PrismError && (error.retryable || error.reason === "deadline_exceeded");
}
