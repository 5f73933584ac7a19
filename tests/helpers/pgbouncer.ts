import { chmod, chown, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Child, folderOnPath, NOBODY, spawnChild } from "./child.ts";
import { isThere } from "./is-there.ts";
import { freePort } from "./port.ts";

/** Debian puts it where only the administrator's path looks. */
const folder = folderOnPath(["pgbouncer"], ["/usr/sbin"]);

/** Server connections for each user and database: fewer than a gateway has of its own, so that they are shared. */
const POOL_SIZE = 3;

/** When a server connection is given to the next client. */
export type PoolMode = "session" | "transaction" | "statement";

/** A PgBouncer of its own, on a port of loopback, in front of a PostgreSQL. Disposing stops it. */
export interface PgBouncerProcess extends AsyncDisposable {
  /** Of the database behind it. The same after `restart`. */
  readonly url: string;
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  /** Ends it as a crash does, and starts it again. */
  restart(): Promise<void>;
}

/** Whether tests can start a PgBouncer; says so loudly where not. */
export const canStartPgBouncer = () =>
  isThere("pgbouncer", folder !== undefined, "Debian: apt-get install pgbouncer");

/**
 * Starts a PgBouncer in front of the server of `databaseUrl`, which needs no password. `settings` are lines of the section
 * `[pgbouncer]`. Not to be called where {@link canStartPgBouncer} said no.
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
