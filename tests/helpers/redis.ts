import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { type Child, folderOnPath, spawnChild } from "./child.ts";
import { isThere } from "./is-there.ts";
import { freePort } from "./port.ts";

/** A server on loopback that takes longer for one of these commands will not answer. */
const COMMAND_TIMEOUT_MS = 5000;

/** The keys that one step of a flush reads. */
const SCAN_COUNT = 1000;

/** A Redis on a port of loopback. Disposing stops it and removes its data. */
export interface RedisProcess extends AsyncDisposable {
  /** `start` keeps it, and `port`. */
  readonly url: string;
  readonly port: number;
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  /** Kills it like a crash; resolves when it is gone. */
  kill(): Promise<void>;
  /**
   * Starts it again with the same data and port; resolves when it takes connections and has loaded
   * its data.
   */
  start(): Promise<void>;
}

/** The options of a Redis. */
export interface RedisOptions {
  /** True: acknowledged data is on disk. Otherwise nothing is. */
  readonly durable?: boolean;
  /** Command-line settings such as `--maxmemory 10mb`; they win over the others. */
  readonly args?: readonly string[];
  /** Absent = any free port. */
  readonly port?: number | undefined;
}

/** A part of a command. */
export type Argument = string | number | Buffer;

const folder = folderOnPath(["redis-server"]);

/** Whether tests can start a Redis; reports it if not. */
export const canStartRedis = () =>
  isThere("redis-server", folder !== undefined, "Debian: apt-get install redis-server");

/** Starts a Redis. Only if {@link canStartRedis}. */
export async function startRedis({
  durable = false,
  args = [],
  port,
}: RedisOptions = {}): Promise<RedisProcess> {
  const listenPort = port ?? (await freePort());
  const append = durable ? ["--appendonly", "yes", "--appendfsync", "always"] : ["--appendonly", "no"];
  // A replica gets the data at once, without the default wait of five seconds for other replicas.
  const settings = ["--save", "", ...append, "--repl-diskless-sync-delay", "0"];
  const listen = ["--port", String(listenPort), "--bind", "127.0.0.1"];
  return await startRedisServer(listenPort, "Ready to accept connections", (directory) => [
    ...listen,
    "--dir",
    directory,
    ...settings,
    ...args,
  ]);
}

/** Runs redis-server in a new folder; `argsIn` may put files there first. */
export async function startRedisServer(
  port: number,
  readyText: string,
  argsIn: (directory: string) => readonly string[] | Promise<readonly string[]>,
): Promise<RedisProcess> {
  if (folder === undefined) {
    throw new Error("there is no redis-server");
  }
  const program = join(folder, "redis-server");
  const directory = await mkdtemp(join(tmpdir(), "prism-redis-"));
  const args = await argsIn(directory);
  let child: Child | undefined;

  async function start(): Promise<void> {
    child = spawnChild(readyText, program, args, { cwd: directory });
    await child.ready;
  }

  async function kill(): Promise<void> {
    child?.process.kill("SIGKILL");
    await child?.exited;
  }

  async function dispose(): Promise<void> {
    await kill();
    await rm(directory, { recursive: true, force: true });
  }

  try {
    await start();
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    signal: (name) => void child?.process.kill(name),
    kill,
    start,
    [Symbol.asyncDispose]: dispose,
  };
}

/**
 * Runs `work` on a new connection. Rejects if there is no server, or a command is not answered in
 * time.
 */
export async function withRedis<T>(
  url: string,
  work: (client: Redis) => Promise<T>,
  timeoutMs = COMMAND_TIMEOUT_MS,
): Promise<T> {
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    retryStrategy: null,
    disableClientInfo: true,
    protocol: 2,
  });
  // The calls report it too.
  client.on("error", () => {});
  try {
    await client.connect();
    return await work(client);
  } finally {
    client.disconnect();
  }
}

/** Runs one command on a new connection and answers its reply. */
export const askRedis = (url: string, command: string, ...args: readonly Argument[]): Promise<unknown> =>
  withRedis(url, (client) => client.call(command, ...args));

/**
 * A Redis for tests: the one of PRISM_TEST_REDIS_URL, which others may use at the same time, or a
 * new one.
 */
export interface TestRedis extends AsyncDisposable {
  readonly url: string;
  /** Deletes every key that starts with `prefix`. */
  flush(prefix: string): Promise<void>;
  /** Runs a command directly, without the store. */
  query(command: string, ...args: readonly Argument[]): Promise<unknown>;
}

/** Whether there can be a {@link TestRedis}; reports it if not. */
export const hasTestRedis = () => process.env.PRISM_TEST_REDIS_URL !== undefined || canStartRedis();

/** Gives a Redis. In an existing one a test's data stays. */
export async function createTestRedis(): Promise<TestRedis> {
  const given = process.env.PRISM_TEST_REDIS_URL;
  const server = given === undefined ? await startRedis() : undefined;
  const url = given ?? server?.url ?? "";
  const client = new Redis(url, { protocol: 2, disableClientInfo: true });
  client.on("error", () => {});
  return {
    url,
    query: (command, ...args) => client.call(command, ...args),
    async flush(prefix) {
      const pattern = `${prefix.replace(/[*?[\]\\]/g, "\\$&")}*`;
      let cursor = "0";
      do {
        const [next, keys] = await client.scanBuffer(cursor, "MATCH", pattern, "COUNT", SCAN_COUNT);
        if (keys.length > 0) {
          await client.unlink(keys);
        }
        cursor = next.toString();
      } while (cursor !== "0");
    },
    async [Symbol.asyncDispose]() {
      client.disconnect();
      await server?.[Symbol.asyncDispose]();
    },
  };
}
