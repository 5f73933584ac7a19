import type { Backend } from "../contract.ts";
import { type Figures, sumFigures } from "../figures.ts";
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
  const queues: Readonly<Record<KeySpace, Queues>> = {
    entries: new Queues(),
    lists: new Queues(),
    records: new Queues(),
  };
  const figures = sumFigures([inner, ...Object.values(queues)]);
  return {
    ...inner,
    ...(figures && { figures }),
    ...combineItems([inner], (row, [run], of) => {
      if (run === undefined) {
        throw new Error("no store");
      }
      const queue = queues[KEY_SPACE_OF[of]];
      const method = { ...row, run };
      const { kept } = row;
      return kept === undefined
        ? (namespace, items, call) => queue.of(namespace).add(method, items, call)
        : (namespace, items, call) => queue.of(namespace).add(method, items.map(kept), call);
    }),
  };
}

/**
 * One queue for each namespace, made at its first call. The number is bounded: the operator names
 * the namespaces.
 */
class Queues {
  readonly #queues = new Map<string, CallQueue>();

  of(namespace: string): CallQueue {
    let queue = this.#queues.get(namespace);
    if (queue === undefined) {
      queue = new CallQueue(namespace);
      this.#queues.set(namespace, queue);
    }
    return queue;
  }

  readonly figures = (): Figures => {
    let queuedCalls = 0;
    let queuedBytes = 0;
    for (const queue of this.#queues.values()) {
      queuedCalls += queue.waitingCalls;
      queuedBytes += queue.waitingBytes;
    }
    return { queuedCalls, queuedBytes };
  };
}
