import type { Backend } from "../contract.ts";
import { KEY_SPACE_OF, type KeySpace } from "../operations.ts";
import { CallQueue } from "./call-queue.ts";
import { combineItems } from "./wrapped.ts";

/**
 * Lets calls that arrive together, or while others are under way, share one call of the store. Over
 * a network a call costs about the same for one key as for a hundred. A call that arrives alone
 * goes out at once. Calls on one key keep their order. A refused item affects only its own caller.
 * Scans pass unchanged.
 *
 * Rejects as the store does, and with PrismError `overloaded` when too much waits already.
 */
export function createCoalescedBackend(inner: Backend): Backend {
  // Calls on entries need not wait for calls on lists or records.
  const queues: Readonly<Record<KeySpace, (namespace: string) => CallQueue>> = {
    entries: createQueues(),
    lists: createQueues(),
    records: createQueues(),
  };
  return {
    ...inner,
    ...combineItems([inner], (row, [run], of) => {
      if (run === undefined) {
        throw new Error("no store");
      }
      const queue = queues[KEY_SPACE_OF[of]];
      const method = { ...row, run };
      const { kept } = row;
      return kept === undefined
        ? (namespace, items, call) => queue(namespace).add(method, items, call)
        : (namespace, items, call) => queue(namespace).add(method, items.map(kept), call);
    }),
  };
}

/**
 * One queue for each namespace, made at its first call. The number is bounded: the operator names
 * the namespaces.
 */
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
