import type { Call, StoreLog } from "../backend/contract.ts";
import { abortError, asPrismError, PrismError, type Reason, StartError } from "../errors.ts";
import { DEFAULT_NAMESPACE } from "../limits.ts";
import {
  type CatalogChanges,
  changedMeanwhile,
  type NamespaceCatalog,
  type NamespaceWishes,
  NO_WISHES,
  nameTaken,
  type SavedNamespace,
} from "./catalog.ts";
import { type DeletionTimes, eraserOf, NamespaceDeletion } from "./deletion.ts";
import { type ListedNamespace, NamespaceDirectory } from "./directory.ts";
import type { StoreSource } from "./open-stores.ts";
import type { NamespaceRegistry } from "./registry.ts";
import { checkRules } from "./ruled-stores.ts";
import { type NamespaceRules, NO_RULES, type Pattern } from "./rules.ts";
import { SavedNamespaces } from "./saved-namespaces.ts";
import { Serial } from "./serial.ts";

/** The most changes that wait for others. */
const MAX_WAITING_CHANGES = 256;

/** How long until a catalog, or the store of a degraded namespace, is tried again. */
const RETRY_MS = 2_000;

/** After a change that failed for one of these the catalog is not as it was known. */
const WORTH_READING: readonly Reason[] = ["namespace_exists", "conflict", "outcome_unknown"];

/** A namespace of the configuration file. */
export interface ConfiguredNamespace {
  readonly name: string;
  readonly pattern: Pattern;
  /** The name of its store. */
  readonly backend: string;
  /** Absent = {@link NO_RULES}. */
  readonly rules?: NamespaceRules;
}

/** What is asked for with a new namespace. */
export interface NewNamespace {
  readonly name: string;
  readonly pattern: Pattern;
  readonly backend: string;
  readonly rules: NamespaceRules;
  readonly wishes: NamespaceWishes;
}

/** What is to replace a namespace's own. Absent = as it is. */
export interface NamespaceChange {
  readonly pattern?: Pattern;
  readonly backend?: string;
  readonly limits?: NamespaceRules["limits"];
  readonly ttl?: NamespaceRules["ttl"];
  /** Only for a namespace for time series; elsewhere it changes nothing. */
  readonly timeseries?: NamespaceRules["timeseries"];
  readonly access?: NamespaceRules["access"];
  readonly wishes?: Partial<NamespaceWishes>;
}

/** What a controller is made from. */
export interface ControllerOptions {
  readonly registry: NamespaceRegistry;
  readonly catalog: NamespaceCatalog;
  readonly configured: readonly ConfiguredNamespace[];
  /** The stores by the operator's names: one source for each, which its namespaces share. */
  readonly sources: ReadonlyMap<string, StoreSource>;
  readonly log: StoreLog;
  /** True: a catalog that an operator has to mend ends the start. */
  readonly needsCatalog: boolean;
  /** Absent = those of `deletion.ts`. */
  readonly times?: DeletionTimes;
}

/**
 * The one owner of which namespaces there are: those of the configuration file, and those that were
 * made at run time, which the catalog keeps. It puts them into the registry.
 *
 * A change is kept before it takes effect. So at every point of a crash a namespace is kept and
 * will be served, or it is not there at all.
 */
export class NamespaceController {
  /** All namespaces, for who reads or follows them. */
  readonly directory = new NamespaceDirectory();
  readonly #registry: NamespaceRegistry;
  readonly #catalog: NamespaceCatalog;
  readonly #log: StoreLog;
  readonly #needsCatalog: boolean;
  readonly #deletion: NamespaceDeletion;
  readonly #changes = new Serial(MAX_WAITING_CHANGES, "changes of namespaces");
  #configured: ReadonlyMap<string, ConfiguredNamespace>;
  #sources: ReadonlyMap<string, StoreSource>;
  readonly #saved: SavedNamespaces;
  #isConnected = false;
  /** Whether the catalog was read. Until then nothing can be changed. */
  #isOpen = false;
  #isAway = false;
  #stopWatching: (() => void) | undefined;
  #retry: NodeJS.Timeout | undefined;
  #syncing: Promise<void> | undefined;
  #isClosed = false;

  constructor({ registry, catalog, configured, sources, log, needsCatalog, times }: ControllerOptions) {
    this.#registry = registry;
    registry.whyAbsent = (name) => this.#whyAbsent(name);
    this.#catalog = catalog;
    this.#configured = byName(configured);
    this.#sources = sources;
    this.#log = log;
    this.#needsCatalog = needsCatalog;
    this.#saved = new SavedNamespaces({
      registry,
      directory: this.directory,
      log,
      sourceOf: (backend) => this.#sources.get(backend),
      isConfigured: (name) => this.#configured.has(name),
      onDeleting: (namespace) => this.#deletion.begin(namespace),
      onDegraded: () => this.#retryLater(),
    });
    this.#deletion = new NamespaceDeletion({
      registry,
      catalog,
      log,
      ...(times && { times }),
      isCurrent: ({ name, version }) => this.#saved.get(name)?.version === version,
      onHeldUp: (namespace, message) => this.#saved.tell(namespace, "deleting", message),
      remove: (namespace) => this.#changes.runAlways(() => this.#removed(namespace)),
    });
  }

  /**
   * Serves the namespaces of the file, then those of the catalog. A catalog that is away is tried
   * again in the background. Throws the error of a store of the file that cannot be opened, and
   * StartError if an operator has to mend the catalog.
   */
  async start(): Promise<void> {
    const configured = [...this.#configured.values()];
    await this.#registry.add(
      configured.map(({ name, pattern, backend, rules }) => ({
        name,
        pattern,
        source: this.#sourceOf(backend),
        ...(rules && { rules }),
      })),
    );
    for (const namespace of configured) {
      this.directory.put(fromFile(namespace));
    }
    // Whoever closes it meanwhile closes the catalog behind this.
    const error = await this.#changes.runAlways(async () =>
      this.#isClosed ? undefined : await this.#openCatalog(),
    );
    if (error instanceof StartError && this.#needsCatalog) {
      throw error;
    }
  }

  /**
   * Makes a namespace and answers it as it is served. Throws {@link PrismError}:
   * `namespace_exists`, `backend_not_found`, and what catalog and store say. Nothing is made then,
   * but for `outcome_unknown`.
   */
  create(asked: NewNamespace, call: Call): Promise<ListedNamespace> {
    return this.#change(call, async () => {
      const { name, backend } = asked;
      const source = this.#sourceOf(backend);
      if (this.directory.get(name) !== undefined || this.#saved.has(name)) {
        throw nameTaken(name);
      }
      this.#expectCatalog();
      const saved = await this.#keeping(() =>
        this.#catalog.save({ ...asked, createdAtMs: Date.now(), deleting: false, version: 0 }),
      );
      try {
        return await this.#saved.make(saved, source);
      } catch (error) {
        await this.#takeBack(saved);
        throw error;
      }
    });
  }

  /**
   * Changes what holds for a namespace. `version` is the one that its reader saw. Throws {@link
   * PrismError}: `namespace_not_found`, `invalid_field` for one of the file, for another backend or
   * pattern, or for rules that its store cannot keep, `conflict`, and what the catalog says.
   */
  update(name: string, change: NamespaceChange, version: number, call: Call): Promise<ListedNamespace> {
    return this.#change(call, async () => {
      const before = this.#changeable(name, version);
      const { pattern = before.pattern, backend = before.backend } = change;
      const { limits, ttl, timeseries, access, wishes } = change;
      if (pattern !== before.pattern) {
        throw new PrismError(
          "invalid_field",
          `namespace.abstraction must be unspecified or ${before.pattern.toUpperCase()}: it stays`,
          { field: "namespace.abstraction" },
        );
      }
      if (backend !== before.backend) {
        throw new PrismError(
          "invalid_field",
          `namespace.backend must be empty or "${before.backend}": a namespace stays on its backend, because another one does not have its data`,
          { field: "namespace.backend" },
        );
      }
      if (before.deleting) {
        throw new PrismError("conflict", `namespace "${name}" is being deleted`);
      }
      const rules = {
        limits: limits ?? before.rules.limits,
        ttl: ttl ?? before.rules.ttl,
        timeseries: (pattern === "timeseries" && timeseries) || before.rules.timeseries,
        access: access ?? before.rules.access,
      };
      const store = this.#registry.find(name)?.backend;
      if (store !== undefined) {
        checkRules(name, rules, store);
      }
      const saved = await this.#keeping(() =>
        this.#catalog.save({ ...before, rules, wishes: { ...before.wishes, ...wishes } }),
      );
      await this.#saved.replace(saved);
      return this.#listed(name);
    });
  }

  /**
   * Begins to delete a namespace and its data. `version` 0 = any. Throws {@link PrismError}:
   * `namespace_not_found`, `invalid_field` for one of the file, `conflict`, `interface_unsupported`
   * if its store cannot remove data, and what the catalog says.
   */
  delete(name: string, version: number, call: Call): Promise<ListedNamespace> {
    return this.#change(call, async () => {
      const before = this.#changeable(name, version);
      if (before.deleting) {
        return this.#listed(name);
      }
      const backend = this.#registry.find(name)?.backend;
      if (this.#saved.isServed(name) && backend !== undefined) {
        eraserOf(backend);
      }
      const saved = await this.#keeping(() => this.#catalog.save({ ...before, deleting: true }));
      await this.#saved.replace(saved);
      return this.#listed(name);
    });
  }

  /**
   * Takes over the namespaces and stores of another configuration. `apply` makes the changes to the
   * registry, as far as the file's namespaces are concerned; nothing else changes meanwhile. Also
   * the file's are those that were made at run time and are now the operator's: `handedOver`. If it
   * throws, all stays as it was.
   */
  reconfigure(
    configured: readonly ConfiguredNamespace[],
    sources: ReadonlyMap<string, StoreSource>,
    apply: (handedOver: readonly string[]) => Promise<void>,
  ): Promise<void> {
    return this.#changes.runAlways(async () => {
      const after = byName(configured);
      const handedOver = await this.#handOver(
        [...after.keys()].filter((name) => this.#saved.has(name) && !this.#configured.has(name)),
      );
      await apply(handedOver);
      this.#saved.handOver(handedOver);
      const before = this.#configured;
      this.#configured = after;
      this.#sources = sources;
      for (const namespace of before.values()) {
        if (!after.has(namespace.name)) {
          this.directory.put({ ...fromFile(namespace), state: "deleted" });
        }
      }
      for (const namespace of configured) {
        this.directory.put(fromFile(namespace));
      }
      await this.#saved.moveToNewSources();
      await this.#saved.serve(this.#saved.waiting);
    });
  }

  /**
   * Takes over what has changed in the catalog. Before the catalog was read that is nothing: the
   * changes are in what it will read then. If it throws, the whole catalog is read again soon.
   */
  takeOver(changes: CatalogChanges): Promise<void> {
    return this.#changes.runAlways(async () => {
      if (!this.#isClosed && this.#isOpen) {
        await this.#saved.take(changes).catch((error: unknown) => {
          void this.#syncSoon();
          throw error;
        });
      }
    });
  }

  /** The first step of a shutdown: ends those who follow. Further changes are refused. */
  endFollowers(): void {
    this.#isClosed = true;
    this.directory.end();
  }

  /** Ends work in the background and closes the catalog. Deletions go on at the next start. */
  async close(): Promise<void> {
    this.endFollowers();
    clearTimeout(this.#retry);
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    await this.#deletion.close();
    await this.#changes.runAlways(async () => {
      if (this.#isConnected) {
        await this.#catalog.close();
      }
    });
  }

  /**
   * Checks that the catalog keeps none of these names any more: who keeps it in the configuration
   * file may have made them the operator's there.
   */
  async #handOver(taken: readonly string[]): Promise<readonly string[]> {
    if (taken.length === 0) {
      return taken;
    }
    this.#expectCatalog();
    const kept = new Set(names(await this.#catalog.load()));
    void this.#syncSoon();
    for (const name of taken) {
      if (kept.has(name)) {
        throw nameTaken(name);
      }
      if (this.#saved.get(name)?.deleting) {
        // It was drained, and takes calls again only if it is added.
        await this.#saved.withdraw(name);
      }
    }
    return taken;
  }

  #change<T>(call: Call, step: () => Promise<T>): Promise<T> {
    return this.#changes.run(async () => {
      if (call.aborted) {
        throw abortError(call.signal);
      }
      if (this.#isClosed) {
        throw new PrismError("shutting_down", "the server is shutting down");
      }
      return await step();
    });
  }

  #whyAbsent(name: string): string | undefined {
    if (!this.#isOpen) {
      return "the namespaces that were made at run time are not known yet";
    }
    return this.#saved.has(name) ? `namespace "${name}" cannot be served now` : undefined;
  }

  #sourceOf(backend: string): StoreSource {
    const source = this.#sources.get(backend);
    if (source === undefined) {
      throw new PrismError("backend_not_found", `no backend "${backend}"`, { field: "namespace.backend" });
    }
    return source;
  }

  #listed(name: string): ListedNamespace {
    const listed = this.directory.get(name);
    if (listed === undefined) {
      throw new PrismError("namespace_not_found", `no namespace "${name || DEFAULT_NAMESPACE}"`);
    }
    return listed;
  }

  /** What is kept of a namespace that may be changed. */
  #changeable(name: string, version: number): SavedNamespace {
    if (this.#listed(name).source === "file") {
      throw new PrismError(
        "invalid_field",
        `namespace "${name}" is from the configuration file: change it there`,
        { field: "namespace" },
      );
    }
    this.#expectCatalog();
    const saved = this.#saved.get(name);
    if (saved === undefined || (version !== 0 && version !== saved.version)) {
      throw changedMeanwhile(name);
    }
    return saved;
  }

  #expectCatalog(): void {
    if (!this.#isOpen) {
      throw new PrismError("store_unavailable", "the catalog of namespaces cannot be reached");
    }
  }

  /** Makes a change to the catalog. If the catalog is not as it was known here, it is read. */
  async #keeping(change: () => Promise<SavedNamespace>): Promise<SavedNamespace> {
    try {
      return await change();
    } catch (error) {
      if (error instanceof PrismError && WORTH_READING.includes(error.reason)) {
        void this.#syncSoon();
      }
      throw error;
    }
  }

  /** Nobody was told that it exists, so it must not. */
  async #takeBack(saved: SavedNamespace): Promise<void> {
    const { name, version } = saved;
    try {
      await this.#catalog.remove(name, version);
      await this.#saved.forget(saved);
    } catch (err) {
      this.#log.error({ namespace: name, err }, "a namespace that cannot be served could not be taken back");
      this.#saved.degrade(saved, "it cannot be served");
    }
  }

  /** The last step of a deletion: its data is gone. */
  async #removed({ name, version }: SavedNamespace): Promise<void> {
    await this.#catalog.remove(name, version);
    const saved = this.#saved.get(name);
    if (saved?.version === version) {
      await this.#saved.forget(saved);
    }
  }

  /** Opens and reads the catalog. Answers why that failed; it is tried again then. */
  async #openCatalog(): Promise<unknown> {
    try {
      if (!this.#isConnected) {
        await this.#catalog.open();
        this.#isConnected = true;
      }
      await this.#sync();
    } catch (error) {
      if (!this.#isAway) {
        this.#isAway = true;
        this.#log.error(
          { err: asPrismError(error) },
          "the catalog of namespaces cannot be opened: those that were made at run time are not served",
        );
      }
      this.#retryLater();
      return error;
    }
    this.#isOpen = true;
    this.#isAway = false;
    if (!this.#isClosed) {
      this.#stopWatching = this.#catalog.watch(() => void this.#syncSoon());
    }
    return undefined;
  }

  #retryLater(): void {
    if (!this.#isClosed) {
      this.#retry ??= setTimeout(() => {
        this.#retry = undefined;
        void this.#changes.runAlways(async () => {
          if (!this.#isClosed) {
            await (this.#isOpen ? this.#serveRest() : this.#openCatalog());
          }
        });
      }, RETRY_MS);
    }
  }

  async #serveRest(): Promise<void> {
    await this.#saved.serve(this.#saved.waiting.filter(({ name }) => !this.#configured.has(name)));
  }

  /** Reads the catalog, once for all who ask before it begins. Does not throw. */
  #syncSoon(): Promise<void> {
    this.#syncing ??= this.#changes.runAlways(async () => {
      this.#syncing = undefined;
      if (!this.#isClosed && this.#isOpen) {
        await this.#sync().catch((err) =>
          this.#log.warn({ err }, "the catalog of namespaces cannot be read; it is tried again"),
        );
      }
    });
    return this.#syncing;
  }

  /** Brings this gateway to what the catalog keeps. */
  async #sync(): Promise<void> {
    await this.#saved.take(this.#saved.changesTo(await this.#catalog.load()));
  }
}

function names(namespaces: readonly { readonly name: string }[]): readonly string[] {
  return namespaces.map(({ name }) => name);
}

function byName(configured: readonly ConfiguredNamespace[]): ReadonlyMap<string, ConfiguredNamespace> {
  return new Map(configured.map((namespace) => [namespace.name, namespace]));
}

function fromFile({ name, pattern, backend, rules = NO_RULES }: ConfiguredNamespace): ListedNamespace {
  return {
    name,
    pattern,
    backend,
    rules,
    wishes: NO_WISHES,
    createdAtMs: 0,
    version: 0,
    source: "file",
    state: "active",
    stateMessage: "",
  };
}
