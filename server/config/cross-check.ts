import { realpathSync, statSync } from "node:fs";
import { isIPv6 } from "node:net";
import { basename, dirname, join } from "node:path";
import type { BackendConfig } from "../backend/config.ts";
import type { Address } from "./address.ts";
import type { Finding } from "./check.ts";
import type { Config } from "./config.ts";
import { DATABASE } from "./schema.ts";
import { checkTlsFiles } from "./tls-files.ts";

/**
 * What only shows in the whole configuration and in the files that it names: certificates and keys that cannot be
 * used, two planes on one port, two stores in one file. Reads files; opens no store and no port.
 */
export function crossCheck(config: Config): readonly Finding[] {
  return [...checkPorts(config), ...checkTls(config), ...checkDatabaseFiles(config)];
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

/** Whether the second could not listen beside the first. Port 0 picks a free one. */
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

function checkTls({ server, backends, namespaces }: Config): readonly Finding[] {
  const { tls } = server;
  const own =
    tls === undefined
      ? []
      : checkTlsFiles(
          { cert: tls.certFile, key: tls.keyFile, ca: tls.clientCaFile },
          {
            cert: ["server", "tls", "cert"],
            key: ["server", "tls", "key"],
            ca: ["server", "tls", "client_ca"],
          },
        );
  const plugins = new Map(namespaces.map(({ backend }, index) => [backend, index]));
  const ofStores = Object.entries(backends).flatMap(([name, backend]) => {
    const [setting, files] = tlsOf(backend);
    if (files === undefined) {
      return [];
    }
    const plugin = name.startsWith("plugin:") ? plugins.get(name) : undefined;
    const path = [...(plugin === undefined ? pathOf(name) : ["namespaces", plugin, "plugin"]), setting];
    return checkTlsFiles(files, { cert: [...path, "cert"], key: [...path, "key"], ca: [...path, "ca"] });
  });
  return [...own, ...ofStores];
}

function tlsOf(backend: BackendConfig) {
  switch (backend.type) {
    case "postgres":
      return ["ssl", backend.ssl] as const;
    case "redis":
    case "remote":
      return ["tls", backend.tls] as const;
    case "memory":
    case "sqlite":
      return ["tls", undefined] as const;
  }
}

/** Two stores in one file would each write what the other does not know of. */
function checkDatabaseFiles({ backends, namespaces, file }: Config): readonly Finding[] {
  const findings: Finding[] = [];
  const firstUse = new Map<string, string>();
  for (const [name, backend] of Object.entries(backends)) {
    // The default store is there without being asked for; it is opened only for a namespace.
    const unused = name === DATABASE && !namespaces.some((namespace) => namespace.backend === name);
    if (backend.type !== "sqlite" || (unused && file !== undefined)) {
      continue;
    }
    const identity = identityOf(backend.path);
    const first = firstUse.get(identity);
    if (first === undefined) {
      firstUse.set(identity, name);
    } else {
      findings.push({
        path: [...pathOf(name), "path"],
        message: `the file of ${pathOf(first).join(".")} already; each store needs a file of its own`,
      });
    }
  }
  return findings;
}

/** Equal for names of one file, whatever links lead to it. */
function identityOf(path: string): string {
  try {
    const { dev, ino } = statSync(path);
    return `${dev}:${ino}`;
  } catch {
    // Not there yet.
  }
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch {
    return path;
  }
}

function pathOf(name: string): readonly PropertyKey[] {
  return name === DATABASE ? [DATABASE] : ["backends", name];
}
