import type { Backend, Interfaces } from "../backend/contract.ts";
import { narrow } from "../backend/narrowed.ts";

/**
 * Makes a store. Namespaces with the same source object share one store. Another source makes
 * another store, even under the same name.
 */
export interface StoreSource {
  /** The operator's name for it. */
  readonly name: string;
  /** Makes a store and opens it. Throws {@link PrismError} and leaves nothing open then. */
  open(): Promise<Backend>;
}

/** A store that is open or closing. */
export interface OpenStore {
  readonly source: StoreSource;
  readonly backend: Backend;
  /** The same store for calls with `keyPrefixes`. */
  readonly narrowed: Interfaces;
  /** The namespaces on it, including those whose calls have yet to end. */
  users: number;
  /** Resolves when it is closed, even if closing failed. `undefined` = it is open. */
  closing: Promise<void> | undefined;
}

/** The stores in use. Each is opened for its first namespace and closed once, after the last. */
export class OpenStores {
  readonly #stores = new Map<StoreSource, OpenStore>();
  readonly #onCloseFailed: (source: StoreSource, error: unknown) => void;

  /** `onCloseFailed` is called for each store that could not be closed. */
  constructor(onCloseFailed: (source: StoreSource, error: unknown) => void) {
    this.#onCloseFailed = onCloseFailed;
  }

  /** Those that are open, in the order in which they were opened. */
  get all(): readonly OpenStore[] {
    return [...this.#stores.values()].filter(({ closing }) => closing === undefined);
  }

  /**
   * One store for each source, in order, with a user added each time. All or nothing: if a source
   * cannot be opened this throws its error. One at a time.
   */
  async acquireAll(sources: readonly StoreSource[]): Promise<readonly OpenStore[]> {
    const results = await Promise.allSettled(
      [...new Set(sources)].map(async (source) => [source, await this.#acquire(source)] as const),
    );
    const acquired = new Map(
      results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])),
    );
    const failure = results.find((result) => result.status === "rejected");
    if (failure !== undefined) {
      await Promise.all([...acquired.values()].map((store) => this.release(store)));
      throw failure.reason;
    }
    return sources.map((source, i) => {
      const store = acquired.get(source);
      if (store === undefined) {
        throw new TypeError(`store ${source.name} was not opened`);
      }
      store.users += sources.indexOf(source) === i ? 0 : 1;
      return store;
    });
  }

  /** Removes a user. After the last user it closes the store, and resolves when that is done. */
  async release(store: OpenStore): Promise<void> {
    store.users--;
    if (store.users === 0) {
      await this.#close(store);
    }
  }

  /** Closes all stores, used or not. Throws the first error of a store that cannot be closed. */
  async closeAll(): Promise<void> {
    const failures: unknown[] = [];
    await Promise.all([...this.#stores.values()].map((store) => this.#close(store, failures)));
    if (failures.length > 0) {
      throw failures[0];
    }
  }

  async #acquire(source: StoreSource): Promise<OpenStore> {
    const there = this.#stores.get(source);
    if (there !== undefined && there.closing === undefined) {
      there.users++;
      return there;
    }
    // The next one may need what this one still holds, for example a lock.
    await there?.closing;
    const backend = await source.open();
    const store: OpenStore = { source, backend, narrowed: narrow(backend), users: 1, closing: undefined };
    this.#stores.set(source, store);
    return store;
  }

  #close(store: OpenStore, failures: unknown[] = []): Promise<void> {
    store.closing ??= store.backend
      .close()
      .catch((error: unknown) => {
        failures.push(error);
        this.#onCloseFailed(store.source, error);
      })
      .finally(() => {
        this.#stores.delete(store.source);
      });
    return store.closing;
  }
}
