/** Backup and restore of each store, with the programs and commands of docs/deployment.md. */
import { execFile, spawnSync } from "node:child_process";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { PrismClient } from "../client/node.ts";
import { isThere } from "./helpers/is-there.ts";
import { freePort } from "./helpers/port.ts";
import { completePostgres, startPostgres } from "./helpers/postgres.ts";
import { type ServerProcess, spawnServer, temporaryFolder } from "./helpers/process.ts";
import { canStartRedis, startRedis, startRedisServer } from "./helpers/redis.ts";

const SLOW = { timeout: 180_000 };
const run = promisify(execFile);
const text = (value: Uint8Array) => Buffer.from(value).toString();
const works = (program: string) => spawnSync(program, ["--version"], { stdio: "ignore" }).status === 0;
const hasSqlite = isThere("sqlite3", works("sqlite3"), "Debian: apt-get install sqlite3");

/** Writes something of each kind. */
async function write({ address }: ServerProcess): Promise<void> {
  const client = new PrismClient(address);
  await client.keyvalue.set("greeting", "hello");
  await client.keyvalue.set("session", "s", { ttlSeconds: 3600 });
  await client.list.pushRight("jobs", "first");
  await client.close();
}

/** Writes what is not in the copy. */
async function writeLater({ address }: ServerProcess): Promise<void> {
  const client = new PrismClient(address);
  await client.keyvalue.set("later", "l");
  await client.close();
}

/** What was there at the moment of the copy is there, and nothing else. */
async function expectWritten({ address }: ServerProcess): Promise<void> {
  const client = new PrismClient(address);
  expect(await client.keyvalue.count()).toBe(2);
  expect(text(await client.keyvalue.get("greeting"))).toBe("hello");
  expect(await client.keyvalue.ttl("session")).toBeGreaterThan(3_000_000);
  expect(text((await client.list.popLeft("jobs")) ?? new Uint8Array())).toBe("first");
  // And it takes writes.
  await client.keyvalue.set("after", "a");
  await client.close();
}

/** Makes a namespace at run time. */
async function makeNamespace(server: ServerProcess): Promise<void> {
  const made = await fetch(`${server.adminUrl}/namespaces`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"name": "orders", "backend": "database"}',
  });
  expect(made.status).toBe(201);
}

/** That namespace serves. */
async function expectNamespace({ address }: ServerProcess): Promise<void> {
  const client = new PrismClient(address, { namespace: "orders" });
  await client.keyvalue.set("k", "v");
  await client.close();
}

async function stop(server: ServerProcess): Promise<void> {
  server.child.kill("SIGTERM");
  expect(await server.exited).toBe(0);
}

test.runIf(hasSqlite)("SQLite, while the gateway runs", SLOW, async () => {
  await using folder = await temporaryFolder();
  const data = join(folder.path, "data");
  await mkdir(join(folder.path, "backup"));
  {
    await using server = await spawnServer(["--data-dir", data]);
    await write(server);
    await makeNamespace(server);
    for (const name of ["prism.db", "prism-control.db"]) {
      await run("sqlite3", [`data/${name}`, `VACUUM INTO 'backup/${name}'`], { cwd: folder.path });
    }
    await writeLater(server);
    await stop(server);
  }
  for (const name of ["prism.db", "prism-control.db"]) {
    for (const end of ["", "-wal", "-shm"]) {
      await rename(join(data, name + end), join(folder.path, name + end)).catch(() => {});
    }
    await rename(join(folder.path, "backup", name), join(data, name));
  }
  await using server = await spawnServer(["--data-dir", data]);
  await expectWritten(server);
  await expectNamespace(server);
});

const postgres = completePostgres();

test.runIf(postgres !== undefined)("PostgreSQL, while gateways run", SLOW, async () => {
  const program = (name: string) => join(postgres ?? "", name);
  await using database = await startPostgres({ folder: postgres });
  await using folder = await temporaryFolder();
  const config = join(folder.path, "prism.yaml");
  await writeFile(config, `database: {type: postgres, url: "${database.url}"}\n`);
  const dump = join(folder.path, "prism.dump");
  {
    await using server = await spawnServer(["--config", config]);
    await write(server);
    await makeNamespace(server);
    const schemas = ["--schema=prism", "--schema=prism_control"];
    await run(program("pg_dump"), ["--format=custom", ...schemas, `--file=${dump}`, database.url]);
    await writeLater(server);
    await stop(server);
  }
  await run(program("psql"), [database.url, "--command", "DROP SCHEMA prism, prism_control CASCADE"]);
  await run(program("pg_restore"), ["--no-owner", `--dbname=${database.url}`, dump]);
  await using server = await spawnServer(["--config", config]);
  await expectWritten(server);
  await expectNamespace(server);
});

test.runIf(canStartRedis())("Redis", SLOW, async () => {
  await using folder = await temporaryFolder();
  const config = join(folder.path, "prism.yaml");
  const port = await freePort();
  await writeFile(config, `database: {type: redis, url: "redis://127.0.0.1:${port}"}\n`);
  const dump = join(folder.path, "prism.rdb");
  {
    await using redis = await startRedis({ port });
    await using server = await spawnServer(["--config", config]);
    await write(server);
    await run("redis-cli", ["-p", String(redis.port), "--rdb", dump]);
    await writeLater(server);
    await stop(server);
  }
  await using _ = await startRedisServer(port, "Ready to accept connections", () => [
    ...["--port", String(port), "--bind", "127.0.0.1", "--appendonly", "no", "--save", ""],
    ...["--dir", folder.path, "--dbfilename", "prism.rdb"],
  ]);
  await using server = await spawnServer(["--config", config]);
  await expectWritten(server);
});
