import type { StoreLog } from "../backend/contract.ts";
import { PrismError } from "../errors.ts";
import { NAMESPACE_PATTERN } from "../limits.ts";
import { type CatalogChanges, changesSince, type SavedNamespace } from "./catalog.ts";
import type { ListedNamespace, NamespaceDirectory, NamespaceState } from "./directory.ts";
import type { StoreSource } from "./open-stores.ts";
import type { NamespaceRegistry, NamespaceSettings } from "./registry.ts";

/** What {@link SavedNamespaces} need. */
export interface SavedNamespacesOptions {
  readonly registry: NamespaceRegistry;
  readonly directory: NamespaceDirectory;
  readonly log: StoreLog;
  /** The source of a store by the operator's name. `undefined` = it is not configured. */
  readonly sourceOf: (backend: string) => StoreSource | undefined;
  /** Whether the configuration file has a namespace of this name, which holds then. */
  readonly isConfigured: (name: string) => boolean;
  /** Called with one that is served and to be deleted. */
  readonly onDeleting: (namespace: SavedNamespace) => void;
  /** Called when one cannot be served: `serve` may succeed later. */
  readonly onDegraded: () => void;
}

/**
 * The namespaces that the catalog keeps, as far as that is known here, and which of them the
 * registry has. The directory hears how each is. One that cannot be served is degraded. Changes
 * come one at a time, and none is made to the catalog here.
 */
export class SavedNamespaces {
  readonly #options: SavedNamespacesOptions;
  readonly #saved = new Map<string, SavedNamespace>();
  /** Those of {@link #saved} that the registry has, with their stores. */
  readonly #served = new Map<string, StoreSource>();

  constructor(options: SavedNamespacesOptions) {
    this.#options = options;
  }

  get all(): readonly SavedNamespace[] {
    return [...this.#saved.values()];
  }

  get(name: string): SavedNamespace | undefined {
    return this.#saved.get(name);
  }

  has(name: string): boolean {
    return this.#saved.has(name);
  }

  isServed(name: string): boolean {
    return this.#served.has(name);
  }

  /** Those that are not served. */
  get waiting(): readonly SavedNamespace[] {
    return this.all.filter(({ name }) => !this.#served.has(name));
  }

  /** What has changed since the catalog was last known here, by what it keeps now. */
  changesTo(kept: readonly SavedNamespace[]): CatalogChanges {
    return changesSince(this.#saved, kept);
  }

  /** Takes over what has changed in the catalog. What is known already changes nothing. */
  async take({ kept, forgotten }: CatalogChanges): Promise<void> {
    for (const { name, version } of forgotten) {
      const saved = this.#saved.get(name);
      if (saved?.version === version) {
        await this.forget(saved);
      }
    }
    const fresh: SavedNamespace[] = [];
    for (const saved of kept) {
      const before = this.#saved.get(saved.name);
      if (before === undefined) {
        this.#saved.set(saved.name, saved);
        fresh.push(saved);
      } else if (before.version !== saved.version) {
        await this.replace(saved);
      }
    }
    await this.serve(fresh);
  }

  /**
   * Serves a new one. Throws {@link PrismError} if it cannot be served. It stays among those that
   * are kept then, until `forget`.
   */
  async make(saved: SavedNamespace, source: StoreSource): Promise<ListedNamespace> {
    this.#saved.set(saved.name, saved);
    this.tell(saved, "provisioning");
    await this.#options.registry.add([settingsOf(saved, source)]);
    this.#served.set(saved.name, source);
    return this.tell(saved, "active");
  }

  /** Puts a newer version of a kept namespace in force. */
  async replace(saved: SavedNamespace): Promise<void> {
    const { name } = saved;
    const before = this.#saved.get(name);
    this.#saved.set(name, saved);
    // One that was deleted and made again before this gateway looked is another one. To another
    // backend somebody moved it by hand.
    const stays = before?.backend === saved.backend && (saved.deleting || !before.deleting);
    if (!stays || !this.#served.has(name) || !(await this.#tookRules(saved))) {
      await this.withdraw(name);
      await this.serve([saved]);
      return;
    }
    this.tell(saved, saved.deleting ? "deleting" : "active");
    if (saved.deleting) {
      this.#options.onDeleting(saved);
    }
  }

  /** Puts the rules of a served namespace in force. Answers false if its store cannot keep them. */
  async #tookRules({ name, rules }: SavedNamespace): Promise<boolean> {
    try {
      await this.#options.registry.setRules(name, rules);
      return true;
    } catch (error) {
      if (isFaultOfOne(error)) {
        return false;
      }
      throw error;
    }
  }

  /** Serves kept namespaces; those of one store together. What cannot be served is degraded. */
  async serve(saved: readonly SavedNamespace[]): Promise<void> {
    const byBackend = Map.groupBy(saved, ({ backend }) => backend);
    for (const [backend, namespaces] of byBackend) {
      const source = this.#options.sourceOf(backend);
      const free = namespaces.filter((namespace) => this.#mayServe(namespace, source));
      if (source === undefined || free.length === 0) {
        continue;
      }
      await this.#serveOn(source, free);
    }
  }

  async #serveOn(source: StoreSource, namespaces: readonly SavedNamespace[]): Promise<void> {
    try {
      await this.#options.registry.add(namespaces.map((namespace) => settingsOf(namespace, source)));
    } catch (err) {
      if (isFaultOfOne(err) && namespaces.length > 1) {
        for (const namespace of namespaces) {
          await this.#serveOn(source, [namespace]);
        }
        return;
      }
      const why = isFaultOfOne(err) ? err.message : `its backend "${source.name}" cannot be opened`;
      if (namespaces.some(({ name }) => this.#options.directory.get(name)?.stateMessage !== why)) {
        this.#options.log.error(
          { backend: source.name, namespaces: namespaces.length, err },
          "namespaces that were made at run time cannot be served",
        );
      }
      for (const namespace of namespaces) {
        this.degrade(namespace, why);
      }
      return;
    }
    for (const namespace of namespaces) {
      this.#served.set(namespace.name, source);
      this.tell(namespace, namespace.deleting ? "deleting" : "active");
      if (namespace.deleting) {
        this.#options.onDeleting(namespace);
      }
    }
  }

  #mayServe(namespace: SavedNamespace, source: StoreSource | undefined): boolean {
    const { name, backend } = namespace;
    if (this.#options.isConfigured(name)) {
      this.#options.log.warn(
        { namespace: name },
        "a namespace that was made at run time is in the configuration file too, which holds",
      );
      return false;
    }
    if (source === undefined || !NAMESPACE_PATTERN.test(name)) {
      this.degrade(
        namespace,
        source === undefined ? `its backend "${backend}" is not configured` : "its name is not valid",
      );
      return false;
    }
    return true;
  }

  /** Tells that one cannot be served, and why. */
  degrade(namespace: SavedNamespace, why: string): void {
    const { name, deleting } = namespace;
    const before = this.#options.directory.get(name);
    if (before?.stateMessage !== why) {
      this.#options.log.warn({ namespace: name, why }, "namespace is degraded");
    }
    this.tell(namespace, deleting ? "deleting" : "degraded", why);
    this.#options.onDegraded();
  }

  /** Takes a kept namespace out of the registry. Calls under way end where they are. */
  async withdraw(name: string): Promise<void> {
    if (this.#served.delete(name)) {
      await this.#options.registry.drop(name);
    }
  }

  /** Forgets a namespace that the catalog has forgotten. */
  async forget(saved: SavedNamespace): Promise<void> {
    this.#saved.delete(saved.name);
    await this.withdraw(saved.name);
    if (!this.#options.isConfigured(saved.name)) {
      this.tell(saved, "deleted");
    }
  }

  /** They are the operator's now. The registry keeps them. */
  handOver(names: readonly string[]): void {
    for (const name of names) {
      this.#saved.delete(name);
      this.#served.delete(name);
    }
  }

  /**
   * A store whose settings changed has another source. Namespaces that cannot go there are
   * withdrawn.
   */
  async moveToNewSources(): Promise<void> {
    const moving = this.all.filter(({ name, backend }) => {
      const source = this.#served.get(name);
      return source !== undefined && source !== this.#options.sourceOf(backend);
    });
    for (const [backend, namespaces] of Map.groupBy(moving, (namespace) => namespace.backend)) {
      const source = this.#options.sourceOf(backend);
      try {
        if (source !== undefined) {
          const settings = namespaces.map((namespace) => settingsOf(namespace, source));
          await this.#options.registry.replace(
            namespaces.map(({ name }) => name),
            settings,
          );
          for (const { name } of namespaces) {
            this.#served.set(name, source);
          }
          continue;
        }
      } catch {
        // Serving them tells what is wrong.
      }
      for (const { name } of namespaces) {
        await this.withdraw(name);
      }
    }
  }

  /** Tells the directory how one is, and answers that. */
  tell(namespace: SavedNamespace, state: NamespaceState, stateMessage = ""): ListedNamespace {
    const { deleting: _, ...facts } = namespace;
    const listed = { ...facts, source: "saved", state, stateMessage } as const;
    this.#options.directory.put(listed);
    return listed;
  }
}

function settingsOf(
  { name, pattern, rules, deleting }: SavedNamespace,
  source: StoreSource,
): NamespaceSettings {
  return { name, pattern, source, rules, drained: deleting };
}

/** Whether the registry refuses a namespace for what is kept of it, and not for its store. */
function isFaultOfOne(error: unknown): error is PrismError {
  return error instanceof PrismError && error.reason === "invalid_field";
}
