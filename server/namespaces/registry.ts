import type { Call } from "../backend/contract.ts";
import { INTERFACE_NAMES, type Interface, type Stores } from "../backend/operations.ts";
import { PrismError } from "../errors.ts";
import { DEFAULT_NAMESPACE, MAX_TIMER_MS, NAMESPACE_PATTERN } from "../limits.ts";
import { LiveNamespace, type Namespace, type Route } from "./live-namespace.ts";
import { type OpenStore, OpenStores, type StoreSource } from "./open-stores.ts";
import { checkPattern, checkRules } from "./ruled-stores.ts";
import { type NamespaceRules, NO_RULES, type Pattern } from "./rules.ts";
import { Serial } from "./serial.ts";

/** The most changes that wait for others. */
const MAX_WAITING_CHANGES = 1024;

/** A namespace and the source of its store. */
export interface NamespaceSettings {
  readonly name: string;
  /** Absent = `keyvalue`. */
  readonly pattern?: Pattern;
  readonly source: StoreSource;
  /** Absent = {@link NO_RULES}. */
  readonly rules?: NamespaceRules;
  /** True: it takes no calls; its store is opened all the same. Absent = it takes calls. */
  readonly drained?: boolean;
}

/**
 * Finds the store for a namespace's name on the wire ("" = `default`). A call with `keyPrefixes`
 * gets one that refuses all other keys. It counts `call` as under way until it is over. It throws
 * {@link PrismError}:
 * - `namespace_not_found`, or `invalid_field` for an invalid name;
 * - `interface_unsupported` if the store lacks the interface;
 * - `store_unavailable` while the namespace is drained: a later call finds it served again or gone.
 */
export interface NamespaceRouter {
  route<I extends Interface>(of: I, name: string, call: Call): Route<Stores[I]>;
}

/** A namespace taken out of service. */
export interface Retired {
  /** Resolves when its calls have ended, and its store is closed if nobody else uses it. */
  readonly ended: Promise<void>;
}

/**
 * All namespaces and their stores. A store is opened with its first namespace. It is closed when no
 * namespace uses it and the calls on it have ended. Changes are possible while calls come: a call
 * ends on the store where it began.
 *
 * Changes run one after another, in the order of the requests. A failed change leaves everything as
 * it was. It throws the error of `StoreSource.open`, or {@link PrismError}: `namespace_not_found`,
 * `invalid_field` for a name that is taken or invalid, or a pattern or rules that the store cannot
 * keep, `shutting_down` after `close`, `overloaded` if too many changes wait.
 */
export class NamespaceRegistry implements NamespaceRouter {
  readonly #live = new Map<string, LiveNamespace>();
  readonly #stores: OpenStores;
  /** Each function ends the wait of one `drain`. */
  readonly #waits = new Set<() => void>();
  readonly #onDropped: ((name: string) => void)[] = [];
  readonly #changes = new Serial(MAX_WAITING_CHANGES, "changes of namespaces");
  #isClosed = false;
  /**
   * Why a namespace that is not here may come. Calls on it are `store_unavailable` then, so that no
   * caller takes it for one that does not exist. `undefined` = it does not exist.
   */
  whyAbsent: (name: string) => string | undefined = () => undefined;

  /** Starts empty. `onCloseFailed` is called for each store that could not be closed. */
  constructor(onCloseFailed: (source: StoreSource, error: unknown) => void) {
    this.#stores = new OpenStores(onCloseFailed);
  }

  route<I extends Interface>(of: I, name: string, call: Call): Route<Stores[I]> {
    const namespace = this.#find(name);
    const route: Route<Stores[I]> | undefined = namespace?.routesFor(call)[of];
    if (namespace === undefined || route === undefined) {
      throw this.#refusal(of, name);
    }
    call.hold?.(route.use);
    return route;
  }

  /** The namespace of a name on the wire ("" = `default`); `undefined` = there is none. */
  find(name: string): Namespace | undefined {
    return this.#find(name);
  }

  /**
   * The same. Throws {@link PrismError}: `namespace_not_found`, or `invalid_field` for an invalid
   * name.
   */
  existing(name: string): Namespace {
    return this.#existing(name);
  }

  /** In the order in which they were added. */
  get namespaces(): readonly Namespace[] {
    return [...this.#live.values()];
  }

  /** The open stores, each once, with the operator's names for them. */
  get stores(): readonly OpenStore[] {
    return this.#stores.all;
  }

  /** Calls `listener` with the name of each namespace that is dropped from now on. */
  whenDropped(listener: (name: string) => void): void {
    this.#onDropped.push(listener);
  }

  /** The calls that are under way on all namespaces. */
  get callsUnderWay(): number {
    let calls = 0;
    for (const namespace of this.#live.values()) {
      calls += namespace.callsUnderWay;
    }
    return calls;
  }

  /** Adds all or none. Their stores are opened at the same time. */
  add(settings: readonly NamespaceSettings[]): Promise<void> {
    return this.#change(async () => {
      checkNew(settings, this.#live);
      const stores = await this.#acquire(settings);
      for (const namespace of madeLive(settings, stores)) {
        this.#live.set(namespace.name, namespace);
      }
    });
  }

  /**
   * Moves a namespace to another store. A drained namespace takes calls again, also on the same
   * store.
   */
  change(settings: NamespaceSettings): Promise<Retired> {
    return this.#change(async () => {
      const { name, rules = NO_RULES } = settings;
      const before = this.#existing(name);
      const [store] = await this.#acquire([settings]);
      if (store === undefined) {
        throw new TypeError("one store was asked for, and none came");
      }
      this.#live.set(before.name, new LiveNamespace(before.name, store, rules));
      return this.#retire(before);
    });
  }

  /**
   * Makes `settings` of the namespaces that are called `names`, all or nothing: adds, moves and
   * drops. Every store that is needed is opened first, and then `agreed` may still refuse it all by
   * what it throws. A namespace that stays on its source gets its rules, and no call notices. Other
   * namespaces stay as they are.
   */
  replace(
    names: Iterable<string>,
    settings: readonly NamespaceSettings[],
    agreed: () => Promise<void> = async () => {},
  ): Promise<Retired> {
    return this.#change(async () => {
      const before = new Map<string, LiveNamespace>();
      for (const name of names) {
        const namespace = this.#live.get(name);
        if (namespace !== undefined) {
          before.set(name, namespace);
        }
      }
      checkNew(settings, { has: (name) => this.#live.has(name) && !before.has(name) });
      const moved = settings.filter(({ name, source }) => before.get(name)?.store.source !== source);
      for (const { name, pattern, source, rules = NO_RULES } of settings) {
        const same = before.get(name);
        if (same?.store.source === source) {
          checkPattern(name, pattern, same.backend);
          checkRules(name, rules, same.backend);
        }
      }
      const stores = await this.#acquire(moved, agreed);
      const made = new Map(madeLive(moved, stores).map((namespace) => [namespace.name, namespace]));
      for (const { name, rules = NO_RULES } of settings) {
        const namespace = made.get(name);
        if (namespace !== undefined) {
          this.#live.set(name, namespace);
          continue;
        }
        const same = before.get(name);
        if (same !== undefined) {
          same.rules = rules;
          before.delete(name);
        }
      }
      const ends = [...before.values()].map((namespace) => {
        if (this.#live.get(namespace.name) === namespace) {
          this.#forget(namespace.name);
        }
        return this.#retire(namespace).ended;
      });
      return { ended: Promise.all(ends).then(() => {}) };
    });
  }

  /** Puts other rules in force at once, for calls that begin from now on. */
  setRules(name: string, rules: NamespaceRules): Promise<void> {
    return this.#change(async () => {
      const namespace = this.#existing(name);
      checkRules(namespace.name, rules, namespace.backend);
      namespace.rules = rules;
    });
  }

  /**
   * Refuses new calls and waits for those under way, at most `maxMs`. Answers how many are left. A
   * scan between two pages is under way. The namespace stays drained until it is changed or
   * dropped.
   */
  async drain(name: string, maxMs: number): Promise<number> {
    const namespace = await this.#change(async () => {
      const found = this.#existing(name);
      found.drain();
      return found;
    });
    // Waiting is not part of the change, so it holds up no other change.
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, Math.min(maxMs, MAX_TIMER_MS));
    this.#waits.add(resolve);
    await Promise.race([namespace.whenIdle(), late]);
    this.#waits.delete(resolve);
    clearTimeout(timer);
    return namespace.callsUnderWay;
  }

  /**
   * Ends the scans of a drained namespace. Other calls end by themselves, in their methods' time.
   */
  endScans(name: string): Promise<void> {
    return this.#change(async () => {
      this.#existing(name).endScans();
    });
  }

  /** Removes a namespace. Its data stays in the store. */
  drop(name: string): Promise<Retired> {
    return this.#change(async () => {
      const namespace = this.#existing(name);
      this.#forget(namespace.name);
      return this.#retire(namespace);
    });
  }

  /**
   * The first step of a shutdown: refuses changes, and ends the calls that wait for something
   * (`shutting_down`). Further ones are refused. Other calls go on.
   */
  endWaits(): void {
    this.#isClosed = true;
    for (const namespace of this.#live.values()) {
      namespace.endWaits(shuttingDown());
    }
  }

  /**
   * Removes every namespace and closes every store, each after its calls have ended. Throws the
   * first error of a store that cannot be closed.
   */
  close(): Promise<void> {
    return this.#changes.runAlways(async () => {
      this.#isClosed = true;
      this.#live.clear();
      for (const endWait of this.#waits) {
        endWait();
      }
      await this.#stores.closeAll();
    });
  }

  /**
   * The stores of namespaces, in order. All are given back if one cannot keep its rules or `agreed`
   * throws.
   */
  async #acquire(
    settings: readonly NamespaceSettings[],
    agreed?: () => Promise<void>,
  ): Promise<readonly OpenStore[]> {
    const stores = await this.#stores.acquireAll(settings.map(({ source }) => source));
    try {
      for (const [i, { backend }] of stores.entries()) {
        const { name = "", pattern, rules = NO_RULES } = settings[i] ?? {};
        checkPattern(name, pattern, backend);
        checkRules(name, rules, backend);
      }
      await agreed?.();
      return stores;
    } catch (error) {
      await Promise.all(stores.map((store) => this.#stores.release(store)));
      throw error;
    }
  }

  #find(name: string): LiveNamespace | undefined {
    return this.#live.get(name === "" ? DEFAULT_NAMESPACE : name);
  }

  #existing(name: string): LiveNamespace {
    const namespace = this.#find(name);
    if (namespace === undefined) {
      throw noSuchNamespace(name);
    }
    return namespace;
  }

  #refusal(of: Interface, name: string): PrismError {
    const namespace = this.#find(name);
    if (namespace === undefined) {
      if (this.#isClosed) {
        return shuttingDown();
      }
      const unknown = noSuchNamespace(name);
      const why =
        unknown.reason === "namespace_not_found" ? this.whyAbsent(name || DEFAULT_NAMESPACE) : undefined;
      return why === undefined ? unknown : new PrismError("store_unavailable", why);
    }
    return namespace.isDrained
      ? new PrismError("store_unavailable", `namespace "${namespace.name}" is drained: it takes no new calls`)
      : new PrismError(
          "interface_unsupported",
          `namespace "${namespace.name}" is on a ${namespace.backend.type} backend, which has no ${INTERFACE_NAMES[of]}`,
        );
  }

  #forget(name: string): void {
    this.#live.delete(name);
    for (const listener of this.#onDropped) {
      listener(name);
    }
  }

  #retire(namespace: LiveNamespace): Retired {
    namespace.drain();
    return { ended: namespace.whenIdle().then(() => this.#stores.release(namespace.store)) };
  }

  #change<T>(step: () => Promise<T>): Promise<T> {
    return this.#changes.run(async () => {
      if (this.#isClosed) {
        throw shuttingDown();
      }
      return await step();
    });
  }
}

/** New namespaces on stores that were acquired for them, in order. */
function madeLive(
  settings: readonly NamespaceSettings[],
  stores: readonly OpenStore[],
): readonly LiveNamespace[] {
  return settings.flatMap(({ name, rules = NO_RULES, drained = false }, i) => {
    const store = stores[i];
    if (store === undefined) {
      return [];
    }
    const namespace = new LiveNamespace(name, store, rules);
    if (drained) {
      namespace.drain();
    }
    return [namespace];
  });
}

/** Throws if a name is invalid, taken or repeated. */
function checkNew(settings: readonly NamespaceSettings[], live: Pick<Set<string>, "has">): void {
  const names = new Set<string>();
  for (const { name } of settings) {
    if (!NAMESPACE_PATTERN.test(name)) {
      throw notAName();
    }
    if (live.has(name) || names.has(name)) {
      throw new PrismError("invalid_field", `namespace "${name}" is there already`, { field: "namespace" });
    }
    names.add(name);
  }
}

function shuttingDown(): PrismError {
  return new PrismError("shutting_down", "the server is shutting down");
}

function noSuchNamespace(name: string): PrismError {
  return name === "" || NAMESPACE_PATTERN.test(name)
    ? new PrismError("namespace_not_found", `no namespace "${name || DEFAULT_NAMESPACE}"`)
    : notAName();
}

function notAName(): PrismError {
  return new PrismError(
    "invalid_field",
    "namespace must be 1 to 63 of a-z, 0-9, '-', '_' and '.', and start with a letter",
    { field: "namespace" },
  );
}
