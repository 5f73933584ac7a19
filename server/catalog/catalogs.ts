import { SILENT, type StoreLog } from "../backend/contract.ts";
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
