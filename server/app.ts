import type { AddressInfo } from "node:net";
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "pino";
import { createAdminPlane, isAdminPath } from "./admin-plane.ts";
import { createAuditLog } from "./audit-log.ts";
import type { Clock } from "./backend/clock.ts";
import { CallMeter } from "./calls/call-meter.ts";
import type { FailureLog } from "./calls/failure-log.ts";
import type { BucketMaker } from "./calls/policies/bucket.ts";
import type { Grant } from "./calls/principal.ts";
import { createCatalog } from "./catalog/catalogs.ts";
import { isLoopback } from "./config/address.ts";
import type { Config, TlsConfig } from "./config/config.ts";
import type { Change } from "./config/diff.ts";
import { createFileCatalog } from "./config/file-catalog.ts";
import { createGateway, sumOfLoads } from "./gateway.ts";
import { createHostCheck } from "./host-check.ts";
import { LISTEN_BACKLOG, PING_TIMEOUT_MS, STALL_TIMEOUT_MS } from "./limits.ts";
import { type Agreement, LiveConfig, type LivePart } from "./live-config.ts";
import type { MetricSources } from "./metrics/exposition.ts";
import { Meters } from "./metrics/meters.ts";
import { ProcessMeter } from "./metrics/process-meter.ts";
import { TrafficMeter } from "./metrics/traffic-meter.ts";
import { textOf } from "./metrics-route.ts";
import type { NamespaceCatalog } from "./namespaces/catalog.ts";
import { type ControllerOptions, NamespaceController } from "./namespaces/controller.ts";
import type { DeletionTimes } from "./namespaces/deletion.ts";
import { NamespaceRegistry, type NamespaceSettings } from "./namespaces/registry.ts";
import { createStoreMonitor } from "./namespaces/store-monitor.ts";
import { createPlane, type Plane } from "./plane.ts";
import { createPolicies, createQuotas } from "./policies.ts";
import type { TlsMaterial } from "./port/options.ts";
import { createSharedQuotas } from "./quota/redis-lessor.ts";
import type { Load } from "./services/admin.ts";
import { createHealthState } from "./services/health.ts";
import { createDataServices, createServices, SERVICES } from "./services/services.ts";
import { MAX_TRAFFIC_NAMESPACES, type Traffic, type TrafficSource } from "./services/traffic.ts";
import { type StoreSources, sourcesOf } from "./store-sources.ts";
import { readTlsFiles } from "./tls-files.ts";
import { createTracing } from "./tracing/tracing.ts";
import { relayed } from "./workers/catalogs.ts";
import { Workers } from "./workers/workers.ts";

/** The most namespaces of which one of several processes tells. Of all together fewer are shown. */
const MAX_TOLD_NAMESPACES = 10_000;

/** How long the last spans may take where calls have used up the grace time. */
const LAST_SPANS_MS = 500;

/** The whole server, or one of its workers, before its start. */
export interface App {
  /** Its namespaces, which may change between `start` and `stop`. */
  readonly registry: NamespaceRegistry;
  /** Who decides which namespaces there are. */
  readonly control: NamespaceController;
  /** The configuration in force. */
  readonly config: Config;
  /**
   * Opens the stores, then listens. Throws {@link PrismError} if a store cannot be opened, and
   * Node's own error if an address is not available. Closes then what it opened.
   */
  start(): Promise<{
    readonly data: AddressInfo;
    /** `undefined` = it is a worker, which has no admin port. */
    readonly admin: AddressInfo | undefined;
  }>;
  /**
   * Puts another configuration in force while calls come, all of it or nothing, but for what needs
   * a restart. Answers what differs. Throws {@link PrismError} if it is refused, for example
   * because a store cannot be opened. A worker waits for what the others say (`agreed`). One at a
   * time, between `start` and `stop`.
   */
  apply(next: Config, agreed?: Agreement): Promise<readonly Change[]>;
  /**
   * In this order: health turns to not serving, calls end, connections close, stores close, the
   * last spans are sent. Throws the first error of a part that cannot be closed, after all others
   * are. Waits for a `start` that is under way.
   */
  stop(): Promise<void>;
  /** Takes no new calls on the data port. Resolves when those under way have ended. */
  drain(): Promise<void>;
  /** How busy this process is. */
  load(): Load;
  /** The metrics of this process, in Prometheus' text format. "" = there are none. */
  metrics(): string;
  /** What this process has counted, as `WorkerCalls.traffic`. */
  traffic(names: readonly string[]): Promise<Traffic | undefined>;
  /** Opens the file of the audit log anew: it was moved away. */
  reopenAudit(): void;
}

/** What a worker has from the primary process, in place of its own. */
export interface Primary {
  readonly catalog: NamespaceCatalog;
  readonly makeBucket: BucketMaker;
}

/** Replacements for tests. */
export interface AppOptions {
  readonly log: Logger;
  readonly clock?: Clock;
  readonly deletionTimes?: DeletionTimes;
  /**
   * Checks a text as the content of the configuration file. Needed where namespaces that are made
   * at run time are kept there.
   */
  readonly load?: (text: string) => Config;
  /** False leaves every call to Connect's own handlers, the reference for the direct path. */
  readonly directPath?: boolean;
  /** Given to a worker. Absent = it is no worker. */
  readonly primary?: Primary;
}

/**
 * Builds the server that `config` describes. Reads the TLS files; throws StartError if one cannot
 * be read. With `server.workers` above 1 the data port is the workers'; each of them is built here
 * too, with `primary`.
 */
export async function createApp(
  config: Config,
  { log, clock, deletionTimes, load, directPath = true, primary }: AppOptions,
): Promise<App> {
  const registry = new NamespaceRegistry(({ name }, err) =>
    log.error({ backend: name, err }, "store cannot be closed"),
  );
  const meters = config.metrics.enabled ? createMeters(registry, config.metrics.maxNamespaces) : undefined;
  const processMeter = new ProcessMeter();
  const tools = {
    log,
    clock,
    processes: config.server.workers,
    meterOf: meters && ((name: string) => meters.store(name)),
  };
  let sources = sourcesOf(config.backends, new Map(), tools);
  const monitor = createStoreMonitor(() => registry.stores.map(({ backend }) => backend));
  const catalog = primary?.catalog ?? (await catalogOf(config, log, load, () => live.accepted));
  const relay =
    config.server.workers === 1 || primary !== undefined
      ? undefined
      : relayed(catalog, async (changes) => workers?.tellNamespaces(changes));
  const workers: Workers | undefined =
    relay && new Workers({ count: config.server.workers, log, config, savedNamespaces: relay.known });
  const control = createControl(config, registry, {
    log,
    catalog: relay ?? catalog,
    sources,
    ...(deletionTimes && { times: deletionTimes }),
  });
  const health = createHealthState(SERVICES.map((service) => service.typeName));
  const { server, admin, limits } = config;
  let adminPort = admin.listen.port;
  const gateway = createGateway(() => live.inForce, {
    log,
    health,
    drain: () => beginDrain(),
    load: async () => sumOfLoads([ownLoad(), ...((await workers?.loads()) ?? [])]),
  });
  const shared = {
    log,
    ...server,
    ...limits,
    port: {
      ...server,
      ...limits,
      tls: readTls(server.tls),
      pingTimeoutMs: PING_TIMEOUT_MS,
      stallTimeoutMs: STALL_TIMEOUT_MS,
      backlog: LISTEN_BACKLOG,
    },
    directPath,
  };
  const tracing = createTracing(config, log);
  const { redisUrl } = config.quotas;
  const quotas = redisUrl === undefined ? undefined : createSharedQuotas(redisUrl, log);
  const authenticator = await createAuthenticator(config, log);
  const audit = createAuditLog(config.audit.file, log);
  const audits = { data: audit.on("data"), admin: audit.on("admin") };
  const makeBucket = quotas?.makeBucket ?? primary?.makeBucket ?? workers?.makeBucket;
  const quotaPolicies = {
    data: createQuotas({ config, registry, makeBucket, plane: "data" }),
    admin: createQuotas({ config, registry, makeBucket, plane: "admin" }),
  };
  /** `port`: where these calls come in. */
  const policiesOf = (plane: "data" | "admin", port: "data" | "admin") => (failures: FailureLog) =>
    createPolicies({
      config,
      failures,
      audit: audits[port],
      registry,
      meter: meters?.calls,
      addTrace: tracing?.add,
      quotas: quotaPolicies[plane],
      plane,
      isServing: port === plane ? undefined : () => health.serving,
      authenticator,
    });
  const dataPort =
    workers ??
    (await createPlane({
      ...shared,
      groups: [
        {
          services: (calls) => createServices({ router: registry, health, limits, calls }),
          policies: policiesOf("data", "data"),
        },
      ],
      audit: audits.data,
      checkHost: createHostCheck({
        listenHost: server.listen.host,
        hosts: server.hosts,
        setting: "server.hosts",
      }),
      helpWithPath: (path) => (isAdminPath(path) ? `it is on the admin port, which is ${adminPort}` : ""),
    }));
  const dataPlane = dataPort instanceof Workers ? undefined : dataPort;
  const metrics: MetricSources | undefined = meters && {
    meters,
    process: processMeter,
    registry,
    health,
    planes: () => ({
      ...(dataPlane && { data: dataPlane.figures() }),
      ...(adminPlane && { admin: adminPlane.figures() }),
    }),
    workers,
  };
  const trafficMeter =
    metrics && new TrafficMeter(metrics, server.workers === 1 ? MAX_TRAFFIC_NAMESPACES : MAX_TOLD_NAMESPACES);
  const traffic: TrafficSource | undefined =
    trafficMeter &&
    (async (names) => {
      const [own, theirs = []] = await Promise.all([trafficMeter.read(names), workers?.traffic(names)]);
      return [own, ...theirs];
    });
  const adminPlane: Plane | undefined =
    primary === undefined
      ? await createAdminPlane({
          ...shared,
          port: { ...shared.port, tls: readTls(admin.tls) },
          corsOrigins: [],
          policies: policiesOf("admin", "admin"),
          data: admin.console
            ? {
                services: (calls) => createDataServices({ router: registry, limits, calls }),
                policies: policiesOf("data", "admin"),
              }
            : undefined,
          audit: audits.admin,
          checkHost: createHostCheck({
            listenHost: admin.listen.host,
            hosts: admin.hosts,
            setting: "admin.hosts",
          }),
          sources: { gateway, registry, monitor, traffic },
          control,
          health,
          workers,
          authenticator,
          metrics,
          config: () => live.inForce,
        })
      : undefined;

  const logging: LivePart = (next) => () => {
    log.level = next.logging.level;
  };
  const certificates: LivePart = (next) => {
    const tls = readTls(next.server.tls);
    return tls === undefined || dataPlane === undefined ? () => {} : dataPlane.renewTls(tls);
  };
  const credentials: LivePart = ({ auth }) =>
    authenticator === undefined || auth === undefined || isDeepStrictEqual(auth, live.inForce.auth)
      ? () => {}
      : () => authenticator.use(auth);
  const stores: LivePart = async (next, agreed) => {
    const changed = sourcesOf(next.backends, sources, tools);
    const names = live.inForce.namespaces.map(({ name }) => name);
    await control.reconfigure(next.namespaces, changed, async (handedOver) => {
      await registry.replace(
        [...names, ...handedOver],
        namespacesOf(next, changed),
        workers === undefined ? agreed : () => workers.configure(next),
      );
    });
    return () => {
      sources = changed;
      meters?.keepStores(changed);
    };
  };
  const live: LiveConfig = new LiveConfig(config, [logging, certificates, credentials, stores]);

  /** Refuses new calls. Resolves when those under way have ended. */
  function beginDrain(): Promise<void> {
    health.set(false);
    registry.endWaits();
    return dataPort.drain();
  }

  function ownLoad(): Load {
    return {
      callsUnderWay: registry.callsUnderWay,
      stores: Object.fromEntries(
        registry.stores.map(({ source, backend }) => [source.name, backend.figures?.() ?? {}]),
      ),
    };
  }

  /** Ends every part, also where one of them fails. Throws the first failure. */
  async function stop(graceMs: number): Promise<void> {
    const startedMs = performance.now();
    const lastSpans = () => {
      const leftMs = startedMs + graceMs - performance.now();
      return tracing?.close(Math.max(leftMs, Math.min(graceMs, LAST_SPANS_MS)));
    };
    void beginDrain();
    monitor.close();
    control.endFollowers();
    const failures: unknown[] = [];
    for (const end of [
      () => dataPort.close(graceMs),
      // Who looks at a gateway that stops has nothing to wait for.
      () => adminPlane?.close(0),
      () => control.close(),
      () => processMeter.stop(),
      () => trafficMeter?.close(),
      () => quotas?.close(),
      () => registry.close(),
      () => authenticator?.close(),
      () => audit.close(),
      lastSpans,
    ]) {
      try {
        await end();
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) {
      throw failures[0];
    }
  }

  async function start() {
    await audit.open();
    if (meters !== undefined) {
      processMeter.start();
    }
    await Promise.all([control.start(), authenticator?.start()]);
    const addresses = {
      data: await dataPort.listen(server.listen.host, server.listen.port),
      admin: await adminPlane?.listen(admin.listen.host, admin.listen.port),
    };
    gateway.started(addresses);
    if (primary === undefined) {
      adminPort = addresses.admin?.port ?? adminPort;
      warnIfOpen(config, log);
    }
    health.set(true);
    return addresses;
  }
  let starting: ReturnType<typeof start> | undefined;

  return {
    registry,
    control,
    get config() {
      return live.inForce;
    },
    apply: (next, agreed) => live.apply(next, agreed),
    async start() {
      try {
        starting = start();
        return await starting;
      } catch (error) {
        await stop(0).catch((err) => log.error({ err }, "a part of the server cannot be ended"));
        throw error;
      }
    },
    async stop() {
      // What the start has yet to open would stay open.
      await starting?.catch(() => {});
      await stop(live.inForce.server.shutdownGraceMs);
    },
    drain: beginDrain,
    load: ownLoad,
    metrics: () => (metrics === undefined ? "" : textOf(metrics)),
    traffic: async (names) => await trafficMeter?.read(names),
    reopenAudit() {
      audit.reopen();
      workers?.reopenAudit();
    },
  };
}

/** Who decides which namespaces there are. It has not started yet. */
function createControl(
  { control, namespaces: configured }: Config,
  registry: NamespaceRegistry,
  tools: Pick<ControllerOptions, "log" | "catalog" | "sources" | "times">,
): NamespaceController {
  return new NamespaceController({
    registry,
    configured,
    ...tools,
    // A PostgreSQL that nobody named for this may give no right to it.
    needsCatalog: !control.isDefault || control.type !== "postgres",
  });
}

/** Counts the calls on the namespaces of `registry`. */
function createMeters(registry: NamespaceRegistry, maxNamespaces: number): Meters {
  const calls = new CallMeter((said) => registry.find(said)?.name, maxNamespaces);
  registry.whenDropped((name) => calls.drop(name));
  return new Meters(calls);
}

/** Where namespaces that are made at run time are kept. It is not open yet. */
async function catalogOf(
  { control, file }: Config,
  log: Logger,
  load: AppOptions["load"],
  accepted: () => Config,
): Promise<NamespaceCatalog> {
  if (control.type !== "file") {
    return await createCatalog(control, log);
  }
  if (file === undefined || load === undefined) {
    throw new TypeError("the configuration is in no file, and namespaces are to be kept there");
  }
  return createFileCatalog({ file, load, accepted });
}

/**
 * The namespaces of a configuration. Namespaces with one backend share its store. A backend without
 * a namespace is never opened.
 */
function namespacesOf({ namespaces }: Config, sources: StoreSources): NamespaceSettings[] {
  return namespaces.map(({ name, pattern, backend, rules }) => {
    const source = sources.get(backend);
    if (source === undefined) {
      throw new TypeError(`the configuration names a backend that it does not have: ${backend}`);
    }
    return { name, pattern, source, ...(rules && { rules }) };
  });
}

/** Says that nothing keeps anybody from calling. */
function warnIfOpen({ server: { listen, tls }, auth }: Config, log: Logger): void {
  const asksForCertificates = tls?.clientCaFile !== undefined && tls.optionalClientCerts !== true;
  if (auth === undefined && !asksForCertificates && !isLoopback(listen.host)) {
    log.warn(
      { host: listen.host },
      "the data port is open to all: everybody who reaches it may do everything, because there is no auth",
    );
  }
}

/** Finds out who calls. `undefined` = nobody is asked. */
async function createAuthenticator({ auth, namespaces }: Config, log: Logger) {
  if (auth === undefined) {
    return undefined;
  }
  const consumers = namespaces.flatMap(({ rules }) => rules?.access.consumers ?? []);
  warnOfUnknownCalls([...auth.roles.flatMap(({ grants }) => grants), ...consumers], log);
  // Imported late: most of it checks tokens, and a gateway without them starts sooner.
  const { CredentialAuthenticator } = await import("./auth/authenticator.ts");
  return new CredentialAuthenticator(auth, log);
}

/** A slip of the pen would grant nothing, and nobody would see why. */
function warnOfUnknownCalls(grants: readonly Pick<Grant, "methods">[], log: Logger): void {
  const known = new Set(SERVICES.flatMap(({ methods }) => methods.map(({ name }) => name as string)));
  for (const call of new Set(grants.flatMap(({ methods = [] }) => methods))) {
    if (!known.has(call)) {
      log.warn({ call }, "a grant names a call that there is not");
    }
  }
}

function readTls(tls: TlsConfig | undefined): TlsMaterial | undefined {
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
  return { cert, key, clientCa: ca, optionalClientCerts: tls.optionalClientCerts ?? false };
}
