import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { sumOfFigures } from "./backend/figures.ts";
import { placeOf } from "./backend/rooms.ts";
import { hostPort } from "./config/address.ts";
import type { Config } from "./config/config.ts";
import type { Gateway, Load } from "./services/admin.ts";
import type { HealthState } from "./services/health.ts";
import { readVersion } from "./version.ts";

/** The gateway as AdminService tells of it. */
export interface RunningGateway extends Gateway {
  /** Notes where the ports listen. The time counts from here. A worker has no admin port. */
  started(addresses: { readonly data: AddressInfo; readonly admin: AddressInfo | undefined }): void;
}

/** What a gateway is made of. */
interface GatewayParts {
  readonly log: Logger;
  readonly health: HealthState;
  /** Refuses new calls from now on. Resolves when those under way have ended. */
  readonly drain: () => Promise<void>;
  readonly load: Gateway["load"];
}

/** Makes it before the start. `config` is what is in force. */
export function createGateway(
  config: () => Config,
  { log, health, drain, load }: GatewayParts,
): RunningGateway {
  let startedAtMs = Date.now();
  let startedTicks = performance.now();
  let addresses = { data: "", admin: "" };
  return {
    version: readVersion(),
    get limits() {
      return config().limits;
    },
    get backends() {
      const backends = Object.entries(config().backends);
      return new Map(
        backends.map(([name, backend]) => [name, { type: backend.type, place: placeOf(backend) }]),
      );
    },
    get startedAtMs() {
      return startedAtMs;
    },
    get uptimeMs() {
      return performance.now() - startedTicks;
    },
    get serving() {
      return health.serving;
    },
    get addresses() {
      return addresses;
    },
    started({ data, admin }) {
      startedAtMs = Date.now();
      startedTicks = performance.now();
      addresses = { data: hostPort(data), admin: admin === undefined ? "" : hostPort(admin) };
    },
    load,
    async drain(maxMs, { signal }) {
      log.info({ max_wait_ms: maxMs }, "draining");
      const waited = new AbortController();
      const late = delay(maxMs, undefined, {
        signal: AbortSignal.any([signal, waited.signal]),
        ref: false,
      }).catch(() => {});
      await Promise.race([drain(), late]);
      waited.abort();
    },
  };
}

/** How busy several processes are together. */
export function sumOfLoads(loads: readonly Load[]): Load {
  const stores = Map.groupBy(
    loads.flatMap((load) => Object.entries(load.stores)),
    ([name]) => name,
  );
  return {
    callsUnderWay: loads.reduce((sum, { callsUnderWay }) => sum + callsUnderWay, 0),
    stores: Object.fromEntries(
      Array.from(stores, ([name, all]) => [name, sumOfFigures(all.map(([, figures]) => figures))]),
    ),
  };
}
