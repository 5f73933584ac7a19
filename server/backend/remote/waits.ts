import { ListBlockingInterface } from "../../../gen/prism/interfaces/list/list_blocking_pb.ts";
import { PrismError } from "../../errors.ts";
import type { Call, ListBlockingStore } from "../contract.ts";
import type { Plugin } from "./plugin.ts";

const { blockingPopLeft, blockingPopRight } = ListBlockingInterface.method;

/** How much longer than the wait the plugin may take to answer. */
const ANSWER_MS = 10_000;

/**
 * Pops that wait at the plugin, which knows who waits the longest. A value that the plugin has sent
 * when its caller leaves is lost.
 */
export function createWaits(plugin: () => Plugin): ListBlockingStore {
  return {
    async blockingPop(namespace, { key, end, waitMs }, call) {
      const input = { namespace, listKey: key, waitMs: BigInt(waitMs) };
      const bounded = within(call, waitMs + ANSWER_MS);
      try {
        const { found, value } =
          end === "left"
            ? await plugin().ask(blockingPopLeft, input, bounded, true)
            : await plugin().ask(blockingPopRight, input, bounded, true);
        return found ? value : undefined;
      } catch (error) {
        if (error instanceof PrismError && error.reason === "key_not_found") {
          return undefined;
        }
        throw error;
      }
    },
  };
}

/** The same call, with so much time at most. */
function within(call: Call, maxMs: number): Call {
  return {
    get aborted() {
      return call.aborted;
    },
    signal: call.signal,
    trace: call.trace,
    deadlineMs: Math.min(call.deadlineMs ?? Number.POSITIVE_INFINITY, performance.now() + maxMs),
  };
}
