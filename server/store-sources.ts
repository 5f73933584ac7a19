import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import type { Clock } from "./backend/clock.ts";
import type { Backend, StoreLog } from "./backend/contract.ts";
import { createBackend } from "./backend/factory.ts";
import { type BackendConfig, whyNotShared } from "./backend/rooms.ts";
import type { StoreMeter } from "./backend/store-meter.ts";
import type { Config } from "./config/config.ts";
import { PrismError, ReadOnlyError } from "./errors.ts";
import type { StoreSource } from "./namespaces/open-stores.ts";

/** The source of a configured store. */
export interface ConfiguredSource extends StoreSource {
  readonly config: BackendConfig;
}

/** The sources of all configured stores, by the operator's names. */
export type StoreSources = ReadonlyMap<string, ConfiguredSource>;

/** What stores are made with. */
export interface SourceTools {
  readonly log: Logger;
  readonly clock?: Clock | undefined;
  /** How many processes open the stores. */
  readonly processes: number;
  /** Counts the calls of a store, by its name. Absent = nobody does. */
  readonly meterOf?: ((name: string) => StoreMeter) | undefined;
}

/**
 * The sources of the configured stores. A store whose options are those of `before` keeps its
 * source, so its namespaces stay on it.
 */
export function sourcesOf(
  backends: Config["backends"],
  before: StoreSources,
  tools: SourceTools,
): StoreSources {
  return new Map(
    Object.entries(backends).map(([name, config]) => {
      const same = before.get(name);
      return [
        name,
        same !== undefined && isDeepStrictEqual(same.config, config)
          ? same
          : createSource(name, config, tools),
      ];
    }),
  );
}

function createSource(
  name: string,
  config: BackendConfig,
  { log, clock, processes, meterOf }: SourceTools,
): ConfiguredSource {
  return {
    name,
    config,
    async open() {
      const why = processes === 1 ? undefined : whyNotShared(config.type);
      if (why !== undefined) {
        throw new PrismError("invalid_field", why, { field: "namespace.backend" });
      }
      const tools = { log: storeLog(name, log), meter: meterOf?.(name), ...(clock && { clock }) };
      const backend = await createBackend(config, tools);
      await backend.open();
      await warnIfAway(name, backend, log);
      return backend;
    },
  };
}

/** No child of the log: a child keeps its level when that of the log changes. */
function storeLog(backend: string, log: Logger): StoreLog {
  return {
    info: (fields, message) => log.info({ backend, ...fields }, message),
    warn: (fields, message) => log.warn({ backend, ...fields }, message),
    error: (fields, message) => log.error({ backend, ...fields }, message),
  };
}

/** A store that is a separate server may start later; until then its namespaces fail. */
async function warnIfAway(name: string, backend: Backend, log: Logger): Promise<void> {
  try {
    await backend.check();
  } catch (error) {
    const err = error instanceof Error && error.cause !== undefined ? error.cause : error;
    const what = error instanceof ReadOnlyError ? "store takes no writes" : "store is away";
    log.warn({ backend: name, type: backend.type, err }, what);
  }
}
