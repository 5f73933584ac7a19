import { PrismError } from "../errors.ts";
import type { NamespaceCatalog, SavedNamespace } from "../namespaces/catalog.ts";

/**
 * The primary's catalog: each change is answered when the workers have taken it over, so that who
 * made a namespace can call it. `tellWorkers` tells them, and does not throw.
 */
export function relayed(catalog: NamespaceCatalog, tellWorkers: () => Promise<void>): NamespaceCatalog {
  return {
    open: () => catalog.open(),
    load: () => catalog.load(),
    async save(namespace) {
      const saved = await catalog.save(namespace);
      await tellWorkers();
      return saved;
    },
    async remove(name, version) {
      await catalog.remove(name, version);
      await tellWorkers();
    },
    watch: (changed) =>
      catalog.watch(() => {
        changed();
        void tellWorkers();
      }),
    // Workers count as other gateways: their calls end before data is removed.
    async exclusively(namespace, work) {
      if (catalog.exclusively !== undefined) {
        return await catalog.exclusively(namespace, work);
      }
      await work(new AbortController().signal);
      return true;
    },
    close: () => catalog.close(),
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
    // The primary tells when to read.
    watch: () => () => {},
    exclusively: async () => false,
    async close() {},
  };
}
