import { type Backend, type CallUse, keepsWhole } from "../backend/contract.ts";
import { INTERFACES, type Interface, type Stores } from "../backend/operations.ts";
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
  /** Whether the store promises that a write of these keys takes effect whole or not at all. */
  readonly keepsWhole: (keys: readonly string[]) => boolean;
}

/** The route to each interface that a store has. */
export type Routes = { readonly [I in Interface]?: Route<Stores[I]> };

/**
 * A namespace from its first call to the end of its last. It stays on one store for all its life.
 */
export class LiveNamespace implements Namespace, CallUse {
  readonly name: string;
  readonly store: OpenStore;
  /** Made once, so that routing a call allocates nothing. Empty once the namespace is drained. */
  routes: Routes;
  /** True: it takes no new calls any more. */
  isDrained = false;
  callsUnderWay = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(name: string, store: OpenStore) {
    this.name = name;
    this.store = store;
    const { backend } = store;
    const whole = (keys: readonly string[]) => keepsWhole(backend, keys);
    this.routes = Object.fromEntries(
      INTERFACES.flatMap((of) => {
        const has = backend[of];
        return has === undefined ? [] : [[of, { namespace: name, store: has, keepsWhole: whole }]];
      }),
    );
  }

  get backend(): Backend {
    return this.store.backend;
  }

  /** Refuses new calls from now on. */
  drain(): void {
    this.isDrained = true;
    this.routes = {};
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
