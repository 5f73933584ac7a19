import type { Backend, CallUse, EntryStore, ListStore, ScanStore } from "../backend/contract.ts";
import type { OpenStore } from "./open-stores.ts";

/** A namespace and the store that serves it. Several namespaces may share a store. */
export interface Namespace {
  readonly name: string;
  readonly backend: Backend;
}

/** The destination of a call: the store, and the name to pass to it. */
export interface Route<Store> {
  /** The namespace's name, never empty. */
  readonly namespace: string;
  readonly store: Store;
}

/**
 * A namespace from its first call to the end of its last. It stays on one store for all its life.
 */
export class LiveNamespace implements Namespace, CallUse {
  readonly name: string;
  readonly store: OpenStore;
  /**
   * Made once here, so that routing a call allocates nothing. `undefined` = the store lacks the
   * interface, or the namespace is drained.
   */
  entries: Route<EntryStore> | undefined;
  scans: Route<ScanStore> | undefined;
  lists: Route<ListStore> | undefined;
  /** True: it takes no new calls any more. */
  isDrained = false;
  callsUnderWay = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(name: string, store: OpenStore) {
    const { entries, scans, lists } = store.backend;
    this.name = name;
    this.store = store;
    this.entries = entries && { namespace: name, store: entries };
    this.scans = scans && { namespace: name, store: scans };
    this.lists = lists && { namespace: name, store: lists };
  }

  get backend(): Backend {
    return this.store.backend;
  }

  /** Refuses new calls from now on. */
  drain(): void {
    this.isDrained = true;
    this.entries = undefined;
    this.scans = undefined;
    this.lists = undefined;
  }

  /** Resolves when a drained namespace has no calls under way. */
  whenIdle(): Promise<void> {
    this.#idle ??= Promise.withResolvers();
    if (this.callsUnderWay === 0) {
      this.#idle.resolve();
    }
    return this.#idle.promise;
  }

  /** A call starts to use it. */
  begin(): void {
    this.callsUnderWay++;
  }

  /** A call that used it is over. */
  end(): void {
    this.callsUnderWay--;
    if (this.callsUnderWay === 0) {
      this.#idle?.resolve();
    }
  }
}
