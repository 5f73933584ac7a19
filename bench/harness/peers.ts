import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BackendConfig } from "../../server/backend/rooms.ts";
import { freePort } from "../../tests/helpers/port.ts";
import { NODE_FLAGS, nodeEnvironment } from "../../tests/helpers/process.ts";
import { type Core, type Peer, startPeer } from "./process.ts";

const MAIN = fileURLToPath(new URL("../../server/main.ts", import.meta.url));

/**
 * Starts a whole Prism on free ports, with the given store (default: memory) or the plugin on that
 * port. `more` are further keys of its configuration; `args` go to `prism serve`.
 */
export async function startPrism(
  settings: {
    readonly http2?: "engine" | "node";
    readonly database?: BackendConfig;
    /** As in a configuration file. */
    readonly namespaces?: readonly object[];
    readonly pluginPort?: number;
    readonly core?: Core;
    /** Further sections of a configuration file. */
    readonly more?: object;
  } = {},
  args: readonly string[] = [],
): Promise<Peer> {
  const folder = mkdtempSync(join(tmpdir(), "prism-bench-"));
  const file = join(folder, "prism.yaml");
  const { http2 = "engine", database = { type: "memory" }, pluginPort, core, more } = settings;
  const plugin = { endpoint: `127.0.0.1:${pluginPort}` };
  const namespaces = pluginPort === undefined ? settings.namespaces : [{ name: "default", plugin }];
  writeFileSync(file, JSON.stringify({ server: { http2 }, database, namespaces, ...more }));
  const ports = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
  try {
    return await startPeer(
      process.execPath,
      [...NODE_FLAGS, MAIN, "serve", "--config", file, ...ports, ...args],
      (line) =>
        line.includes('"msg":"ready"') ? Number(/"listen":"[^"]*:(\d+)"/.exec(line)?.[1]) : undefined,
      nodeEnvironment(),
      core,
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Starts one of the servers in `bench/peers/`. */
export async function startOther(name: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) {
  const file = fileURLToPath(new URL(`../peers/${name}.ts`, import.meta.url));
  return await startPeer(
    process.execPath,
    [file, ...args],
    (line) => (line.startsWith("ready ") ? Number(line.slice("ready ".length)) : undefined),
    env,
  );
}

/** Starts a Redis that keeps nothing on disk. */
export async function startRedis(core: Core = "server"): Promise<Peer> {
  const port = await freePort();
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
  const portOf = (line: string) => (line.includes("Ready to accept") ? port : undefined);
  return await startPeer("redis-server", args, portOf, {}, core);
}
