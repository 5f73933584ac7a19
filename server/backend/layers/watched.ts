import type { Backend, FilledListener } from "../contract.ts";
import type { StoreMethod } from "./wrapped.ts";

/**
 * Lets a store tell which lists were filled (`watchFilled`). For a store that only this gateway
 * writes to: whatever fills a list comes through here.
 */
export function createWatchedBackend(inner: Backend): Backend {
  const { lists, listMoves } = inner;
  const listeners = new Set<FilledListener>();

  /** A write that may have taken effect is told, also if it failed. */
  function telling<Item, Answers>(
    method: StoreMethod<readonly Item[], Answers>,
    filledBy: (item: Item) => string,
  ): StoreMethod<readonly Item[], Answers> {
    return async (namespace, items, call) => {
      try {
        return await method(namespace, items, call);
      } finally {
        for (const listener of listeners) {
          for (const item of items) {
            listener.filled(namespace, filledBy(item));
          }
        }
      }
    };
  }

  if (lists === undefined) {
    return inner;
  }
  return {
    ...inner,
    lists: { ...lists, push: telling(lists.push, ({ key }) => key) },
    ...(listMoves && { listMoves: { move: telling(listMoves.move, ({ to }) => to) } }),
    watchFilled(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
