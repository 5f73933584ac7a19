import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Config } from "./config.ts";
import { type LoadOptions, loadConfig } from "./load.ts";
import { ConfigError } from "./problem.ts";

const folder = mkdtempSync(join(tmpdir(), "prism-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Loads `yaml` as `prism.yaml` in the working directory. */
function loadYaml(yaml: string | Uint8Array, options: Partial<LoadOptions> = {}): Config {
  writeFileSync(join(folder, "prism.yaml"), yaml);
  return loadConfig({ file: "prism.yaml", env: {}, flags: {}, cwd: folder, ...options });
}

/** The lines of `load`'s error. */
function problemsOf(load: () => unknown): string[] {
  return refusal(load)?.message.split("\n") ?? [];
}

function refusal(load: () => unknown): ConfigError | undefined {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigError) {
      return error;
    }
    throw error;
  }
  return undefined;
}

const DEFAULTS = {
  file: undefined,
  server: {
    listen: { host: "127.0.0.1", port: 8980 },
    hosts: undefined,
    tls: undefined,
    http2: "engine",
    jsonUnknownFields: "reject",
    corsOrigins: [],
    shutdownGraceMs: 10_000,
    idleTimeoutMs: 300_000,
    headerTimeoutMs: 10_000,
    requestTimeoutMs: 60_000,
  },
  admin: { listen: { host: "127.0.0.1", port: 8090 }, hosts: undefined },
  audit: { file: undefined },
  backends: { database: { type: "sqlite", path: join(folder, "data/prism.db") } },
  namespaces: [{ name: "default", pattern: "keyvalue", backend: "database" }],
  control: { type: "sqlite", path: join(folder, "data/prism-control.db"), isDefault: true },
  logging: { level: "info", format: "auto" },
  limits: {
    maxValueBytes: 4 * 1024 * 1024,
    maxConcurrentStreams: 1024,
    maxConnections: 10_000,
    maxConnectionsPerPeer: 5_000,
    maxHeaderBytes: 16_384,
    maxReceivingBytes: 256 * 1024 * 1024,
    maxUnsentBytes: 512 * 1024 * 1024,
    maxTimeoutMs: 0,
  },
};

describe("what is loaded", () => {
  test("without a file everything has its default", () => {
    expect(loadConfig({ env: {}, flags: {}, cwd: folder })).toMatchObject(DEFAULTS);
  });

  test.each(["", "# nothing\n", "---\n", "{}\n", "null\n"])("the empty file %j too", (yaml) => {
    expect(loadYaml(yaml)).toMatchObject({ ...DEFAULTS, file: join(folder, "prism.yaml") });
  });

  test("a file can set everything", () => {
    const config = loadYaml(
      `
server:
  listen_address: "[::1]:443"
  tls: {cert: tls/cert.pem, key: /etc/key.pem, client_ca: ../ca.pem}
  http2: node
  json_unknown_fields: ignore
  cors: {origins: ["https://app.example.com", "http://localhost:3000"]}
  shutdown_grace_ms: 0
  idle_timeout_ms: 1
  header_timeout_ms: 2
  request_timeout_ms: 3
admin: {listen_address: ":0"}
database: {type: memory}
backends:
  main: {type: sqlite, path: main.db, max_bytes: 1048576}
  constructor: {type: memory}
  away: {type: remote, endpoint: "https://[::1]:50051", namespace: theirs, tls: {ca: ca.pem, cert: a/cert.pem, key: /etc/key.pem}}
namespaces:
  - {name: orders, pattern: keyvalue, backend: main}
  - {name: a.b_c-1, backend: constructor}
  - {name: scratch, backend: database}
  - {name: far, plugin: {endpoint: "plugin:50051"}}
logging: {level: silent, format: pretty}
limits: {max_value_bytes: 1, max_concurrent_streams: 2, max_connections: 3, max_header_bytes: 1024, max_receiving_bytes: 1048576, max_unsent_bytes: 2097152, max_timeout_ms: 5}
`,
      { checkFiles: false },
    );
    expect(config).toMatchObject({
      file: join(folder, "prism.yaml"),
      server: {
        listen: { host: "::1", port: 443 },
        tls: {
          certFile: join(folder, "tls/cert.pem"),
          keyFile: "/etc/key.pem",
          clientCaFile: join(folder, "../ca.pem"),
        },
        http2: "node",
        jsonUnknownFields: "ignore",
        corsOrigins: ["https://app.example.com", "http://localhost:3000"],
        shutdownGraceMs: 0,
        idleTimeoutMs: 1,
        headerTimeoutMs: 2,
        requestTimeoutMs: 3,
      },
      admin: { listen: { host: "0.0.0.0", port: 0 } },
      backends: {
        database: { type: "memory" },
        main: { type: "sqlite", path: join(folder, "main.db"), max_bytes: 1048576 },
        constructor: { type: "memory" },
        away: {
          type: "remote",
          endpoint: "https://[::1]:50051",
          namespace: "theirs",
          tls: { ca: join(folder, "ca.pem"), cert: join(folder, "a/cert.pem"), key: "/etc/key.pem" },
        },
        "plugin:far": { type: "remote", endpoint: "plugin:50051" },
      },
      namespaces: [
        { name: "orders", pattern: "keyvalue", backend: "main" },
        { name: "a.b_c-1", pattern: "keyvalue", backend: "constructor" },
        { name: "scratch", pattern: "keyvalue", backend: "database" },
        { name: "far", pattern: "keyvalue", backend: "plugin:far" },
      ],
      logging: { level: "silent", format: "pretty" },
      limits: {
        maxValueBytes: 1,
        maxConcurrentStreams: 2,
        maxConnections: 3,
        maxConnectionsPerPeer: 2,
        maxHeaderBytes: 1024,
        maxReceivingBytes: 1_048_576,
        maxUnsentBytes: 2_097_152,
        maxTimeoutMs: 5,
      },
    });
    expect(config.backends.toString).toBeUndefined();
  });

  test("names in the file start at the file's folder, wherever the process runs", () => {
    mkdirSync(join(folder, "etc"), { recursive: true });
    writeFileSync(join(folder, "etc/prism.yaml"), "database: {type: sqlite, path: x.db}");
    const config = loadConfig({ file: "etc/prism.yaml", env: {}, flags: {}, cwd: folder });
    expect(config.backends.database).toEqual({ type: "sqlite", path: join(folder, "etc/x.db") });
  });

  test("so do the TLS files of PostgreSQL, whose other options have defaults", () => {
    const yaml = (tls: string) => `database: {type: postgres, url: "postgres://u@h/d"${tls}}`;
    const plain = {
      type: "postgres",
      url: "postgres://u@h/d",
      schema: "prism",
      pool: { max: 20, connect_timeout_ms: 5000 },
    };
    expect(loadYaml(yaml("")).backends.database).toEqual(plain);
    expect(loadYaml(yaml(", tls: {}")).backends.database).toEqual({ ...plain, tls: {} });
    const files = ", tls: {ca: ca.pem, cert: /c.pem, key: k.pem}";
    expect(loadYaml(yaml(files), { checkFiles: false }).backends.database).toEqual({
      ...plain,
      tls: { ca: join(folder, "ca.pem"), cert: "/c.pem", key: join(folder, "k.pem") },
    });
  });

  test('the origin "*" means every one, and request_timeout_ms: 0 bounds no header', () => {
    const config = loadYaml(
      'server: {cors: {origins: ["*"]}, header_timeout_ms: 90000, request_timeout_ms: 0}',
    );
    expect(config.server).toMatchObject({ corsOrigins: "*", headerTimeoutMs: 90_000, requestTimeoutMs: 0 });
  });

  test("every part is frozen", () => {
    const config = loadYaml("server: {tls: {cert: a, key: b}}", { checkFiles: false });
    const frozen = (value: unknown): boolean =>
      typeof value !== "object" ||
      value === null ||
      (Object.isFrozen(value) && Object.values(value).every(frozen));
    expect(frozen(config)).toBe(true);
  });
});

describe("a file that cannot be read", () => {
  test.each([
    ["missing.yaml", "missing.yaml: no such file"],
    ["prism.yaml/x", "prism.yaml/x: no such file"],
    [".", ".: a folder, not a file"],
    ["a\0b", "a\0b: cannot be read (ERR_INVALID_ARG_VALUE)"],
  ])("%j", (file, expected) => {
    expect(problemsOf(() => loadYaml("", { file }))).toEqual([expected]);
  });

  test("one over 1 MiB, while 1 MiB is taken", () => {
    const mebibyte = `#${" ".repeat(1024 * 1024 - 1)}`;
    expect(problemsOf(() => loadYaml(mebibyte))).toEqual([]);
    expect(problemsOf(() => loadYaml(`${mebibyte} `))).toEqual(["prism.yaml: larger than 1048576 bytes"]);
  });

  test("one that is no text", () => {
    expect(problemsOf(() => loadYaml(Uint8Array.of(0x61, 0xff)))).toEqual(["prism.yaml: not UTF-8 text"]);
  });

  test("the one that PRISM_CONFIG names", () => {
    const load = () => loadConfig({ env: { PRISM_CONFIG: "other.yaml" }, flags: {}, cwd: folder });
    expect(problemsOf(load)).toEqual(["other.yaml: no such file"]);
  });
});

describe("flag over environment variable over file over default", () => {
  const file = `
server: {listen_address: "file:1"}
admin: {listen_address: "file:2"}
auth: {api_keys: [{name: a, hash: "sha256:${"0".repeat(64)}"}]}
database: {type: sqlite, path: file.db}
logging: {level: warn, format: pretty}
`;
  const env = {
    PRISM_LISTEN: "env:1",
    PRISM_ADMIN_LISTEN: "env:2",
    PRISM_DATA_DIR: "env",
    PRISM_LOG_LEVEL: "debug",
    PRISM_LOG_FORMAT: "json",
    PRISM_SOMETHING_ELSE: "ignored",
  };
  const flags = { listen: "flag:1", "admin-listen": "flag:2", "data-dir": "flag" };
  const summary = (options: Partial<LoadOptions>) => {
    const { server, admin, backends, logging } = loadYaml(file, options);
    return [server.listen.host, admin.listen.host, backends.database, logging.level, logging.format];
  };
  const sqlite = (path: string) => ({ type: "sqlite", path: join(folder, path) });

  test("each wins over the one before", () => {
    expect(summary({})).toEqual(["file", "file", sqlite("file.db"), "warn", "pretty"]);
    expect(summary({ env })).toEqual(["env", "env", sqlite("env/prism.db"), "debug", "json"]);
    expect(summary({ flags })).toEqual(["flag", "flag", sqlite("flag/prism.db"), "warn", "pretty"]);
    expect(summary({ env, flags })).toEqual(["flag", "flag", sqlite("flag/prism.db"), "debug", "json"]);
  });

  test("an empty variable is none", () => {
    const empty = Object.fromEntries(Object.keys(env).map((name) => [name, ""]));
    expect(summary({ env: { ...empty, PRISM_CONFIG: "", PRISM_MEMORY: "" } })).toEqual(summary({}));
  });

  test.each([
    [{ PRISM_MEMORY: "1" }, {}, { type: "memory" }],
    [{ PRISM_MEMORY: "true" }, {}, { type: "memory" }],
    [{ PRISM_MEMORY: "0" }, {}, sqlite("file.db")],
    [{ PRISM_MEMORY: "false", PRISM_DATA_DIR: "d" }, {}, sqlite("d/prism.db")],
    [{}, { memory: true }, { type: "memory" }],
    [{}, { memory: false }, sqlite("file.db")],
    [{ PRISM_MEMORY: "1" }, { "data-dir": "d" }, sqlite("d/prism.db")],
    [{ PRISM_DATA_DIR: "d" }, { memory: true }, { type: "memory" }],
    [{}, { "data-dir": "/srv" }, { type: "sqlite", path: "/srv/prism.db" }],
  ])("where data goes: %j %j", (env, flags, database) => {
    expect(loadYaml(file, { env, flags }).backends.database).toEqual(database);
  });

  test("--config over PRISM_CONFIG", () => {
    loadYaml("logging: {level: error}");
    const env = { PRISM_CONFIG: "missing.yaml" };
    expect(loadConfig({ file: "prism.yaml", env, flags: {}, cwd: folder }).logging.level).toBe("error");
    const fromEnv = loadConfig({ env: { PRISM_CONFIG: "prism.yaml" }, flags: {}, cwd: folder });
    expect(fromEnv.logging.level).toBe("error");
  });

  test("an unusable value is reported by its name, without the value, also where it is overridden", () => {
    const env = {
      PRISM_LISTEN: "s3cret",
      PRISM_ADMIN_LISTEN: "s3cret",
      PRISM_MEMORY: "s3cret",
      PRISM_LOG_LEVEL: "s3cret",
      PRISM_LOG_FORMAT: "s3cret",
    };
    const flags = { listen: "localhost:1", "admin-listen": "", "data-dir": "" };
    const address = 'expected "host:port", "[ipv6]:port" or ":port", with a port from 0 to 65535';
    expect(problemsOf(() => loadYaml("server: {listen_address: bad}", { env, flags })).toSorted()).toEqual([
      `--admin-listen: ${address}`,
      "--data-dir: expected text that is not empty, found empty text",
      `PRISM_ADMIN_LISTEN: ${address}`,
      `PRISM_LISTEN: ${address}`,
      "PRISM_LOG_FORMAT: expected one of: auto, json, pretty; found text",
      "PRISM_LOG_LEVEL: expected one of: trace, debug, info, warn, error, silent; found text",
      "PRISM_MEMORY: expected one of: 0, 1, true, false; found text",
      `prism.yaml:1:10: server.listen_address: ${address}`,
    ]);
  });

  test("memory and a data folder exclude each other", () => {
    expect(problemsOf(() => loadYaml("", { flags: { memory: true, "data-dir": "d" } }))).toEqual([
      "--memory: cannot be combined with --data-dir: both set database",
    ]);
    expect(problemsOf(() => loadYaml("", { env: { PRISM_MEMORY: "1", PRISM_DATA_DIR: "d" } }))).toEqual([
      "PRISM_MEMORY: cannot be combined with PRISM_DATA_DIR: both set database",
    ]);
  });

  test("without an address the data plane is on loopback, and with auth on every IPv4 address", () => {
    const key = `sha256:${"0".repeat(64)}`;
    const auth = `auth: {api_keys: [{name: a, hash: "${key}"}]}`;
    const listenOf = (yaml: string, env = {}, flags = {}) => loadYaml(yaml, { env, flags }).server.listen;
    expect(listenOf("")).toEqual({ host: "127.0.0.1", port: 8980 });
    expect(listenOf(auth)).toEqual({ host: "0.0.0.0", port: 8980 });
    // A port is no address.
    expect(listenOf("", { PRISM_PORT: "1" })).toEqual({ host: "127.0.0.1", port: 1 });
    expect(listenOf("", {}, { port: "2" })).toEqual({ host: "127.0.0.1", port: 2 });
    expect(listenOf(auth, {}, { port: "2" })).toEqual({ host: "0.0.0.0", port: 2 });
    // An address opens it, wherever it is given.
    const open = { host: "0.0.0.0", port: 3 };
    expect(listenOf("server: {listen_address: ':3'}")).toEqual(open);
    expect(listenOf("", { PRISM_LISTEN: ":3" })).toEqual(open);
    expect(listenOf("", {}, { listen: "0.0.0.0:3" })).toEqual(open);
    expect(listenOf("", { PRISM_LISTEN: ":3" }, { listen: "127.0.0.1:4" })).toEqual({
      host: "127.0.0.1",
      port: 4,
    });
  });

  test("a port of its own goes with the host of whoever names one", () => {
    const listenOf = (env: Record<string, string>, flags: LoadOptions["flags"]) =>
      loadYaml("server: {listen_address: '127.0.0.1:1'}", { env, flags }).server.listen;
    expect(listenOf({}, { port: "2" })).toEqual({ host: "127.0.0.1", port: 2 });
    expect(listenOf({ PRISM_PORT: "0" }, {})).toEqual({ host: "127.0.0.1", port: 0 });
    expect(listenOf({ PRISM_LISTEN: "[::1]:9" }, { port: "2" })).toEqual({
      host: "::1",
      port: 2,
    });
    expect(listenOf({ PRISM_PORT: "2" }, { listen: "localhost:3" })).toEqual({ host: "localhost", port: 3 });
    expect(problemsOf(() => listenOf({}, { listen: "a:1", port: "2" }))).toEqual([
      "--port: cannot be combined with --listen: both set server.listen_address",
    ]);
    for (const port of ["65536", "http", "-1", ""]) {
      expect(problemsOf(() => listenOf({}, { port }))).toEqual(["--port: expected a port from 0 to 65535"]);
    }
  });

  test("of many unknown backends only those shown are compared with all names", () => {
    const names = Array.from({ length: 60 }, (_, i) => `b${i}`);
    const backends = names.map((name) => `  ${name}: {type: memory}\n`).join("");
    const namespaces = names.map((name) => `  - {name: ${name}, backend: ${name}x}\n`).join("");
    const load = () => loadYaml(`backends:\n${backends}namespaces:\n${namespaces}`);
    const problems = refusal(load)?.problems.map(({ message }) => message) ?? [];
    expect(problems[0]).toContain('no backend "b0x"; did you mean "b0"? expected one of: database, b0');
    expect(problems[50]).toMatch(/no backend "b50x"$/);
  });
});

describe("control", () => {
  const controlOf = (yaml: string) => loadYaml(yaml, { checkFiles: false }).control;

  test("is beside the data of database, if that is in use", () => {
    expect(controlOf("database: {type: sqlite, path: x/data}")).toMatchObject({
      type: "sqlite",
      path: join(folder, "x/data-control.db"),
    });
    const url = "postgres://localhost/db";
    expect(controlOf(`database: {type: postgres, url: "${url}", tls: {}}`)).toEqual({
      type: "postgres",
      url,
      schema: "prism_control",
      tls: {},
      isDefault: true,
    });
    expect(controlOf(`database: {type: postgres, url: "${url}", schema: ${"s".repeat(63)}}`)).toMatchObject({
      schema: `${"s".repeat(55)}_control`,
    });
    for (const yaml of [
      "database: {type: memory}",
      "{backends: {a: {type: memory}}, namespaces: [{name: n, backend: a}]}",
    ]) {
      expect(controlOf(yaml)).toEqual({ type: "memory", isDefault: true });
    }
  });

  test("is where the file says", () => {
    expect(controlOf("control: {type: sqlite, path: names.db}")).toEqual({
      type: "sqlite",
      path: join(folder, "names.db"),
      isDefault: false,
    });
    const secured = 'control: {type: postgres, url: "postgres://localhost/db", tls: {ca: ca.pem}}';
    expect(problemsOf(() => loadYaml(secured))).toEqual(["prism.yaml:1:65: control.tls.ca: no such file"]);
    expect(loadYaml(secured, { checkFiles: false }).control).toEqual({
      type: "postgres",
      url: "postgres://localhost/db",
      schema: "prism_control",
      tls: { ca: join(folder, "ca.pem") },
      isDefault: false,
    });
    expect(problemsOf(() => controlOf("control: {type: redis}"))).toEqual([
      'prism.yaml:1:11: control.type: expected one of: memory, file, sqlite, postgres; found "redis"',
    ]);
  });
});
