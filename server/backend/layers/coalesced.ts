import type { Backend, EntryStore, EntryWrite, ListEnd, ListStore } from "../contract.ts";
import { CallQueue, type Method } from "./call-queue.ts";

/**
 * Lets calls that arrive together, or while others are under way, share a call of the store: of a store on the other side of a
 * network, a call costs the same for one key as for a hundred. A call that arrives alone goes out at once. Calls on one key keep
 * their order. Where a shared call fails for what may be the fault of one, each is made again alone. Scans pass as they are.
 *
 * A call rejects as the store's would, and with PrismError `overloaded` where too much waits already.
 */
export function createCoalescedBackend(inner: Backend): Backend {
  const { entries, lists } = inner;
  return {
    ...inner,
    ...(entries && { entries: coalesceEntries(entries) }),
    ...(lists && { lists: coalesceLists(lists) }),
  };
}

const itself = (key: string) => key;
const keyOf = ({ key }: { readonly key: string }) => key;
const bytesOfValue = (value: Uint8Array | undefined) => value?.length ?? 0;
const bytesOfKey = (key: string) => key.length;
const bytesOfWrite = ({ key, value }: { readonly key: string; readonly value: Uint8Array }) =>
  key.length + value.length;

/** A write that waits must not change with the buffer of its request. */
function kept<T extends { readonly value: Uint8Array }>(write: T): T {
  return { ...write, value: Buffer.from(write.value) };
}

function coalesceEntries(inner: EntryStore): EntryStore {
  const queue = createQueues();
  const get: Method<string, Uint8Array | undefined> = {
    writes: false,
    keyOf: itself,
    bytesOf: bytesOfKey,
    answerBytesOf: bytesOfValue,
    run: (namespace, keys, call) => inner.get(namespace, keys, call),
  };
  const exists: Method<string, boolean> = {
    writes: false,
    keyOf: itself,
    bytesOf: bytesOfKey,
    run: (namespace, keys, call) => inner.exists(namespace, keys, call),
  };
  const set: Method<EntryWrite, undefined> = {
    writes: true,
    keyOf,
    bytesOf: bytesOfWrite,
    async run(namespace, entries, call) {
      await inner.set(namespace, entries, call);
      return [];
    },
  };
  const remove: Method<string, boolean> = {
    writes: true,
    keyOf: itself,
    bytesOf: bytesOfKey,
    run: (namespace, keys, call) => inner.delete(namespace, keys, call),
  };
  return {
    get: (namespace, keys, call) => queue(namespace).add(get, keys, call),
    exists: (namespace, keys, call) => queue(namespace).add(exists, keys, call),
    async set(namespace, entries, call) {
      await queue(namespace).add(set, entries.map(kept), call);
    },
    delete: (namespace, keys, call) => queue(namespace).add(remove, keys, call),
  };
}

function coalesceLists(inner: ListStore): ListStore {
  const queue = createQueues();
  const push: Method<{ readonly key: string; readonly end: ListEnd; readonly value: Uint8Array }, number> = {
    writes: true,
    keyOf,
    bytesOf: bytesOfWrite,
    run: (namespace, pushes, call) => inner.push(namespace, pushes, call),
  };
  const pop: Method<{ readonly key: string; readonly end: ListEnd }, Uint8Array | undefined> = {
    writes: true,
    keyOf,
    bytesOf: ({ key }) => key.length,
    answerBytesOf: bytesOfValue,
    run: (namespace, pops, call) => inner.pop(namespace, pops, call),
  };
  const length: Method<string, number> = {
    writes: false,
    keyOf: itself,
    bytesOf: bytesOfKey,
    run: (namespace, keys, call) => inner.length(namespace, keys, call),
  };
  return {
    push: (namespace, pushes, call) => queue(namespace).add(push, pushes.map(kept), call),
    pop: (namespace, pops, call) => queue(namespace).add(pop, pops, call),
    length: (namespace, keys, call) => queue(namespace).add(length, keys, call),
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
