import { PrismError } from "../errors.ts";
import {
  type CatalogChanges,
  changesSince,
  type NamespaceCatalog,
  type SavedNamespace,
} from "../namespaces/catalog.ts";

/** The primary's catalog, and what its workers know of it. */
export interface RelayedCatalog extends NamespaceCatalog {
  /**
   * All that it keeps, as far as the workers were told. Throws {@link PrismError}
   * `store_unavailable` before it was read.
   */
  known(): readonly SavedNamespace[];
}

/**
 * The primary's catalog: each change is answered when the workers have taken it over, so that who
 * made a namespace can call it. `tellWorkers` tells them, in the order of its calls, and does not
 * throw. What others changed the workers hear when the primary reads it.
 */
export function relayed(
  catalog: NamespaceCatalog,
  tellWorkers: (changes: CatalogChanges) => Promise<void>,
): RelayedCatalog {
  let known: Map<string, SavedNamespace> | undefined;
  return {
    open: () => catalog.open(),
    async load() {
      const kept = await catalog.load();
      const changes = known && changesSince(known, kept);
      known = new Map(kept.map((namespace) => [namespace.name, namespace]));
      if (changes !== undefined && changes.kept.length + changes.forgotten.length > 0) {
        void tellWorkers(changes);
      }
      return kept;
    },
    async save(namespace) {
      const saved = await catalog.save(namespace);
      known?.set(saved.name, saved);
      await tellWorkers({ kept: [saved], forgotten: [] });
      return saved;
    },
    async remove(name, version) {
      await catalog.remove(name, version);
      const removed = known?.get(name);
      if (removed !== undefined) {
        known?.delete(name);
        await tellWorkers({ kept: [], forgotten: [removed] });
      }
    },
    watch: (changed) => catalog.watch(changed),
    // Workers count as other gateways: their calls end before data is removed.
    async exclusively(namespace, work) {
      if (catalog.exclusively !== undefined) {
        return await catalog.exclusively(namespace, work);
      }
      await work(new AbortController().signal);
      return true;
    },
    close: () => catalog.close(),
    known() {
      if (known === undefined) {
        throw new PrismError(
          "store_unavailable",
          "the namespaces that were made at run time are not known yet",
        );
      }
      return [...known.values()];
    },
  };
}

/** A worker's catalog: it reads what the primary keeps. Changes are the primary's. */
export function readFromPrimary(load: () => Promise<readonly SavedNamespace[]>): NamespaceCatalog {
  const refuse = async () => {
    throw new PrismError("internal", "a worker changes no namespaces");
  };
  return {
    async open() {},
    load,
    save: refuse,
    remove: refuse,
    // The primary tells what changes.
    watch: () => () => {},
    exclusively: async () => false,
    async close() {},
  };
}
