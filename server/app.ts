import type { AddressInfo } from "node:net";
import type { Logger } from "pino";
import { createAdminPlane } from "./admin-plane.ts";
import type { Clock } from "./backend/clock.ts";
import type { Backend } from "./backend/contract.ts";
import { createBackend } from "./backend/factory.ts";
import type { Config } from "./config/config.ts";
import { createDataPlane } from "./data-plane.ts";
import { ReadOnlyError } from "./errors.ts";
import { LISTEN_BACKLOG, PING_TIMEOUT_MS, STALL_TIMEOUT_MS } from "./limits.ts";
import { createNamespaceRouter } from "./namespaces/router.ts";
import type { TlsMaterial } from "./port/options.ts";
import { createHealthState } from "./services/health.ts";
import { createServices, SERVICES } from "./services/services.ts";
import { readTlsFiles } from "./tls-files.ts";

/** The whole server, built and not yet started. */
export interface App {
  /**
   * Opens the stores, then listens. Throws {@link PrismError} where a store cannot be opened, and Node's own
   * error where an address cannot be had; what was opened by then is closed again.
   */
  start(): Promise<{ readonly data: AddressInfo; readonly admin: AddressInfo }>;
  /** Health says no, calls end, connections close, stores close: in that order. Safe to call once `start` was called. */
  stop(): Promise<void>;
}

/** What a test may put in place of the real thing. */
export interface AppOptions {
  readonly log: Logger;
  readonly clock?: Clock;
  /** False leaves every call to Connect's own handlers, which are the reference of the direct path. */
  readonly directPath?: boolean;
}

/** Builds the server that `config` describes. Reads the TLS files; throws StartError where one cannot be read. */
export async function createApp(config: Config, { log, clock, directPath = true }: AppOptions): Promise<App> {
  const backends = await createBackends(config, log, clock);
  const router = createNamespaceRouter(
    config.namespaces.map(({ name, backend }) => ({ name, backend: needed(backends, backend) })),
  );
  const health = createHealthState(SERVICES.map((service) => service.typeName));
  const { server, admin, limits } = config;
  let adminPort = admin.listen.port;
  const dataPlane = await createDataPlane({
    services: (policy) => createServices({ router, health, limits, policy }),
    log,
    ...server,
    ...limits,
    port: {
      ...server,
      ...limits,
      tls: readTls(config),
      pingTimeoutMs: PING_TIMEOUT_MS,
      stallTimeoutMs: STALL_TIMEOUT_MS,
      backlog: LISTEN_BACKLOG,
    },
    directPath,
    adminPort: () => adminPort,
  });
  const adminPlane = await createAdminPlane({ router, health });

  async function stop(graceMs: number): Promise<void> {
    health.set(false);
    await dataPlane.close(graceMs);
    await adminPlane.close();
    await Promise.all([...backends.values()].map((backend) => backend.close()));
  }

  return {
    async start() {
      try {
        await Promise.all([...backends.values()].map((backend) => backend.open()));
        await Promise.all([...backends].map(([name, backend]) => warnIfAway(name, backend, log)));
        const addresses = {
          data: await dataPlane.listen(server.listen.host, server.listen.port),
          admin: await adminPlane.listen(admin.listen.host, admin.listen.port),
        };
        adminPort = addresses.admin.port;
        health.set(true);
        return addresses;
      } catch (error) {
        await stop(0);
        throw error;
      }
    },
    stop: () => stop(server.shutdownGraceMs),
  };
}

/** A store that is a server of its own may come later; until then its namespaces fail. */
async function warnIfAway(name: string, backend: Backend, log: Logger): Promise<void> {
  try {
    await backend.check();
  } catch (error) {
    const err = error instanceof Error && error.cause !== undefined ? error.cause : error;
    const what = error instanceof ReadOnlyError ? "store takes no writes" : "store is away";
    log.warn({ backend: name, type: backend.type, err }, what);
  }
}

/** The backends that some namespace is bound to; the others are not opened. */
async function createBackends(
  config: Config,
  log: Logger,
  clock: Clock | undefined,
): Promise<Map<string, Backend>> {
  const backends = new Map<string, Backend>();
  for (const { backend: name } of config.namespaces) {
    const settings = config.backends[name];
    if (settings !== undefined && !backends.has(name)) {
      backends.set(
        name,
        await createBackend(settings, { log: log.child({ backend: name }), ...(clock && { clock }) }),
      );
    }
  }
  return backends;
}

function needed(backends: ReadonlyMap<string, Backend>, name: string): Backend {
  const backend = backends.get(name);
  if (backend === undefined) {
    throw new TypeError(`the configuration names a backend that it does not have: ${name}`);
  }
  return backend;
}

function readTls({ server: { tls } }: Config): TlsMaterial | undefined {
  if (tls === undefined) {
    return undefined;
  }
  const {
    cert = "",
    key = "",
    ca,
  } = readTlsFiles({
    cert: tls.certFile,
    key: tls.keyFile,
    ca: tls.clientCaFile,
  });
  return { cert, key, clientCa: ca };
}
