import type { AddressInfo } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
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

/**
 * Makes it before the start. `drain` refuses new calls from now on, and resolves when those under
 * way have ended.
 */
export function createGateway(
  config: Config,
  { health, drain }: { readonly health: HealthState; readonly drain: () => Promise<void> },
): RunningGateway {
  let startedAtMs = Date.now();
  let startedTicks = performance.now();
  let addresses = { data: "", admin: "" };
  const backends = Object.entries(config.backends).map(
    ([name, backend]) => [name, { type: backend.type, place: placeOf(backend) }] as const,
  );
  return {
    version: readVersion(),
    limits: config.limits,
    backends: new Map(backends),
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
