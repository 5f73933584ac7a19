import { resolve } from "node:path";
import { type BackendConfig, locate } from "../backend/rooms.ts";
import type { Address } from "./address.ts";
import { type CheckedFile, DATABASE } from "./schema.ts";
import type { Override } from "./settings.ts";

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

/** The keys of `T` in the words of code: `max_value_bytes` is `maxValueBytes`. */
type CamelCased<T> = { readonly [K in keyof T as CamelCase<K & string>]: T[K] };
type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : S;

type Server = CamelCased<CheckedFile["server"]>;

/**
 * Everything that an operator decides, checked, complete and frozen throughout. `schema.ts` says what the
 * values mean; a key that is declared there is here without further ado, unless something else is made of it.
 */
export interface Config {
  /** Absolute name of the file it comes from; `undefined` = there is none. */
  readonly file: string | undefined;
  readonly server: Omit<Server, "listenAddress" | "tls" | "cors"> & {
    readonly listen: Address;
    /** `undefined` = plaintext. */
    readonly tls: TlsConfig | undefined;
    /** "*" = every origin, [] = none. */
    readonly corsOrigins: "*" | readonly string[];
  };
  readonly admin: { readonly listen: Address };
  /** Every store by name, the default one under "database" and each namespace's plugin included; file names absolute, no prototype. A store may have no namespace. */
  readonly backends: Readonly<Record<string, BackendConfig>>;
  /** At least one, in the file's order. */
  readonly namespaces: readonly NamespaceConfig[];
  readonly logging: CamelCased<CheckedFile["logging"]>;
  readonly limits: CamelCased<CheckedFile["limits"]> & { readonly maxConnectionsPerPeer: number };
}

/**
 * Makes the value that the rest of the server sees. `folder` (absolute) is where relative file names of the
 * file start; overrides have none.
 */
export function compile(
  file: CheckedFile,
  overrides: readonly Override[],
  fileName: string | undefined,
  folder: string,
): Config {
  const { server, admin, database, logging, limits, ...checked } = overrides.reduce(overridden, file);
  const backends: Record<string, BackendConfig> = Object.create(null);
  backends[DATABASE] = locate(database, folder);
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

  const { listenAddress, tls, cors, ...rest } = camelCased(server);
  return deepFreeze({
    file: fileName,
    server: {
      ...rest,
      listen: listenAddress,
      tls: tls && {
        certFile: resolve(folder, tls.cert),
        keyFile: resolve(folder, tls.key),
        clientCaFile: tls.client_ca && resolve(folder, tls.client_ca),
      },
      corsOrigins: cors.origins.includes("*") ? "*" : cors.origins,
    },
    admin: { listen: admin.listen_address },
    backends,
    namespaces,
    logging: camelCased(logging),
    limits: {
      ...camelCased(limits),
      maxConnectionsPerPeer: limits.max_connections_per_peer ?? Math.ceil(limits.max_connections / 2),
    },
  });
}

/** A copy with the value in its place. Its type stays: the setting's own schema made the value. */
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
