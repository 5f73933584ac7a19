import { PrismError } from "../errors.ts";
import type { NamespaceRules, Pattern } from "./rules.ts";

/** A namespace as it is kept, so that it is there again after a restart and on other gateways. */
export interface SavedNamespace {
  readonly name: string;
  readonly pattern: Pattern;
  /** The operator's name of its store, a key of `backends` or `database`. */
  readonly backend: string;
  readonly rules: NamespaceRules;
  /** What its users expect of it, for people and placement. The gateway enforces none of it. */
  readonly wishes: NamespaceWishes;
  readonly createdAtMs: number;
  /** True: it takes no calls any more, and its data is being removed. */
  readonly deleting: boolean;
  /** Given by the catalog at each change, larger each time; 0 = it was never saved. */
  readonly version: number;
}

/** What is kept of a namespace as it was given. 0, "" and false = not stated. */
export interface NamespaceWishes {
  readonly readRps: number;
  readonly writeRps: number;
  readonly dataSizeGb: number;
  readonly retentionDays: number;
  readonly consistency: string;
  readonly cacheEnabled: boolean;
  readonly cacheTtlSeconds: number;
}

/** What has changed in a catalog. */
export interface CatalogChanges {
  /** New ones, and those that have another version now. */
  readonly kept: readonly SavedNamespace[];
  /** Those that are kept no more, as they were. */
  readonly forgotten: readonly SavedNamespace[];
}

/** What has changed since `known`, by what is kept now. */
export function changesSince(
  known: ReadonlyMap<string, SavedNamespace>,
  kept: readonly SavedNamespace[],
): CatalogChanges {
  const there = new Set(kept.map(({ name }) => name));
  return {
    kept: kept.filter(({ name, version }) => known.get(name)?.version !== version),
    forgotten: [...known.values()].filter(({ name }) => !there.has(name)),
  };
}

/** The wishes of a namespace that states none. */
export const NO_WISHES: NamespaceWishes = {
  readRps: 0,
  writeRps: 0,
  dataSizeGb: 0,
  retentionDays: 0,
  consistency: "",
  cacheEnabled: false,
  cacheTtlSeconds: 0,
};

/**
 * Where namespaces that are made at run time are kept: the configuration file, a SQLite file, or a
 * PostgreSQL database that several gateways share. It throws {@link PrismError}:
 * `store_unavailable` if nothing can be read or kept now, `store_full` if there is no room for it,
 * `outcome_unknown` if it may be kept or not, and those of each method. `catalog/suite.ts` tests
 * each catalog.
 */
export interface NamespaceCatalog {
  /** Opens it and makes what it needs. Throws StartError if an operator has to act. */
  open(): Promise<void>;
  /** All namespaces that it keeps, by name. */
  load(): Promise<readonly SavedNamespace[]>;
  /**
   * Keeps a new namespace (version 0) or a changed one, and answers it with its new version. It is
   * on disk then. Throws `namespace_exists` if a new one's name is taken, and `conflict` if the
   * kept one has another version than the given one.
   */
  save(namespace: SavedNamespace): Promise<SavedNamespace>;
  /** Forgets a namespace. Throws `conflict` if it has another version. */
  remove(name: string, version: number): Promise<void>;
  /**
   * Calls `changed` when something may have changed that this gateway did not change itself, at
   * most a second later. The returned function ends that.
   */
  watch(changed: () => void): () => void;
  /**
   * Runs `work` while no other gateway runs any for this namespace. Answers false, at once, if
   * another one does, or if the kept one has another version. `lost` aborts when others may begin
   * although `work` has not ended. Absent = no other gateway uses this catalog.
   */
  exclusively?(namespace: SavedNamespace, work: (lost: AbortSignal) => Promise<void>): Promise<boolean>;
  close(): Promise<void>;
}

/** The refusal of a new namespace whose name is taken. */
export function nameTaken(name: string): PrismError {
  return new PrismError("namespace_exists", `there is a namespace "${name}" already`);
}

/** The refusal of a change whose version is not the kept one. */
export function changedMeanwhile(name: string): PrismError {
  return new PrismError("conflict", `namespace "${name}" was changed meanwhile: read it again`);
}
