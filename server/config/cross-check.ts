import { isIPv6 } from "node:net";
import type { ConfiguredStore, StoreConfig } from "../backend/room.ts";
import { ROOMS, whyNotShared } from "../backend/rooms.ts";
import { type Address, isLoopback } from "./address.ts";
import type { Finding } from "./check.ts";
import { checkAuth } from "./check-auth.ts";
import { checkTlsFiles } from "./check-tls.ts";
import type { Config, TlsConfig } from "./config.ts";
import { DATABASE } from "./schema.ts";

/**
 * Finds what shows only in the whole configuration and its files: unusable certificates and keys,
 * two planes on one port, ways to call that contradict each other, two stores in one file. Reads
 * files; opens no store and no port.
 */
export function crossCheck(config: Config): readonly Finding[] {
  return [
    ...checkPorts(config),
    ...checkAdmin(config),
    ...checkMade(config),
    ...checkTls(config),
    ...checkAuth(config),
    ...checkStores(config),
    ...checkWorkers(config),
  ];
}

/** Without `auth` everybody who reaches the admin plane may do everything there. */
function checkAdmin({ admin, auth }: Config): readonly Finding[] {
  const { host } = admin.listen;
  return auth !== undefined || isLoopback(host)
    ? []
    : [
        {
          path: ["admin", "listen_address"],
          message: `${host} is not loopback, so everybody who reaches it could do everything: use 127.0.0.1, or say with auth who may`,
        },
      ];
}

/** Each worker would have data of its own, or none would get at the file. */
function checkWorkers({ server, backends, namespaces, made }: Config): readonly Finding[] {
  if (server.workers === 1) {
    return [];
  }
  for (const { name, backend } of [...namespaces, ...made]) {
    const why = whyNotShared(backends[backend]?.type ?? "remote");
    if (why !== undefined) {
      return [{ path: ["server", "workers"], message: `namespace "${name}": ${why}` }];
    }
  }
  return [];
}

/** Nobody would serve them. */
function checkMade({ settings, control }: Config): readonly Finding[] {
  if (control.type === "file") {
    return [];
  }
  return settings.namespaces.flatMap(({ made }, index) =>
    made === undefined
      ? []
      : [
          {
            path: ["namespaces", index, "made"],
            message:
              'namespaces that were made at run time are kept elsewhere; write "control: {type: file}", or leave this out',
          },
        ],
  );
}

function checkPorts({ server, admin }: Config): readonly Finding[] {
  return overlap(server.listen, admin.listen)
    ? [
        {
          path: ["admin", "listen_address"],
          message: `the data plane (server.listen_address) listens on port ${admin.listen.port} already`,
        },
      ]
    : [];
}

/** Whether the second cannot listen beside the first. Port 0 picks a free one. */
function overlap(a: Address, b: Address): boolean {
  if (a.port !== b.port || a.port === 0) {
    return false;
  }
  const [hostA, hostB] = [numeric(a.host), numeric(b.host)];
  return hostA === hostB || coversAll(hostA, hostB) || coversAll(hostB, hostA);
}

function numeric(host: string): string {
  return host === "localhost" ? "127.0.0.1" : host;
}

/** "::" takes IPv4 too. */
function coversAll(host: string, other: string): boolean {
  return host === "::" || (host === "0.0.0.0" && !isIPv6(other));
}

function checkTls({ server, admin, backends, settings, control }: Config): readonly Finding[] {
  const own = [...checkPortTls("server", server.tls), ...checkPortTls("admin", admin.tls)];
  const plugins = new Map(settings.namespaces.map(({ name }, index) => [`plugin:${name}`, index]));
  const ofStores = Object.entries(backends).flatMap(([name, backend]) => {
    const { tls: files }: StoreConfig = backend;
    if (files === undefined) {
      return [];
    }
    const plugin = plugins.get(name);
    const path = [...(plugin === undefined ? pathOf(name) : ["namespaces", plugin, "plugin"]), "tls"];
    return checkTlsFiles(files, pathsIn(path));
  });
  const ofControl =
    control.type === "postgres" && control.tls !== undefined && !control.isDefault
      ? checkTlsFiles(control.tls, pathsIn(["control", "tls"]))
      : [];
  return [...own, ...ofStores, ...ofControl];
}

/** The settings of a store's TLS, under `path`. */
function pathsIn(path: readonly PropertyKey[]) {
  return { cert: [...path, "cert"], key: [...path, "key"], ca: [...path, "ca"] };
}

function checkPortTls(section: "server" | "admin", tls: TlsConfig | undefined): readonly Finding[] {
  if (tls === undefined) {
    return [];
  }
  const path = (key: string) => [section, "tls", key];
  return checkTlsFiles(
    { cert: tls.certFile, key: tls.keyFile, ca: tls.clientCaFile },
    { cert: path("cert"), key: path("key"), ca: path("client_ca") },
  );
}

/** The rooms' findings about several of their stores. */
function checkStores({ backends, namespaces, made, file }: Config): readonly Finding[] {
  const inUse = Object.entries(backends).filter(
    // The default store always exists, but is opened only for a namespace.
    ([name]) =>
      name !== DATABASE ||
      file === undefined ||
      [...namespaces, ...made].some((namespace) => namespace.backend === name),
  );
  return ROOMS.flatMap((room) => {
    const paths = new Map<ConfiguredStore<StoreConfig>, readonly PropertyKey[]>();
    for (const [name, config] of inUse) {
      if (config.type === room.type) {
        const path = pathOf(name);
        paths.set({ name: path.join("."), config }, path);
      }
    }
    const clashes = room.findClashes?.([...paths.keys()]) ?? [];
    return clashes.map(({ store, option, message }) => ({
      path: [...(paths.get(store) ?? []), option],
      message,
    }));
  });
}

function pathOf(name: string): readonly PropertyKey[] {
  return name === DATABASE ? [DATABASE] : ["backends", name];
}
