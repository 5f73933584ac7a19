import {
  type Namespace,
  NamespaceStatus,
  type WatchNamespacesResponse,
} from "../../../gen/prism/control/v1/namespace_pb.ts";

/** The namespaces that there are. */
export interface NamespaceTable {
  /** By their names. It does not change. */
  readonly all: ReadonlyMap<string, Namespace>;
  /** False: there may be more, which have not been told yet. */
  readonly isComplete: boolean;
}

/** Puts together what the stream of WatchNamespaces tells. */
export interface NamespaceReader {
  /** What is known now. While all are told anew it is what was known before. */
  readonly table: NamespaceTable;
  /** Where the next stream goes on. Empty = at the beginning. */
  readonly resumeToken: Uint8Array;
  take(message: Pick<WatchNamespacesResponse, "namespace" | "reset" | "synced" | "resumeToken">): void;
}

/** A reader that was told nothing yet. */
export function createNamespaceReader(): NamespaceReader {
  let all = new Map<string, Namespace>();
  let isComplete = false;
  let before: NamespaceTable | undefined;
  let token = new Uint8Array();
  return {
    get table() {
      return before ?? { all: new Map(all), isComplete };
    },
    get resumeToken() {
      return token;
    },
    take({ namespace, reset, synced, resumeToken }) {
      if (reset) {
        before ??= isComplete ? { all, isComplete } : undefined;
        all = new Map();
        isComplete = false;
      }
      if (namespace?.status === NamespaceStatus.DELETED) {
        all.delete(namespace.name);
      } else if (namespace !== undefined) {
        all.set(namespace.name, namespace);
      }
      if (synced) {
        isComplete = true;
        before = undefined;
      }
      if (resumeToken.length > 0) {
        token = new Uint8Array(resumeToken);
      }
    },
  };
}

/** What a table of namespaces can be ordered by. */
export type NamespaceOrder = "name" | "store" | "calls" | "failures";

/** The calls and failures a second of a namespace. */
export type RateOf = (name: string) => { readonly calls: number; readonly failures: number };

/**
 * Those whose name or store has `text` in it, in order. Names and stores ascend, rates descend;
 * what is equal is in the order of names.
 */
export function chosenNamespaces(
  all: ReadonlyMap<string, Namespace>,
  text: string,
  order: NamespaceOrder,
  rateOf: RateOf,
): Namespace[] {
  const wanted = text.trim().toLowerCase();
  const chosen = [...all.values()].filter(
    ({ name, backend }) => name.includes(wanted) || backend.toLowerCase().includes(wanted),
  );
  chosen.sort((a, b) => compare(a.name, b.name));
  if (order === "store") {
    return chosen.sort((a, b) => compare(a.backend, b.backend));
  }
  if (order === "calls" || order === "failures") {
    const rates = new Map(chosen.map(({ name }) => [name, rateOf(name)[order]]));
    return chosen.sort((a, b) => (rates.get(b.name) ?? 0) - (rates.get(a.name) ?? 0));
  }
  return chosen;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
