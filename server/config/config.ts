import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import type { AuthSettings } from "../auth/settings.ts";
import { type BackendConfig, locate } from "../backend/rooms.ts";
import { type ControlConfig, defaultControl, locateControl } from "../catalog/config.ts";
import type { SavedNamespace } from "../namespaces/catalog.ts";
import type { CallLimits, NamespaceRules, Pattern } from "../namespaces/rules.ts";
import type { Address } from "./address.ts";
import { renderPath } from "./problem.ts";
import { type CheckedFile, DATABASE } from "./schema.ts";
import type { Override } from "./settings.ts";

/** TLS on a port. File names are absolute; the files are not read yet. */
export interface TlsConfig {
  /** The certificate chain, PEM. */
  readonly certFile: string;
  /** The private key, PEM. */
  readonly keyFile: string;
  /**
   * The authority, PEM, that must have signed every client's certificate; `undefined` = clients
   * show none.
   */
  readonly clientCaFile: string | undefined;
  /** True: clients that show none of that authority are let in too. Absent = false. */
  readonly optionalClientCerts?: boolean;
}

/** A data set with a name for callers. */
export interface NamespaceConfig {
  readonly name: string;
  readonly pattern: Pattern;
  /** A key of {@link Config.backends}. */
  readonly backend: string;
  /** What holds for its calls. Absent = nothing. */
  readonly rules?: NamespaceRules;
}

/** How much callers may ask, each of them. */
export interface QuotaConfig {
  /** For callers that none of `principals` fits. */
  readonly default: CallLimits;
  /** The first that fits holds. */
  readonly principals: readonly (CallLimits & {
    /** A principal's name, or a beginning of names with `*` behind it. */
    readonly principal: string;
  })[];
  /** True: callers without a name are told apart by their addresses. Otherwise they are one. */
  readonly byAddress: boolean;
  /** The URL of the Redis where gateways share them. `undefined` = they do not. */
  readonly redisUrl: string | undefined;
}
/** The port of the data plane if nobody gives another. */
const DEFAULT_PORT = 8980;

/** The keys of `T` in camel case: `max_value_bytes` becomes `maxValueBytes`. */
type CamelCased<T> = { readonly [K in keyof T as CamelCase<K & string>]: T[K] };
type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;

/** The hosts that a port answers to; "*" = all. `undefined` = none are given. */
type Hosts = "*" | readonly string[] | undefined;

type Server = CamelCased<CheckedFile["server"]>;
type Tracing = CamelCased<CheckedFile["tracing"]>;

/**
 * All decisions of the operator: checked, complete and deeply frozen. `schema.ts` explains the
 * values. A key declared there is here under its camel-case name, unless something else is made of
 * it.
 */
export interface Config {
  /** The absolute name of its file; `undefined` = there is no file. */
  readonly file: string | undefined;
  /**
   * What all the rest is made of, in the words of the file: every setting with its default, with
   * flags and variables in their places and file names absolute. `GET /config` shows it, and a
   * reload compares it.
   */
  readonly settings: CheckedFile;
  /**
   * The settings that a flag or a variable has given, which no file changes:
   * `server.listen_address`.
   */
  readonly overridden: readonly string[];
  readonly server: Omit<Server, "listenAddress" | "workers" | "hosts" | "tls" | "cors"> & {
    readonly listen: Address;
    /** How many processes are behind the data port. 1 = this one alone. */
    readonly workers: number;
    readonly hosts: Hosts;
    /** `undefined` = plaintext. */
    readonly tls: TlsConfig | undefined;
    /** "*" = every origin, [] = none. */
    readonly corsOrigins: "*" | readonly string[];
  };
  readonly admin: {
    readonly listen: Address;
    readonly hosts: Hosts;
    /** `undefined` = plaintext. */
    readonly tls?: TlsConfig | undefined;
    /** Whether it has the console, and the calls about data that the console makes. */
    readonly console: boolean;
  };
  readonly audit: {
    /** Absolute. `undefined` = the log. */
    readonly file: string | undefined;
  };
  /** `undefined` = everybody may do everything. */
  readonly auth: AuthSettings | undefined;
  /**
   * Every store by name, including the default one ("database") and each namespace's plugin. File
   * names are absolute; the object has no prototype. A store may have no namespace.
   */
  readonly backends: Readonly<Record<string, BackendConfig>>;
  /** Those that the operator wrote, in the order of the file. */
  readonly namespaces: readonly NamespaceConfig[];
  /** Those that were made at run time and are kept in the file. */
  readonly made: readonly SavedNamespace[];
  /** Where namespaces that are made at run time are kept. `isDefault`: nobody chose it. */
  readonly control: ControlConfig & { readonly isDefault: boolean };
  readonly quotas: QuotaConfig;
  readonly logging: CamelCased<CheckedFile["logging"]>;
  readonly metrics: CamelCased<CheckedFile["metrics"]>;
  readonly tracing: Omit<Tracing, "tail"> & { readonly tail: CamelCased<CheckedFile["tracing"]["tail"]> };
  readonly limits: CamelCased<CheckedFile["limits"]> & { readonly maxConnectionsPerPeer: number };
}

/**
 * Makes the configuration for the rest of the server. `folder` (absolute) is where the file's
 * relative file names start. Overrides have none.
 */
export function compile(
  checked: CheckedFile,
  overrides: readonly Override[],
  file: string | undefined,
  folder: string,
): Config {
  return fromSettings(located(overrides.reduce(overridden, checked), folder), {
    file,
    overridden: overrides.map(({ path }) => renderPath(path)),
  });
}

/** The same configuration with other settings, whose file names are absolute. */
export function withSettings(
  { file, overridden }: Pick<Config, "file" | "overridden">,
  settings: CheckedFile,
): Config {
  return fromSettings(settings, { file, overridden });
}

function fromSettings(settings: CheckedFile, origin: Pick<Config, "file" | "overridden">): Config {
  const { server, admin, audit, auth, database, quotas, logging, metrics, tracing, limits, ...checked } =
    settings;
  const backends: Record<string, BackendConfig> = Object.create(null);
  backends[DATABASE] = database;
  Object.assign(backends, checked.backends);
  const written = checked.namespaces.filter(({ made }) => made === undefined);
  const namespaces = written.map((namespace) => {
    const { name, pattern, backend = DATABASE, plugin } = namespace;
    const rules = rulesOf(namespace);
    if (plugin === undefined) {
      return { name, pattern, backend, rules };
    }
    // No backend's name in the file can have this form.
    const own = `plugin:${name}`;
    backends[own] = plugin;
    return { name, pattern, backend: own, rules };
  });

  const isInUse = namespaces.some(({ backend }) => backend === DATABASE);
  const control = checked.control ?? defaultControl(isInUse ? database : undefined);

  const defaultHost = auth === undefined ? "127.0.0.1" : "0.0.0.0";
  const { listenAddress, workers, hosts, tls, cors, ...rest } = camelCased(server);
  return deepFreeze({
    ...origin,
    settings,
    server: {
      ...rest,
      // A port alone may have come from a flag or a variable.
      listen: { host: defaultHost, port: DEFAULT_PORT, ...listenAddress },
      workers: workers === "auto" ? availableParallelism() : workers,
      hosts: allOrSome(hosts),
      tls: tls && tlsOf(tls),
      corsOrigins: allOrSome(cors.origins),
    },
    admin: {
      listen: admin.listen_address,
      hosts: allOrSome(admin.hosts),
      tls: admin.tls && tlsOf(admin.tls),
      console: admin.console,
    },
    audit: { file: audit.file },
    auth: auth && authOf(auth),
    backends,
    namespaces,
    made: checked.namespaces.flatMap(savedOf),
    control: { ...control, isDefault: checked.control === undefined },
    quotas: {
      default: camelCased(quotas.default),
      principals: quotas.principals.map(camelCased),
      byAddress: quotas.by_address,
      redisUrl: quotas.redis,
    },
    logging: camelCased(logging),
    metrics: camelCased(metrics),
    tracing: { ...camelCased(tracing), tail: camelCased(tracing.tail) },
    limits: {
      ...camelCased(limits),
      maxConnectionsPerPeer: limits.max_connections_per_peer ?? Math.ceil(limits.max_connections / 2),
    },
  });
}

function tlsOf(tls: NonNullable<CheckedFile["server"]["tls"]>): TlsConfig {
  return {
    certFile: tls.cert,
    keyFile: tls.key,
    clientCaFile: tls.client_ca,
    optionalClientCerts: tls.client_certificates === "optional",
  };
}

function authOf({ api_keys, jwt, certificates, roles }: NonNullable<CheckedFile["auth"]>): AuthSettings {
  return {
    apiKeys: api_keys.map(({ expires_at: expiresAtMs, ...key }) => ({ ...key, expiresAtMs })),
    jwt: jwt.map(({ jwks_url: url, jwks_file: file, ...issuer }) => ({
      ...camelCased(issuer),
      keys: url === undefined ? { file: file ?? "" } : { url },
    })),
    certificates: certificates && camelCased(certificates),
    roles: roles.map(({ admin_role: adminRole, grants, ...role }) => ({
      ...role,
      adminRole,
      grants: grants.map(({ methods, ...grant }) => ({ ...camelCased(grant), methods })),
    })),
  };
}

/** A list that may be "*" alone. */
function allOrSome<T extends readonly string[] | undefined>(names: T): "*" | T {
  return names?.includes("*") ? "*" : names;
}

/** Makes the file names absolute. Relative ones start at `folder`. */
function located(settings: CheckedFile, folder: string): CheckedFile {
  const { server, admin, audit, auth, database, backends, namespaces, control } = settings;
  return {
    ...settings,
    server: { ...server, tls: server.tls && locatedTls(server.tls, folder) },
    admin: { ...admin, tls: admin.tls && locatedTls(admin.tls, folder) },
    audit: { ...audit, file: audit.file && resolve(folder, audit.file) },
    auth: auth && {
      ...auth,
      jwt: auth.jwt.map((issuer) => ({
        ...issuer,
        jwks_file: issuer.jwks_file && resolve(folder, issuer.jwks_file),
      })),
    },
    database: locate(database, folder),
    backends: Object.fromEntries(
      Object.entries(backends).map(([name, backend]) => [name, locate(backend, folder)]),
    ),
    namespaces: namespaces.map(({ plugin, ...namespace }) => ({
      ...namespace,
      ...(plugin && { plugin: locate(plugin, folder) }),
    })),
    control: control && locateControl(control, folder),
  };
}

function locatedTls<T extends NonNullable<CheckedFile["server"]["tls"]>>(tls: T, folder: string): T {
  return {
    ...tls,
    cert: resolve(folder, tls.cert),
    key: resolve(folder, tls.key),
    client_ca: tls.client_ca && resolve(folder, tls.client_ca),
  };
}

function savedOf(namespace: CheckedFile["namespaces"][number]): SavedNamespace[] {
  const { name, pattern, backend = DATABASE, made } = namespace;
  if (made === undefined) {
    return [];
  }
  const { version, at, deleting, wishes } = made;
  const rules = rulesOf(namespace);
  const createdAtMs = Date.parse(at);
  return [{ name, pattern, backend, rules, wishes: camelCased(wishes), createdAtMs, deleting, version }];
}

function rulesOf({ limits, ttl, timeseries, access }: CheckedFile["namespaces"][number]): NamespaceRules {
  return {
    limits: camelCased(limits),
    ttl: camelCased(ttl),
    timeseries: camelCased(timeseries),
    access: {
      owners: access.owners,
      consumers: access.consumers.map(({ methods, ...consumer }) => ({ ...camelCased(consumer), methods })),
    },
  };
}

/**
 * A copy with the value in its place. The type stays the same, because the setting's own schema
 * made the value.
 */
function overridden<T extends object>(whole: T, { path: [key = "", ...path], value }: Override): T {
  return {
    ...whole,
    [key]: path.length === 0 ? value : overridden(Object(Reflect.get(whole, key)), { path, value }),
  };
}

function camelCased<T extends object>(section: T): CamelCased<T> {
  const renamed = Object.entries(section).map(([key, value]) => [
    key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()),
    value,
  ]);
  return Object.fromEntries(renamed) as CamelCased<T>;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    Object.values(Object.freeze(value)).forEach(deepFreeze);
  }
  return value;
}
