import type { Backend, EntryStore, ListStore, ScanStore } from "../backend/contract.ts";
import { PrismError } from "../errors.ts";
import { DEFAULT_NAMESPACE, NAMESPACE_PATTERN } from "../limits.ts";

/** A namespace and the backend that answers for it. Several namespaces may share one backend. */
export interface Namespace {
  readonly name: string;
  readonly backend: Backend;
}

/** Where a call goes: the store, and the name to pass to it. */
export interface Route<Store> {
  /** The namespace's name, never empty. */
  readonly namespace: string;
  readonly store: Store;
}

/**
 * From a namespace's name on the wire ("" means `default`) to the store that answers. Each method throws
 * {@link PrismError} `namespace_not_found`, `invalid_field` where it is no name at all, or `interface_unsupported` where the backend lacks that interface.
 */
export interface NamespaceRouter {
  /** Every namespace, in the order of the configuration. */
  readonly namespaces: readonly Namespace[];
  entries(name: string): Route<EntryStore>;
  scans(name: string): Route<ScanStore>;
  lists(name: string): Route<ListStore>;
}

/** Routes are made once here, so that routing a call is one look-up. */
export function createNamespaceRouter(namespaces: readonly Namespace[]): NamespaceRouter {
  const table = <Store>(pick: (backend: Backend) => Store | undefined, what: string) => {
    const routes = new Map<string, Route<Store> | Namespace>();
    for (const namespace of namespaces) {
      const store = pick(namespace.backend);
      routes.set(namespace.name, store ? { namespace: namespace.name, store } : namespace);
    }
    return (name: string): Route<Store> => {
      const route = routes.get(name === "" ? DEFAULT_NAMESPACE : name);
      if (route === undefined) {
        throw noSuchNamespace(name);
      }
      if ("backend" in route) {
        throw new PrismError(
          "interface_unsupported",
          `namespace "${route.name}" is on a ${route.backend.type} backend, which has no ${what}`,
        );
      }
      return route;
    };
  };
  return {
    namespaces,
    entries: table((backend) => backend.entries, "key-value interface"),
    scans: table((backend) => backend.scans, "scan interface"),
    lists: table((backend) => backend.lists, "list interface"),
  };
}

function noSuchNamespace(name: string): PrismError {
  return name === "" || NAMESPACE_PATTERN.test(name)
    ? new PrismError("namespace_not_found", `no namespace "${name || DEFAULT_NAMESPACE}"`)
    : new PrismError(
        "invalid_field",
        "namespace must be 1 to 63 of a-z, 0-9, '-', '_' and '.', and start with a letter",
        { field: "namespace" },
      );
}
