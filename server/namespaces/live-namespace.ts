import {
  type Backend,
  type Call,
  type CallUse,
  type EndableCall,
  type Interfaces,
  keepsWhole,
} from "../backend/contract.ts";
import { INTERFACES, type Interface, type Stores } from "../backend/operations.ts";
import { PrismError } from "../errors.ts";
import type { OpenStore } from "./open-stores.ts";
import { ruledStores } from "./ruled-stores.ts";
import type { NamespaceRules } from "./rules.ts";

/** A namespace and the store that serves it. Several namespaces may share a store. */
export interface Namespace {
  readonly name: string;
  readonly backend: Backend;
  /** The operator's name of that store. */
  readonly backendName: string;
  /** What holds for its calls now. */
  readonly rules: NamespaceRules;
}

/** The destination of a call: the store, and the name to pass to it. */
export interface Route<Store> {
  /** The namespace's name, never empty. */
  readonly namespace: string;
  readonly store: Store;
  /** Whether the store promises that a write of these keys takes effect whole or not at all. */
  readonly keepsWhole: (keys: readonly string[]) => boolean;
  /** What the call has to hold. */
  readonly use: CallUse;
}

/** The route to each interface that a store has. */
export type Routes = { readonly [I in Interface]?: Route<Stores[I]> };

/**
 * A namespace from its first call to the end of its last. It stays on one store for all its life.
 */
export class LiveNamespace implements Namespace, CallUse {
  readonly name: string;
  readonly store: OpenStore;
  /**
   * Made for each set of rules, so that routing a call allocates nothing. Empty once the namespace
   * is drained.
   */
  #routes: Routes;
  /** The same for calls with `keyPrefixes`. `undefined` = there was none yet. */
  #narrowed: Routes | undefined;
  /** True: it takes no new calls any more. */
  isDrained = false;
  callsUnderWay = 0;
  #rules: NamespaceRules;
  /** Calls that wait for something. Nobody waits for their end. */
  readonly #waits = new EndableUses(this);
  /** Scans and ranges of lists, which last as long as their readers want. */
  readonly #scans = new EndableUses(this);
  #idle: PromiseWithResolvers<void> | undefined;

  constructor(name: string, store: OpenStore, rules: NamespaceRules) {
    this.name = name;
    this.store = store;
    this.#rules = rules;
    this.#routes = this.#routesTo(store.backend);
  }

  /** What holds for its calls. Those that are on their way to the store go on as they began. */
  get rules(): NamespaceRules {
    return this.#rules;
  }

  set rules(rules: NamespaceRules) {
    this.#rules = rules;
    if (!this.isDrained) {
      this.#routes = this.#routesTo(this.backend);
      this.#narrowed = undefined;
    }
  }

  get backend(): Backend {
    return this.store.backend;
  }

  get backendName(): string {
    return this.store.source.name;
  }

  /**
   * The routes of a call. One with `keyPrefixes` gets nothing that could touch other keys.
   */
  routesFor({ keyPrefixes }: Call): Routes {
    if (keyPrefixes === undefined) {
      return this.#routes;
    }
    this.#narrowed ??= this.#routesTo(this.store.narrowed);
    return this.#narrowed;
  }

  #routesTo(unruled: Interfaces): Routes {
    const { name: namespace, backend } = this;
    const stores = ruledStores(unruled, namespace, this.#rules);
    const whole = (keys: readonly string[]) => keepsWhole(backend, keys);
    return Object.fromEntries(
      INTERFACES.flatMap((of) => {
        const store = stores[of];
        return store === undefined
          ? []
          : [[of, { namespace, store, keepsWhole: whole, use: this.#useOf(of) }]];
      }),
    );
  }

  #useOf(of: Interface): CallUse {
    switch (of) {
      case "listBlocking":
      case "streamTails":
        return this.#waits;
      case "scans":
      case "listRanges":
        return this.#scans;
      default:
        return this;
    }
  }

  /** Refuses new calls from now on, and ends those that wait. */
  drain(): void {
    this.isDrained = true;
    this.#routes = {};
    this.#narrowed = {};
    this.endWaits(new PrismError("store_unavailable", `namespace "${this.name}" is drained`));
  }

  /** Ends the calls that wait, and from now on each that would wait. */
  endWaits(reason: PrismError): void {
    this.#waits.endAll(reason);
  }

  /** Ends the scans under way. */
  endScans(): void {
    this.#scans.endAll(new PrismError("store_unavailable", `namespace "${this.name}" is being deleted`));
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

/** The calls of a namespace that it may have to end. */
class EndableUses implements CallUse {
  readonly #namespace: LiveNamespace;
  readonly #calls = new Set<EndableCall>();
  /** Why further calls are ended at once. `undefined` = they are not. */
  #ended: PrismError | undefined;

  constructor(namespace: LiveNamespace) {
    this.#namespace = namespace;
  }

  begin(call: EndableCall): void {
    this.#namespace.begin();
    this.#calls.add(call);
    if (this.#ended !== undefined) {
      call.abort(this.#ended);
    }
  }

  end(call: EndableCall): void {
    this.#calls.delete(call);
    this.#namespace.end();
  }

  /** Ends those under way, and from now on each further one. */
  endAll(reason: PrismError): void {
    this.#ended = reason;
    for (const call of this.#calls) {
      call.abort(reason);
    }
  }
}
