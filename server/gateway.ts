import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { placeOf } from "./backend/rooms.ts";
import { hostPort } from "./config/address.ts";
import type { Config } from "./config/config.ts";
import type { Gateway } from "./services/admin.ts";
import type { HealthState } from "./services/health.ts";
import { readVersion } from "./version.ts";

/** The gateway as AdminService tells of it. */
export interface RunningGateway extends Gateway {
  /** Notes where the ports listen. The time counts from here. */
  started(addresses: { readonly data: AddressInfo; readonly admin: AddressInfo }): void;
}

/** What a gateway is made of. */
interface GatewayParts {
  readonly log: Logger;
  readonly health: HealthState;
  /** Refuses new calls from now on. Resolves when those under way have ended. */
  readonly drain: () => Promise<void>;
}

/** Makes it before the start. `config` is what is in force. */
export function createGateway(config: () => Config, { log, health, drain }: GatewayParts): RunningGateway {
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
      addresses = { data: hostPort(data), admin: hostPort(admin) };
    },
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
