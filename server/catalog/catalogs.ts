import { SILENT, type StoreLog } from "../backend/contract.ts";
import type { Diagnosis } from "../backend/diagnosis.ts";
import type { NamespaceCatalog } from "../namespaces/catalog.ts";
import type { ControlConfig } from "./config.ts";
import { createMemoryCatalog } from "./memory.ts";

/**
 * Loads and makes the catalog that `config` describes. It is not open yet. That in the
 * configuration file is in `config/file-catalog.ts`.
 */
export async function createCatalog(
  config: Exclude<ControlConfig, { readonly type: "file" }>,
  log: StoreLog = SILENT,
): Promise<NamespaceCatalog> {
  switch (config.type) {
    case "memory":
      return createMemoryCatalog(log);
    case "sqlite": {
      const { createSqliteCatalog } = await import("./sqlite.ts");
      return createSqliteCatalog(config);
    }
    case "postgres": {
      const { createPostgresCatalog } = await import("./postgres.ts");
      return createPostgresCatalog(config);
    }
  }
}

/** A catalog's own store. */
export interface CatalogStore {
  /** Without user and password. */
  readonly place: string;
  /** As a room's `diagnose`. */
  diagnose(timeoutMs: number): AsyncGenerator<Diagnosis, void>;
}

/** The store of a catalog; `undefined` = it is in memory, or in the configuration file. */
export async function catalogStoreOf(config: ControlConfig): Promise<CatalogStore | undefined> {
  switch (config.type) {
    case "memory":
    case "file":
      return undefined;
    case "sqlite": {
      const { sqliteCatalogStore } = await import("./sqlite.ts");
      return sqliteCatalogStore(config);
    }
    case "postgres": {
      const { postgresCatalogStore } = await import("./postgres.ts");
      return postgresCatalogStore(config);
    }
  }
}
