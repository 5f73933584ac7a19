import { chmod, chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Child, folderOnPath, NOBODY, spawnChild } from "./child.ts";
import { isThere } from "./is-there.ts";
import { freePort } from "./port.ts";

/** Debian installs it in a folder that is only on root's path. */
const folder = folderOnPath(["pgbouncer"], ["/usr/sbin"]);

/**
 * Server connections for each user and database. Fewer than a gateway's own, so that they are
 * shared.
 */
const POOL_SIZE = 3;

/** When a server connection is given to the next client. */
export type PoolMode = "session" | "transaction" | "statement";

/** A PgBouncer on a port of loopback, in front of a PostgreSQL. Disposing stops it. */
export interface PgBouncerProcess extends AsyncDisposable {
  /** The URL of the database behind it. `restart` keeps it. */
  readonly url: string;
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  /** Kills it like a crash and starts it again. */
  restart(): Promise<void>;
}

/** Whether tests can start a PgBouncer; reports it if not. */
export const canStartPgBouncer = () =>
  isThere("pgbouncer", folder !== undefined, "Debian: apt-get install pgbouncer");

/**
 * Starts a PgBouncer in front of the server of `databaseUrl`, which needs no password. `settings`
 * are lines of the section `[pgbouncer]`. Only if {@link canStartPgBouncer}.
 */
export async function startPgBouncer(
  databaseUrl: string,
  poolMode: PoolMode,
  settings: readonly string[] = [],
): Promise<PgBouncerProcess> {
  if (folder === undefined) {
    throw new Error("there is no pgbouncer");
  }
  const program = join(folder, "pgbouncer");
  const directory = await mkdtemp(join(tmpdir(), "prism-pgbouncer-"));
  const server = new URL(databaseUrl);
  const port = await freePort();
  const file = join(directory, "pgbouncer.ini");
  const users = join(directory, "users.txt");
  await writeFile(users, `"${server.username}" ""\n`);
  await writeFile(
    file,
    `[databases]
* = host=${server.hostname} port=${server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = trust
auth_file = ${users}
pool_mode = ${poolMode}
default_pool_size = ${POOL_SIZE}
max_client_conn = 1000
${settings.join("\n")}
`,
  );
  // It refuses to run as root.
  const asRoot = process.getuid?.() === 0;
  if (asRoot) {
    await chown(directory, NOBODY, NOBODY);
  }
  await chmod(directory, 0o755);
  let child: Child | undefined;

  async function start(): Promise<void> {
    child = spawnChild("process up", program, [file], asRoot ? { uid: NOBODY, gid: NOBODY } : {});
    await child.ready;
  }

  async function kill(): Promise<void> {
    child?.process.kill("SIGKILL");
    await child?.exited;
  }

  const url = new URL(databaseUrl);
  url.port = String(port);
  await start();
  return {
    url: url.href,
    signal(name) {
      child?.process.kill(name);
    },
    async restart() {
      await kill();
      await start();
    },
    async [Symbol.asyncDispose]() {
      await kill();
      await rm(directory, { recursive: true });
    },
  };
}
