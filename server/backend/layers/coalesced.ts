import type { Backend } from "../contract.ts";
import { type Figures, sumFigures } from "../figures.ts";
import { KEY_SPACE_OF, type KeySpace } from "../operations.ts";
import { CallQueue } from "./call-queue.ts";
import { combineItems } from "./wrapped.ts";

/** The most queues of one key space, except for those with calls. */
const MAX_QUEUES = 4096;

/**
 * Lets calls that arrive together, or while others are under way, share one call of the store. Over
 * a network a call costs about the same for one key as for a hundred. A call that arrives alone
 * goes out at once. Calls on one key keep their order. A refused item affects only its own caller.
 * Scans pass unchanged.
 *
 * Rejects as the store does, and with PrismError `overloaded` when too much waits already.
 */
export function createCoalescedBackend(inner: Backend): Backend {
  // Calls on entries need not wait for calls on lists, records or streams.
  const queues: Readonly<Record<KeySpace, Queues>> = {
    entries: new Queues(),
    lists: new Queues(),
    records: new Queues(),
    streams: new Queues(),
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
 * One queue for each namespace, made at its first call. Once there are `maxQueues`, those without
 * calls are dropped: their namespaces rest or are gone.
 */
export class Queues {
  readonly #queues = new Map<string, CallQueue>();
  readonly #maxQueues: number;
  #dropAt: number;

  constructor(maxQueues = MAX_QUEUES) {
    this.#maxQueues = maxQueues;
    this.#dropAt = maxQueues;
  }

  of(namespace: string): CallQueue {
    const queues = this.#queues;
    let queue = queues.get(namespace);
    if (queue === undefined) {
      if (queues.size >= this.#dropAt) {
        for (const [name, { isIdle }] of queues) {
          if (isIdle) {
            queues.delete(name);
          }
        }
        // Where many are busy, the next look comes after as many new ones.
        this.#dropAt = Math.max(this.#maxQueues, 2 * queues.size);
      }
      queue = new CallQueue(namespace);
      queues.set(namespace, queue);
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
