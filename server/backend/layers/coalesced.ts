import { PrismError } from "../../errors.ts";
import type { Backend } from "../contract.ts";
import { type Figures, sumFigures } from "../figures.ts";
import { type AnyItemsRow, KEY_SPACE_OF, type KeySpace, keysOfItems } from "../operations.ts";
import { CallQueue } from "./call-queue.ts";
import { combineItems } from "./wrapped.ts";

/** The most queues of one key space, except for those with calls. */
const MAX_QUEUES = 4096;

/** Four times what one queue may hold. */
const MAX_BYTES_OF_KEYS = 256 * 1024 * 1024;

/**
 * Lets calls that arrive together, or while others are under way, share one call of the store. Over
 * a network a call costs about the same for one key as for a hundred. A call that arrives alone
 * goes out at once. Calls on one key keep their order. A refused item affects only its own caller.
 * Scans pass unchanged.
 *
 * Rejects as the store does, and with PrismError `overloaded` when too much waits already.
 */
export function createCoalescedBackend(inner: Backend): Backend {
  return coalesced(inner, () => "");
}

/**
 * The same for the writes of a store whose keys lie on servers that fail and are slow separately:
 * only writes to one key share a call of the store, so none waits for another key's server. Reads,
 * and writes to several keys, go out at once.
 *
 * Each key has a queue with bounds of its own. So `maxBytes` bounds the writes to all keys
 * together: those that wait and those that are under way. A write that is alone may be of any size.
 */
export function createKeyCoalescedBackend(inner: Backend, maxBytes = MAX_BYTES_OF_KEYS): Backend {
  const queued = coalesced(inner, (row, items) => {
    const [key, ...others] = row.writes ? new Set(keysOfItems(row, items)) : [];
    return others.length === 0 ? key : undefined;
  });
  return boundedWrites(queued, maxBytes);
}

/** Refuses a write as `overloaded` if it and those before it hold more than this many bytes. */
function boundedWrites(inner: Backend, maxBytes: number): Backend {
  let held = 0;
  return {
    ...inner,
    ...combineItems([inner], (row, [run]) => {
      if (run === undefined) {
        throw new Error("no store");
      }
      if (!row.writes) {
        return run;
      }
      return async (namespace, items, call) => {
        const bytes = items.reduce((sum: number, item) => sum + row.bytesOf(item), 0);
        if (held > 0 && held + bytes > maxBytes) {
          throw new PrismError("overloaded", "too many calls wait for the store");
        }
        held += bytes;
        try {
          return await run(namespace, items, call);
        } finally {
          held -= bytes;
        }
      };
    }),
  };
}

/** `queueOf` tells which calls of a namespace share; `undefined` = the call shares with none. */
function coalesced(
  inner: Backend,
  queueOf: (row: AnyItemsRow, items: readonly unknown[]) => string | undefined,
): Backend {
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
      return (namespace, given, call) => {
        const items = kept === undefined ? given : given.map(kept);
        const name = queueOf(row, items);
        return name === undefined
          ? run(namespace, items, call)
          : queue.of(namespace, name).add(method, items, call);
      };
    }),
  };
}

/**
 * One queue for each name in a namespace, made at its first call. Once there are `maxQueues`, those
 * without calls are dropped: their namespaces rest or are gone.
 */
export class Queues {
  readonly #queues = new Map<string, CallQueue>();
  readonly #maxQueues: number;
  #dropAt: number;

  constructor(maxQueues = MAX_QUEUES) {
    this.#maxQueues = maxQueues;
    this.#dropAt = maxQueues;
  }

  of(namespace: string, name = ""): CallQueue {
    const queues = this.#queues;
    // A namespace's name has no slash.
    const id = name === "" ? namespace : `${namespace}/${name}`;
    let queue = queues.get(id);
    if (queue === undefined) {
      if (queues.size >= this.#dropAt) {
        for (const [each, { isIdle }] of queues) {
          if (isIdle) {
            queues.delete(each);
          }
        }
        // Where many are busy, the next look comes after as many new ones.
        this.#dropAt = Math.max(this.#maxQueues, 2 * queues.size);
      }
      queue = new CallQueue(namespace);
      queues.set(id, queue);
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
