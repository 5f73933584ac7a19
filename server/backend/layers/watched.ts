import type {
  Backend,
  FilledListener,
  ListMoveStore,
  ListStore,
  StreamListener,
  StreamStore,
} from "../contract.ts";
import type { StoreMethod } from "./wrapped.ts";

/**
 * Lets a store tell which lists were filled (`watchFilled`) and which streams changed
 * (`watchStreams`). For a store that only this gateway writes to: whatever changes them comes
 * through here. A store that hears of streams by itself goes on to do so, and hears of the writes
 * of this gateway sooner.
 */
export function createWatchedBackend(inner: Backend): Backend {
  const { lists, listMoves, streams } = inner;
  return {
    ...inner,
    ...(lists && watchedLists(lists, listMoves)),
    ...(streams && watchedStreams(streams, inner)),
  };
}

function watchedLists(lists: ListStore, listMoves: ListMoveStore | undefined): Partial<Backend> {
  const listeners = new Set<FilledListener>();
  const filled = (namespace: string, key: string) => {
    for (const listener of listeners) {
      listener.filled(namespace, key);
    }
  };
  return {
    lists: { ...lists, push: telling(lists.push, ({ key }) => key, filled) },
    ...(listMoves && { listMoves: { move: telling(listMoves.move, ({ to }) => to, filled) } }),
    watchFilled: (listener) => added(listeners, listener),
  };
}

function watchedStreams(
  streams: StreamStore,
  { erase, watchStreams }: Pick<Backend, "erase" | "watchStreams">,
): Partial<Backend> {
  const listeners = new Set<StreamListener>();
  const changed = (namespace: string, stream: string) => {
    for (const listener of listeners) {
      listener.changed(namespace, stream);
    }
  };
  const replaced = (namespace: string, stream: string) => {
    for (const listener of listeners) {
      listener.replaced(namespace, stream);
    }
  };
  return {
    streams: {
      ...streams,
      appendEvents: telling(streams.appendEvents, ({ stream }) => stream, changed),
      createStream: telling(streams.createStream, ({ stream }) => stream, replaced),
      deleteStream: telling(streams.deleteStream, (stream) => stream, replaced),
    },
    ...(erase && {
      async erase(namespace, step, call) {
        let isOver = true;
        try {
          const after = await erase(namespace, step, call);
          isOver = after === undefined;
          return after;
        } finally {
          // Nobody knows the names of what went. Told once, because it costs a read for each tail.
          if (isOver) {
            for (const listener of listeners) {
              listener.missed();
            }
          }
        }
      },
    }),
    watchStreams(listener) {
      const stop = added(listeners, listener);
      const stopWatching = watchStreams?.(listener);
      return () => {
        stop();
        stopWatching?.();
      };
    },
  };
}

/** A method that tells what it wrote to. A write may have taken effect also if it failed. */
function telling<Item, Answers>(
  method: StoreMethod<readonly Item[], Answers>,
  nameOf: (item: Item) => string,
  tell: (namespace: string, name: string) => void,
): StoreMethod<readonly Item[], Answers> {
  return async (namespace, items, call) => {
    try {
      return await method(namespace, items, call);
    } finally {
      for (const item of items) {
        tell(namespace, nameOf(item));
      }
    }
  };
}

/** Adds a listener. Answers the function that removes it. */
function added<Listener>(listeners: Set<Listener>, listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
