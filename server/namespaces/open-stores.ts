import type { Backend } from "../backend/contract.ts";

/**
 * Where a store comes from. Namespaces with the same source, the same object, share one store; another
 * source makes another store, also where it has the same name.
 */
export interface StoreSource {
  /** What the operator calls it. */
  readonly name: string;
  /** Makes a store and opens it. Throws {@link PrismError}, and leaves nothing open then. */
  open(): Promise<Backend>;
}

/** A store that is open, or on its way to be closed. */
export interface OpenStore {
  readonly source: StoreSource;
  readonly backend: Backend;
  /** Namespaces on it, those included whose calls have yet to end. */
  users: number;
  /** Resolves when it is closed, also where that failed; `undefined` = it is open. */
  closing: Promise<void> | undefined;
}

/** The stores that namespaces are on. Each is opened with its first user and closed once, after the last. */
export class OpenStores {
  readonly #stores = new Map<StoreSource, OpenStore>();
  readonly #onCloseFailed: (source: StoreSource, error: unknown) => void;

  /** `onCloseFailed` hears of each store that could not be closed. */
  constructor(onCloseFailed: (source: StoreSource, error: unknown) => void) {
    this.#onCloseFailed = onCloseFailed;
  }

  /**
   * A store for each source, in their order, each with one user more for each time that it is there. All or
   * none: throws what the first source does that cannot be opened. One at a time.
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

  /** One user less. Resolves, where that was the last, when the store is closed. */
  async release(store: OpenStore): Promise<void> {
    store.users--;
    if (store.users === 0) {
      await this.#close(store);
    }
  }

  /** Closes all, whoever uses them. Throws what the first does that cannot be closed. */
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
    // What it holds, a lock for example, the next one needs.
    await there?.closing;
    const store: OpenStore = { source, backend: await source.open(), users: 1, closing: undefined };
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
