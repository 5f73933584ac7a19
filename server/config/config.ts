import { resolve } from "node:path";
import type { z } from "zod";
import { type BackendConfig, locate } from "../backend/rooms.ts";
import type { Address } from "./address.ts";
import { type CheckedFile, DATABASE, type logFormatSchema, type logLevelSchema } from "./schema.ts";

/** TLS on the data port. File names are absolute; nothing is read yet. */
export interface TlsConfig {
  /** Certificate chain, PEM. */
  readonly certFile: string;
  /** Private key, PEM. */
  readonly keyFile: string;
  /** Certificate authority, PEM, that every client's certificate must come from; `undefined` = clients show none. */
  readonly clientCaFile: string | undefined;
}

/** One data set that callers can name. */
export interface NamespaceConfig {
  readonly name: string;
  readonly pattern: "keyvalue";
  /** A key of {@link Config.backends}. */
  readonly backend: string;
}

/** Everything that an operator decides, checked, complete and frozen throughout. `schema.ts` says what the values mean. */
export interface Config {
  /** Absolute name of the file it comes from; `undefined` = there is none. */
  readonly file: string | undefined;
  readonly server: {
    readonly listen: Address;
    /** `undefined` = plaintext. */
    readonly tls: TlsConfig | undefined;
    readonly http2: "engine" | "node";
    readonly jsonUnknownFields: "reject" | "ignore";
    /** "*" = every origin, [] = none. */
    readonly corsOrigins: "*" | readonly string[];
    readonly shutdownGraceMs: number;
    /** 0 = for ever. */
    readonly idleTimeoutMs: number;
    readonly headerTimeoutMs: number;
    /** 0 = any time. */
    readonly requestTimeoutMs: number;
  };
  readonly admin: { readonly listen: Address };
  /** Every store by name, the default one under "database" and each namespace's plugin included; file names absolute, no prototype. A store may have no namespace. */
  readonly backends: Readonly<Record<string, BackendConfig>>;
  /** At least one, in the file's order. */
  readonly namespaces: readonly NamespaceConfig[];
  readonly logging: {
    readonly level: z.output<typeof logLevelSchema>;
    readonly format: z.output<typeof logFormatSchema>;
  };
  readonly limits: {
    readonly maxValueBytes: number;
    readonly maxConcurrentStreams: number;
    readonly maxConnections: number;
    /** 0 = no bound of its own. */
    readonly maxConnectionsPerPeer: number;
    readonly maxHeaderBytes: number;
    readonly maxReceivingBytes: number;
    readonly maxUnsentBytes: number;
    /** 0 = no cap. */
    readonly maxTimeoutMs: number;
  };
}

/** What flags and environment variables put in place of the file's values. */
export interface Overrides {
  readonly listen: Address | undefined;
  /** In place of the port of `listen`, or of the file's address. */
  readonly port: number | undefined;
  readonly adminListen: Address | undefined;
  readonly database: BackendConfig | undefined;
  readonly logLevel: Config["logging"]["level"] | undefined;
  readonly logFormat: Config["logging"]["format"] | undefined;
}

/**
 * Makes the value that the rest of the server sees. `folder` (absolute) is where relative file names start;
 * `overrides` have theirs resolved already.
 */
export function compile(
  checked: CheckedFile,
  overrides: Overrides,
  file: string | undefined,
  folder: string,
): Config {
  const { server, admin, logging, limits } = checked;
  const backends: Record<string, BackendConfig> = Object.create(null);
  backends[DATABASE] = overrides.database ?? locate(checked.database, folder);
  for (const [name, backend] of Object.entries(checked.backends)) {
    backends[name] = locate(backend, folder);
  }
  const namespaces = checked.namespaces.map(({ name, pattern, backend = DATABASE, plugin }) => {
    if (plugin === undefined) {
      return { name, pattern, backend };
    }
    // Of a form that no backend's name in the file has.
    const own = `plugin:${name}`;
    backends[own] = locate(plugin, folder);
    return { name, pattern, backend: own };
  });

  const origins = server.cors.origins;
  const listen = overrides.listen ?? server.listen_address;
  return deepFreeze({
    file,
    server: {
      listen: { ...listen, port: overrides.port ?? listen.port },
      tls: server.tls && {
        certFile: resolve(folder, server.tls.cert),
        keyFile: resolve(folder, server.tls.key),
        clientCaFile: server.tls.client_ca && resolve(folder, server.tls.client_ca),
      },
      http2: server.http2,
      jsonUnknownFields: server.json_unknown_fields,
      corsOrigins: origins.includes("*") ? "*" : origins,
      shutdownGraceMs: server.shutdown_grace_ms,
      idleTimeoutMs: server.idle_timeout_ms,
      headerTimeoutMs: server.header_timeout_ms,
      requestTimeoutMs: server.request_timeout_ms,
    },
    admin: { listen: overrides.adminListen ?? admin.listen_address },
    backends,
    namespaces,
    logging: { level: overrides.logLevel ?? logging.level, format: overrides.logFormat ?? logging.format },
    limits: {
      maxValueBytes: limits.max_value_bytes,
      maxConcurrentStreams: limits.max_concurrent_streams,
      maxConnections: limits.max_connections,
      maxConnectionsPerPeer: limits.max_connections_per_peer ?? Math.ceil(limits.max_connections / 2),
      maxHeaderBytes: limits.max_header_bytes,
      maxReceivingBytes: limits.max_receiving_bytes,
      maxUnsentBytes: limits.max_unsent_bytes,
      maxTimeoutMs: limits.max_timeout_ms,
    },
  });
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    Object.values(Object.freeze(value)).forEach(deepFreeze);
  }
  return value;
}
