import { SILENT, type StoreLog } from "../backend/contract.ts";
import {
  changedMeanwhile,
  type NamespaceCatalog,
  nameTaken,
  type SavedNamespace,
} from "../namespaces/catalog.ts";

/** Keeps namespaces for as long as the process runs, and says so at the first one. */
export function createMemoryCatalog(log: StoreLog = SILENT): NamespaceCatalog {
  const kept = new Map<string, SavedNamespace>();
  let version = 0;

  function expectVersion(name: string, expected: number): void {
    if (kept.get(name)?.version !== expected) {
      throw changedMeanwhile(name);
    }
  }

  return {
    async open() {},
    async load() {
      return [...kept.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    },
    async save(namespace) {
      const { name } = namespace;
      if (namespace.version !== 0) {
        expectVersion(name, namespace.version);
      } else if (kept.has(name)) {
        throw nameTaken(name);
      }
      if (version === 0) {
        log.warn({}, "control is in memory: namespaces that are made at run time end with this process");
      }
      const saved = { ...namespace, version: ++version };
      kept.set(name, saved);
      return saved;
    },
    async remove(name, expected) {
      expectVersion(name, expected);
      kept.delete(name);
    },
    watch: () => () => {},
    async close() {},
  };
}
