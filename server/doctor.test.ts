import { chmod, readdir, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, onTestFinished, test } from "vitest";
import { CERT, KEY } from "../tests/helpers/certificate.ts";
import { canStartKafka, startKafka } from "../tests/helpers/kafka.ts";
import { freePort } from "../tests/helpers/port.ts";
import {
  canStartPostgres,
  createTestDatabase,
  hasTestDatabase,
  lockTable,
  startPostgres,
  type TestDatabase,
} from "../tests/helpers/postgres.ts";
import { prism, temporaryFolder } from "../tests/helpers/process.ts";
import { askRedis, canStartRedis, startRedis } from "../tests/helpers/redis.ts";
import { startTestServer } from "../tests/helpers/server.ts";
import { waitFor } from "../tests/helpers/until.ts";
import { diagnoseClock } from "./backend/diagnosis.ts";
import { createBackend } from "./backend/factory.ts";
import { Cluster } from "./backend/kafka/cluster.ts";
import { kafkaSchema } from "./backend/kafka/config.ts";
import { shardKeys } from "./backend/redis/keys.ts";
import { backendSchema } from "./backend/rooms.ts";
import { createCatalog } from "./catalog/catalogs.ts";
import { controlSchema } from "./catalog/config.ts";
import { examineStores, hasProblem, renderReport, type StoreReport, type StoresOf } from "./doctor.ts";

/** Servers start slowly on a busy machine. */
const SLOW = { timeout: 300_000 };

/** Long enough for a busy machine. */
const PATIENT_MS = 60_000;

/** A configuration that has its stores in memory. */
const IN_MEMORY: StoresOf = {
  backends: { database: { type: "memory" } },
  control: { type: "memory" },
  quotas: { redisUrl: undefined },
};

/** The findings about a store: `check: state: message`. */
async function lookAt(options: object, timeoutMs = PATIENT_MS): Promise<string[]> {
  return textsOf(
    await examineStores({ ...IN_MEMORY, backends: { it: backendSchema.parse(options) } }, timeoutMs),
  );
}

/** The findings about a catalog, or about the Redis of quotas, likewise. */
async function lookBeside(more: Partial<StoresOf>): Promise<string[]> {
  const reports = await examineStores({ ...IN_MEMORY, ...more }, PATIENT_MS);
  expect(reports.map(({ store }) => store)).toEqual(["database", ...Object.keys(more)]);
  return textsOf(reports.slice(1));
}

function textsOf(reports: readonly StoreReport[]): string[] {
  return reports.flatMap(({ findings }) =>
    findings.map(({ check, state, message }) => `${check}: ${state}: ${message}`),
  );
}

/** A finding that begins so. */
const finding = (text: string) => expect.stringMatching(new RegExp(`^${RegExp.escape(text)}`));

/** Makes the store's tables, and closes it when the test ends. */
async function open(options: object): Promise<() => Promise<void>> {
  const backend = await createBackend(backendSchema.parse(options));
  await backend.open();
  let isOpen = true;
  const close = async () => {
    if (isOpen) {
      isOpen = false;
      await backend.close();
    }
  };
  onTestFinished(close);
  return close;
}

test("a store in memory is fine", async () => {
  const [report] = await examineStores(IN_MEMORY);
  expect(report).toEqual({
    store: "database",
    type: "memory",
    place: "",
    findings: [{ check: "data", state: "ok", message: "in the gateway's memory, and gone when it ends" }],
  });
  expect(hasProblem(report === undefined ? [] : [report])).toBe(false);
});

describe("SQLite", () => {
  async function inFolder() {
    const folder = await temporaryFolder();
    onTestFinished(() => folder[Symbol.asyncDispose]());
    const path = join(folder.path, "data", "prism.db");
    return { folder: folder.path, path, options: { type: "sqlite", path } };
  }

  test("that is not there yet is fine, and is not made", async () => {
    const { folder, options } = await inFolder();
    expect(await lookAt(options)).toEqual([
      `folder: ok: ${join(folder, "data")} is made at the start`,
      finding("disk: ok: "),
    ]);
    expect(await readdir(folder)).toEqual([]);
  });

  test("tells whether a gateway has it open, and who else may read it", async () => {
    const { folder, path, options } = await inFolder();
    const close = await open(options);
    expect(await lookAt(options)).toContain("use: ok: a gateway has it open; a second one would be refused");
    await close();
    await chmod(path, 0o644);
    const before = await readdir(join(folder, "data"));
    expect(await lookAt(options)).toEqual([
      finding("folder: ok: "),
      finding("disk: ok: "),
      finding("version: ok: schema "),
      `rights: warning: others may use ${path} (mode 644): chmod go-rwx '${path}'`,
      "use: ok: no gateway has it open",
    ]);
    expect(await readdir(join(folder, "data"))).toEqual(before);
  });

  test("of a newer Prism, of another program, and one that is lost, are problems", async () => {
    const { folder } = await inFolder();
    const at = (name: string) => ({ type: "sqlite", path: join(folder, name) });
    const change = (name: string, sql: string) => {
      const db = new DatabaseSync(join(folder, name));
      db.exec(sql);
      db.close();
    };
    await (await open(at("new.db")))();
    change("new.db", "PRAGMA user_version = 1000");
    expect(await lookAt(at("new.db"))).toContainEqual(finding("version: problem: written by a newer Prism"));
    change("other.db", "CREATE TABLE t (a); PRAGMA application_id = 7");
    expect(await lookAt(at("other.db"))).toContainEqual(finding("file: problem: "));
    await writeFile(join(folder, "text.db"), "no database");
    expect(await lookAt(at("text.db"))).toContainEqual(
      finding(`file: problem: ${join(folder, "text.db")} is not a SQLite database`),
    );
    // A catalog keeps namespaces in another kind of file.
    expect(await lookBeside({ control: { type: "sqlite", path: join(folder, "new.db") } })).toContainEqual(
      finding("file: problem: "),
    );
    await writeFile(join(folder, "lost.db-wal"), "x");
    expect(await lookAt(at("lost.db"))).toContainEqual(
      finding(`file: problem: ${join(folder, "lost.db")} is missing or empty, but its log`),
    );
  });
});

describe("the catalog of namespaces", () => {
  /** Makes its tables. */
  async function make(options: object) {
    const control = controlSchema.parse(options);
    if (control.type === "file") {
      throw new TypeError("a configuration file is no store");
    }
    const catalog = await createCatalog(control);
    await catalog.open();
    await catalog.close();
    return control;
  }

  test("in a SQLite file is looked at like a store", async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "control.db");
    expect(await lookBeside({ control: { type: "sqlite", path } })).toContain(
      `file: ok: ${path} is made at the start`,
    );
    const control = await make({ type: "sqlite", path });
    const findings = await lookBeside({ control });
    expect(findings).toContain("version: ok: schema 1");
    expect(findings).toContain("use: ok: no gateway has it open");
    // A store keeps data in another kind of file.
    expect(await lookAt(control)).toContainEqual(finding("file: problem: "));
  });

  test.runIf(hasTestDatabase())("in a PostgreSQL schema is looked at with its rights", SLOW, async () => {
    await using server = await createTestDatabase();
    const options = { type: "postgres", url: server.url, schema: "names" };
    const before = await lookBeside({ control: controlSchema.parse(options) });
    expect(before).toContainEqual(finding("version: ok: PostgreSQL "));
    expect(before.at(-1)).toBe("rights: ok: the tables in the schema names are made at the first start");
    await make(options);
    await using reader = await createRole(server);
    const control = controlSchema.parse({ ...options, url: reader.url });
    await server.query(`GRANT USAGE ON SCHEMA names TO ${reader.name}`);
    await server.query(`GRANT SELECT ON ALL TABLES IN SCHEMA names TO ${reader.name}`);
    const findings = await lookBeside({ control });
    expect(findings.at(-1)).toContain(`GRANT UPDATE ON names.catalog TO ${reader.name}`);
    expect(findings.join()).not.toContain("sesame");
    await server.query(`GRANT INSERT, UPDATE, DELETE ON names.namespace TO ${reader.name}`);
    await server.query(`GRANT UPDATE ON names.catalog TO ${reader.name}`);
    expect((await lookBeside({ control })).at(-1)).toBe("rights: ok: enough for the tables, which are there");
    await server.query("INSERT INTO names.migration (version) VALUES (1000)");
    expect(await lookBeside({ control })).toContainEqual(finding("tables: problem: made by a newer Prism"));
  });
});

/** A user without rights, whose password is sesame. Disposing removes it. */
async function createRole(server: TestDatabase): Promise<{ name: string; url: string } & AsyncDisposable> {
  const name = `doctor_${process.pid}`;
  await server.query(`CREATE ROLE ${name} LOGIN PASSWORD 'sesame'`);
  const url = new URL(server.url);
  url.username = name;
  url.password = "sesame";
  return {
    name,
    url: url.href,
    async [Symbol.asyncDispose]() {
      await server.query(`DROP OWNED BY ${name}; DROP ROLE ${name}`);
    },
  };
}

describe.runIf(hasTestDatabase())("PostgreSQL", () => {
  test("is looked at with its rights and settings, and nothing is made", SLOW, async () => {
    await using server = await createTestDatabase();
    const options = { type: "postgres", url: server.url, schema: "looked_at" };
    expect(await lookAt(options)).toEqual([
      finding("reachable: ok: "),
      finding("version: ok: PostgreSQL "),
      finding("TLS: ok: none is needed"),
      "writes: ok: taken",
      expect.stringMatching(/^durability: /),
      "clock: ok: as this machine's",
      "rights: ok: the tables in the schema looked_at are made at the first start",
    ]);
    const schemas = await server.query("SELECT 1 FROM pg_namespace WHERE nspname = 'looked_at'");
    expect(schemas.rowCount).toBe(0);
    await (await open(options))();
    expect(await lookAt(options)).toContain("rights: ok: enough for the tables, which are there");
    const name = new URL(server.url).pathname.slice(1);
    await server.query(`ALTER DATABASE ${name} SET synchronous_commit = off`);
    await server.query(`ALTER DATABASE ${name} SET default_transaction_read_only = on`);
    const settings = await lookAt(options);
    expect(settings).toContainEqual(finding("writes: warning: refused by default_transaction_read_only"));
    // Test databases that never wait for the disk say so first.
    expect(settings).toContainEqual(
      expect.stringMatching(/^durability: warning: (synchronous_commit|fsync) is off/),
    );
  });

  test("whose tables are locked is told with what was found before", SLOW, async () => {
    await using server = await createTestDatabase();
    const options = { type: "postgres", url: server.url };
    await (await open(options))();
    await using _lock = await lockTable(server.url, "prism.migration");
    const findings = await lookAt(options, 10_000);
    expect(findings).toContainEqual(finding("version: ok: "));
    expect(findings.at(-1)).toMatch(/^answer: problem: PostgreSQL at .*: canceling statement due to/);
  });

  test.runIf(canStartPostgres())("that freezes meanwhile is given up", SLOW, async () => {
    await using server = await startPostgres();
    const options = { type: "postgres", url: server.url };
    await (await open(options))();
    await using lock = await lockTable(server.url, "prism.migration");
    const looking = lookAt(options, 8_000);
    await waitFor(async () => expect(await lock.waiting()).toBe(1));
    server.signal("SIGSTOP");
    const findings = await looking;
    server.signal("SIGCONT");
    expect(findings).toContainEqual(finding("version: ok: "));
    expect(findings.at(-1)).toMatch(/^answer: problem: PostgreSQL at /);
  });

  test("says which rights are missing, and tells of tables of a newer Prism", SLOW, async () => {
    await using server = await createTestDatabase();
    await using role = await createRole(server);
    const findings = await lookAt({ type: "postgres", url: role.url });
    expect(findings).toContainEqual(
      finding("rights: problem: some are missing; let an administrator run: GRANT CREATE ON DATABASE"),
    );
    expect(findings.join()).not.toContain("sesame");
    const options = { type: "postgres", url: server.url };
    await (await open(options))();
    await server.query("INSERT INTO prism.migration (version) VALUES (1000)");
    expect(await lookAt(options)).toContainEqual(finding("tables: problem: made by a newer Prism"));
  });
});

describe.runIf(canStartRedis())("Redis", () => {
  test("that loses data in a crash is a warning, and nothing is written", SLOW, async () => {
    await using server = await startRedis();
    expect(await lookAt({ type: "redis", url: server.url })).toEqual([
      finding("reachable: ok: 127.0.0.1:"),
      finding("version: ok: "),
      finding("TLS: ok: none is needed"),
      "writes: ok: taken",
      "eviction: ok: none",
      finding("durability: warning: appendonly is off: a crash loses "),
      "clock: ok: as this machine's",
      "layout: ok: no data of another version or number of shards",
    ]);
    expect(await askRedis(server.url, "DBSIZE")).toBe(0);
    await askRedis(server.url, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    expect(await lookAt({ type: "redis", url: server.url })).toContainEqual(
      finding("eviction: warning: none without maxmemory, but allkeys-lru with it"),
    );
    await askRedis(server.url, "CONFIG", "SET", "maxmemory", "100mb");
    expect(await lookAt({ type: "redis", url: server.url })).toContainEqual(
      finding("eviction: problem: it would throw away data when it is full"),
    );
    await askRedis(server.url, "CONFIG", "SET", "appendonly", "yes");
    expect(await lookAt({ type: "redis", url: server.url })).toContainEqual(
      finding("durability: ok: appendonly is on, appendfsync everysec"),
    );
    await askRedis(server.url, "CONFIG", "SET", "requirepass", "sesame");
    const url = new URL(server.url);
    url.password = "wrong-sesame";
    const refused = await lookAt({ type: "redis", url: url.href });
    expect(refused).toEqual([finding("reachable: problem: Redis at 127.0.0.1:")]);
    expect(refused.join()).not.toContain("sesame");
  });

  test("with data of an older Prism, or with other shards, is told", SLOW, async () => {
    await using server = await startRedis();
    const layout = () => lookAt({ type: "redis", url: server.url });
    await askRedis(server.url, "SET", shardKeys("prism", 0).layout, "1 0/1");
    expect(await layout()).toContainEqual(
      finding('layout: problem: {prism:0}:layout is "1 0/1" and not "3 0/1": the data is of an older Prism'),
    );
    // The first start of this Prism makes what that layout lacks.
    for (const ours of ["2 0/1", "3 0/1"]) {
      await askRedis(server.url, "SET", shardKeys("prism", 0).layout, ours);
      expect(await layout()).toContainEqual(finding("layout: ok: "));
    }
    expect(await lookAt({ type: "redis", url: server.url, shards: 3 })).toContainEqual(
      finding('layout: problem: {prism:0}:layout is "3 0/1" and not "3 0/3": the data has another number'),
    );
    await askRedis(server.url, "ACL", "SETUSER", "default", "-get");
    expect(await layout()).toContainEqual(expect.stringMatching(/^layout: problem: Redis at .*: NOPERM /));
  });

  test("where gateways share quotas is looked at for what they need", SLOW, async () => {
    await using server = await startRedis({ args: ["--maxmemory", "100mb"] });
    await askRedis(server.url, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    await askRedis(server.url, "SET", shardKeys("prism", 0).layout, "1 0/1");
    expect(await lookBeside({ quotas: { redisUrl: server.url } })).toEqual([
      finding("reachable: ok: 127.0.0.1:"),
      finding("version: ok: "),
      finding("TLS: ok: none is needed"),
      "writes: ok: taken",
    ]);
    const closed = `redis://:sesame@127.0.0.1:${await freePort()}`;
    const findings = await lookBeside({ quotas: { redisUrl: closed } });
    expect(findings).toEqual([finding("reachable: problem: Redis at 127.0.0.1:")]);
    expect(findings.join()).not.toContain("sesame");
  });

  test("a replica, and a node of a Cluster, are told", SLOW, async () => {
    await using replica = await startRedis({ args: ["--replicaof", "127.0.0.1", String(await freePort())] });
    expect(await lookAt({ type: "redis", url: replica.url })).toContainEqual(
      finding("writes: warning: a replica, which takes none"),
    );
    await using node = await startRedis({
      args: [
        ...["--cluster-enabled", "yes", "--cluster-port", String(await freePort())],
        ...["--cluster-announce-ip", "127.0.0.1"],
      ],
    });
    expect(await lookAt({ type: "redis", url: node.url })).toContainEqual(
      finding("writes: problem: this is a node of a Cluster"),
    );
    await askRedis(node.url, "CLUSTER", "ADDSLOTSRANGE", 0, 16383);
    const findings = await waitFor(async () => {
      const found = await lookAt({ type: "redis", cluster: [node.url] });
      expect(found).toContainEqual(expect.stringMatching(/^reachable: ok: .*; primaries: 1$/));
      return found;
    });
    expect(findings).toContainEqual(expect.stringMatching(/^writes: ok: 127\.0\.0\.1:\d+: taken$/));
  });

  test("over TLS says whether the certificate was verified", SLOW, async () => {
    await using folder = await temporaryFolder();
    const files = { cert: join(folder.path, "cert.pem"), key: join(folder.path, "key.pem") };
    await writeFile(files.cert, CERT);
    await writeFile(files.key, KEY);
    const port = await freePort();
    await using _server = await startRedis({
      args: [
        ...["--tls-port", String(port), "--tls-cert-file", files.cert, "--tls-key-file", files.key],
        ...["--tls-ca-cert-file", files.cert, "--tls-auth-clients", "no"],
      ],
    });
    const url = `rediss://127.0.0.1:${port}`;
    expect(await lookAt({ type: "redis", url, tls: { ca: files.cert } })).toContainEqual(
      finding("TLS: ok: TLSv1.3, and the server's certificate was verified"),
    );
    expect(await lookAt({ type: "redis", url })).toEqual([
      expect.stringMatching(/^reachable: problem: .*self-signed certificate/),
    ]);
  });
});

describe.runIf(canStartKafka())("Kafka", () => {
  test("is looked at for what streams need, and no topic is made", SLOW, async () => {
    await using kafka = await startKafka({
      users: { prism: "sesame" },
      settings: { "unclean.leader.election.enable": "true", "delete.topic.enable": "false" },
    });
    const [{ address, saslAddress } = { address: "", saslAddress: "" }] = kafka.nodes;
    const found = await lookAt({ type: "kafka", brokers: kafka.addresses });
    expect(found).toEqual([
      `reachable: ok: ${address}, topics prism.*; brokers: 1`,
      `brokers: ok: ${address}`,
      "version: ok: it has all calls that Prism makes",
      finding("TLS: ok: none is needed"),
      finding("replicas: warning: one of a new stream"),
      "streams: ok: their topics can be made, as prism.NAMESPACE__STREAM",
      "time index: ok: kept in the group prism.index",
      finding("deletes: warning: refused"),
      finding("durability: warning: unclean.leader.election.enable is true"),
    ]);
    const cluster = new Cluster(kafkaSchema.parse({ type: "kafka", brokers: kafka.addresses }));
    await cluster.open();
    expect(await cluster.allTopics()).toEqual([]);
    await cluster.close();
    expect(await lookAt({ type: "kafka", brokers: kafka.addresses, replication_factor: 3 })).toEqual(
      expect.arrayContaining([
        "replicas: problem: replication_factor is 3, and the brokers are 1: no stream can be made",
        finding("streams: problem: no topic can be made: INVALID_REPLICATION_FACTOR"),
      ]),
    );
    const sasl = { mechanism: "PLAIN", username: "prism", password: "sesame" };
    const login = { type: "kafka", brokers: [saslAddress] };
    expect(await lookAt({ ...login, sasl })).toContainEqual(finding("streams: ok: "));
    const refused = await lookAt({ ...login, sasl: { ...sasl, password: "wrong-sesame" } });
    expect(refused).toEqual([finding(`reachable: problem: Kafka at ${saslAddress}`)]);
    expect(refused.join()).not.toContain("sesame");
  });

  test("over TLS says whether the certificate was verified", SLOW, async () => {
    await using folder = await temporaryFolder();
    const ca = join(folder.path, "cert.pem");
    await writeFile(ca, CERT);
    await using kafka = await startKafka({ tls: { cert: CERT, key: KEY } });
    const brokers = kafka.nodes.map(({ tlsAddress }) => tlsAddress);
    expect(await lookAt({ type: "kafka", brokers, tls: { ca } })).toContainEqual(
      finding("TLS: ok: TLSv1.3, and the server's certificate was verified"),
    );
    expect(await lookAt({ type: "kafka", brokers, tls: {} })).toEqual([
      expect.stringMatching(/^reachable: problem: .*self-signed certificate/),
    ]);
  });
});

describe("a plugin", () => {
  test("is asked for its health and its interfaces", SLOW, async () => {
    await using plugin = await startTestServer();
    expect(await lookAt({ type: "remote", endpoint: plugin.address })).toEqual([
      `reachable: ok: ${plugin.address} says that it serves`,
      finding("TLS: ok: none is needed"),
      finding("interfaces: ok: KeyValueBasicInterface, KeyValueBatchInterface, "),
    ]);
    const closed = `127.0.0.1:${await freePort()}`;
    expect(await lookAt({ type: "remote", endpoint: closed })).toEqual([
      finding(`reachable: problem: plugin at ${closed}: `),
    ]);
  });

  test("that is silent holds up nobody", SLOW, async () => {
    const silent = createServer((socket) => socket.on("error", () => {}).resume()).listen(0, "127.0.0.1");
    onTestFinished(() => void silent.close());
    await new Promise((resolve) => silent.once("listening", resolve));
    const { port } = Object(silent.address());
    expect(await lookAt({ type: "remote", endpoint: `127.0.0.1:${port}` }, 200)).toEqual([
      expect.stringMatching(/^(answer: problem: none within 0\.2 s|reachable: problem: plugin at )/),
    ]);
  });
});

test.each([
  [1_000, 1_000, 1_010, "ok"],
  [2_500, 1_000, 2_000, "ok"],
  [3_500, 1_000, 2_000, "warning: 1.5 s before"],
  [1_000, 61_000, 61_001, "warning: 60.0 s behind"],
])("a clock that says %i between %i and %i is %s", (storeMs, askedMs, toldMs, expected) => {
  const { state, message } = diagnoseClock(storeMs, askedMs, toldMs);
  expect(`${state}: ${message}`).toMatch(new RegExp(`^${expected}`));
});

test("prism doctor prints what it found, and fails with a problem", SLOW, async () => {
  await using folder = await temporaryFolder();
  const file = join(folder.path, "prism.yaml");
  const closed = `127.0.0.1:${await freePort()}`;
  await writeFile(file, `database: {type: sqlite, path: data/prism.db}\n`);
  const fine = await prism(["doctor", "--config", file]);
  expect(fine).toMatchObject({ code: 0, stderr: "" });
  expect(fine.stdout).toContain(
    `database (sqlite, ${join(folder.path, "data/prism.db")})\n  ok        folder  `,
  );
  await writeFile(
    file,
    `database: {type: memory}\nbackends: {far: {type: redis, url: "redis://:sesame@${closed}"}}\n`,
  );
  const { code, stdout, stderr } = await prism(["doctor", "--json"], { PRISM_CONFIG: file });
  expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
  expect(
    stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toEqual([
    expect.objectContaining({ store: "database", type: "memory", check: "data", state: "ok" }),
    expect.objectContaining({ store: "far", place: closed, check: "reachable", state: "problem" }),
  ]);
  expect(stdout).not.toContain("sesame");
  expect(await prism(["doctor", "--config", join(folder.path, "none")])).toMatchObject({ code: 2 });
});

test("the lines of a report stand below each other", () => {
  const report = {
    store: "s",
    type: "t",
    place: "here",
    findings: [
      { check: "version", state: "ok", message: "1" },
      { check: "TLS", state: "warning", message: "none" },
    ],
  } as const;
  expect(renderReport(report)).toBe("s (t, here)\n  ok        version  1\n  warning   TLS      none\n");
});
