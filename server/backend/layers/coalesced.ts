import type { Backend } from "../contract.ts";
import { INTERFACES, type Interface } from "../operations.ts";
import { CallQueue } from "./call-queue.ts";
import { combineItems } from "./wrapped.ts";

/**
 * Lets calls that arrive together, or while others are under way, share a call of the store: of a store on the other side of a
 * network, a call costs the same for one key as for a hundred. A call that arrives alone goes out at once. Calls on one key keep
 * their order. What one is refused for is its answer alone. Scans pass as they are.
 *
 * A call rejects as the store's would, and with PrismError `overloaded` where too much waits already.
 */
export function createCoalescedBackend(inner: Backend): Backend {
  // Each interface has keys of its own, so none of them waits for another.
  const queues = Object.fromEntries(INTERFACES.map((of) => [of, createQueues()])) as Record<
    Interface,
    ReturnType<typeof createQueues>
  >;
  return {
    ...inner,
    ...combineItems([inner], (row, [run], of) => {
      if (run === undefined) {
        throw new Error("no store");
      }
      const queue = queues[of];
      const method = { ...row, run };
      const { kept } = row;
      return kept === undefined
        ? (namespace, items, call) => queue(namespace).add(method, items, call)
        : (namespace, items, call) => queue(namespace).add(method, items.map(kept), call);
    }),
  };
}

/** One queue for each namespace, made when it is first called: namespaces are few, and named by the operator. */
function createQueues(): (namespace: string) => CallQueue {
  const queues = new Map<string, CallQueue>();
  return (namespace) => {
    let queue = queues.get(namespace);
    if (queue === undefined) {
      queue = new CallQueue(namespace);
      queues.set(namespace, queue);
    }
    return queue;
  };
}
