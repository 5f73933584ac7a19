// biome-ignore-all lint/suspicious/noTemplateCurlyInString: "${NAME}" is what operators write, not a template.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { ROOMS } from "../backend/rooms.ts";
import { USERINFO_FORMAT } from "../backend/url-userinfo.ts";
import { loadConfig } from "./load.ts";
import { ConfigError } from "./problem.ts";

const TYPES = ROOMS.map(({ type }) => type).join(", ");

const folder = mkdtempSync(join(tmpdir(), "prism-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The error's lines for `yaml`. */
function problemsOf(yaml: string, env: Record<string, string> = {}): string[] {
  writeFileSync(join(folder, "prism.yaml"), yaml);
  try {
    loadConfig({ file: "prism.yaml", env, flags: {}, cwd: folder });
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.message.split("\n");
    }
    throw error;
  }
  return [];
}

const ADDRESS = 'expected "host:port", "[ipv6]:port" or ":port", with a port from 0 to 65535';
const NAME =
  'expected a name of 1 to 63 characters: a lower-case letter, then lower-case letters, digits, "-", "_" or "."';
const ORIGIN =
  'expected an origin such as "https://app.example.com" (scheme, host and port, nothing after it), or "*"';
const BYTES = "expected a number of bytes";
const HOST =
  'expected a host name in lower case or an address, without its port, such as "prism.example.com", or "*"';
const SECTIONS =
  "server, admin, audit, auth, database, backends, namespaces, control, quotas, logging, metrics, tracing, limits";

// The file, and its problems without the file's name.
test.each<[string, ...string[]]>([
  ["text", "1:1: expected a mapping, found text"],
  ["- a", "1:1: expected a mapping, found a list"],
  ["\nservers: {}", `2:1: servers: unknown key; did you mean "server"? expected one of: ${SECTIONS}`],
  [
    "zebra: 1\ncolour: 2",
    `1:1: zebra: unknown key; expected one of: ${SECTIONS}`,
    `2:1: colour: unknown key; expected one of: ${SECTIONS}`,
  ],
  ["__proto__: {x: 1}", `1:1: __proto__: unknown key; expected one of: ${SECTIONS}`],
  ["<<: {logging: {}}", `1:1: ["<<"]: unknown key; expected one of: ${SECTIONS}`],
  ["server:\nlogging: {}", "1:1: server: expected a mapping, found nothing"],
  ["server: []", "1:1: server: expected a mapping, found a list"],
  [
    "server:\n  listenAddress: x",
    '2:3: server.listenAddress: unknown key; did you mean "listen_address"? expected one of: listen_address, workers, hosts, tls, reload, http2, json_unknown_fields, cors, ' +
      "shutdown_grace_ms, idle_timeout_ms, header_timeout_ms, request_timeout_ms",
  ],
  [
    "server:\n  listen_address: 8980",
    `2:3: server.listen_address: ${ADDRESS}; a port alone is written ":8980"`,
  ],
  ["server:\n  listen_address: localhost", `2:3: server.listen_address: ${ADDRESS}`],
  ['server:\n  listen_address: "::1:80"', `2:3: server.listen_address: ${ADDRESS}`],
  ["admin: {listen_address: a:65536}", `1:9: admin.listen_address: ${ADDRESS}`],
  ["admin: {listen_address: true}", `1:9: admin.listen_address: ${ADDRESS}`],
  ["server:\n  tls:\n    cert: a", "2:3: server.tls.key: missing; expected text"],
  [
    'server:\n  tls: {cert: "", key: b}',
    "2:9: server.tls.cert: expected text that is not empty, found empty text",
  ],
  ["server:\n  tls: {cert: a, key: [b]}", "2:18: server.tls.key: expected text, found a list"],
  [
    "server: {hosts: [a.example, 'a:80', A.example, 'http://a', 'a/b', '', '[::1]', '10.0.0.1', '::1']}",
    ...[29, 37, 48, 60, 67, 92].map(
      (column, i) => `1:${column}: server.hosts[${[1, 2, 3, 4, 5, 8][i]}]: ${HOST}`,
    ),
  ],
  ['admin: {hosts: ["*", a.example]}', '1:9: admin.hosts: expected "*" alone, or host names only'],
  ["audit: {file: ''}", "1:9: audit.file: expected text that is not empty, found empty text"],
  ["server: {cors: {}}", "1:10: server.cors.origins: missing; expected a list"],
  [
    'server:\n  cors:\n    origins:\n      - "*"\n      - http://a',
    '3:5: server.cors.origins: expected "*" alone, or exact origins only',
  ],
  [
    "server: {cors: {origins: [http://a/, a.example, 'null', 'ftp://a', 'http://A']}}",
    ...[27, 38, 49, 57, 68].map((column, index) => `1:${column}: server.cors.origins[${index}]: ${ORIGIN}`),
  ],
  ["server: {shutdown_grace_ms: -1}", "1:10: server.shutdown_grace_ms: expected at least 0, found -1"],
  [
    "server: {idle_timeout_ms: 86400001}",
    "1:10: server.idle_timeout_ms: expected at most 86400000, found 86400001",
  ],
  ["server: {header_timeout_ms: 0}", "1:10: server.header_timeout_ms: expected at least 1, found 0"],
  [
    "server: {header_timeout_ms: 1.5}",
    "1:10: server.header_timeout_ms: expected a whole number, found a number",
  ],
  [
    "server: {header_timeout_ms: 5s}",
    "1:10: server.header_timeout_ms: expected a number of milliseconds; for 5s write 5000",
  ],
  [
    "server: {header_timeout_ms: .nan}",
    "1:10: server.header_timeout_ms: expected a number, found no finite number",
  ],
  [
    "server:\n  request_timeout_ms: 100",
    "2:3: server.request_timeout_ms: expected 0, or no less than header_timeout_ms: the header is a part of the request",
  ],
  ["database:\n  path: x", `1:1: database.type: expected one of: ${TYPES}; but it is missing`],
  ["database:\n  type: mongodb", `2:3: database.type: expected one of: ${TYPES}; found "mongodb"`],
  ["database:\n  type: 5", `2:3: database.type: expected one of: ${TYPES}; found 5`],
  ["database: sqlite", "1:1: database: expected a mapping, found text"],
  ["database:\n  type: sqlite", "1:1: database.path: missing; expected text"],
  [
    "database:\n  type: sqlite\n  pth: x",
    "1:1: database.path: missing; expected text",
    '3:3: database.pth: unknown key; did you mean "path"? expected one of: type, path, max_bytes',
  ],
  ["database: {type: memory, path: x}", "1:26: database.path: unknown key; expected one of: type"],
  ["database: {type: postgres}", "1:1: database.url: missing; expected text"],
  [
    'database: {type: postgres, url: "mysql://u:secret@h/db", schema: Bad, pool: {max: 0}, tls: true}',
    '1:28: database.url: expected a URL such as "postgres://user@host:5432/database", or "postgres://user@host-1:5432,host-2:5432/database"',
    "1:58: database.schema: expected a name of 1 to 63 lower-case letters, digits and underscores, not beginning with a digit",
    "1:78: database.pool.max: expected at least 1, found 0",
    "1:87: database.tls: expected a mapping, found a boolean",
  ],
  ["backends: [a]", "1:1: backends: expected a mapping, found a list"],
  ["backends:\n  Main: {type: memory}", `2:3: backends.Main: ${NAME}`],
  ["backends:\n  a b: {type: memory}", `2:3: backends["a b"]: ${NAME}`],
  ["backends:\n  1: {type: memory}", `2:3: backends.1: ${NAME}`],
  [
    "backends:\n  database: {type: memory}",
    `2:3: backends.database: "database" is the default store's own name`,
  ],
  [
    "backends:\n  a: {type: memory}\n  b: {type: mongo}",
    `3:7: backends.b.type: expected one of: ${TYPES}; found "mongo"`,
  ],
  [
    "backends:\n  a: {type: kafka}\n  b: {type: kafka, brokers: []}\n  c: {type: kafka, brokers: [kafka, 'k:0', 'k:1']}",
    "2:3: backends.a.brokers: missing; expected a list",
    "3:20: backends.b.brokers: expected a list of at least 1 items, found a list",
    '4:30: backends.c.brokers[0]: expected a host and a port, such as "kafka:9092"',
    '4:37: backends.c.brokers[1]: expected a host and a port, such as "kafka:9092"',
  ],
  [
    "backends:\n  a: {type: kafka, brokers: ['[::1]:9092'], topic_prefix: 'a/', sasl: {mechanism: GSSAPI, username: u, password: p}}",
    "2:45: backends.a.topic_prefix: expected a name of 1 to 60 letters, digits, underscores, dots and hyphens",
    '2:72: backends.a.sasl.mechanism: expected one of: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512; found "GSSAPI"',
  ],
  [
    "backends:\n  a: {type: redis}\n  b: {type: redis, url: redis://a, cluster: [redis://b]}",
    "2:3: backends.a.url: expected exactly one of: url, cluster, sentinel",
    "3:20: backends.b.url: expected exactly one of: url, cluster, sentinel",
  ],
  [
    "backends:\n  a: {type: redis, url: localhost}\n  b: {type: redis, cluster: []}",
    '2:20: backends.a.url: expected a URL such as "redis://user@host:6379"; rediss:// means TLS',
    "3:20: backends.b.cluster: expected a list of at least 1 items, found a list",
  ],
  [
    'backends:\n  a: {type: redis, url: "redis://a?db=1"}\n  b: {type: redis, cluster: ["redis://a/1"]}',
    '2:20: backends.a.url: expected a URL such as "redis://user@host:6379"; rediss:// means TLS',
    '3:30: backends.b.cluster[0]: expected a URL without a path, such as "redis://user@host:6379"',
  ],
  [
    'backends:\n  a: {type: redis, cluster: ["redis://a", "rediss://b"]}',
    "2:20: backends.a.cluster: expected all of them to be redis:// or all of them rediss://",
  ],
  [
    'backends:\n  a: {type: redis, cluster: ["redis://u:p@a", "redis://b", "redis://u:q@c"]}',
    "2:20: backends.a.cluster: expected user and password of the first in the others too, or none",
  ],
  [
    'backends:\n  a: {type: redis, sentinel: {name: m, urls: ["redis://a", "redis://:q@b"]}}',
    "2:40: backends.a.sentinel.urls: expected user and password of the first in the others too, or none",
  ],
  [
    'backends:\n  a: {type: redis, url: "redis://a", tls: {cert: a.pem}}\n  b: {type: redis, url: "redis://a", tls: {key: a.pem}}',
    "2:38: backends.a.tls: expected cert and key together",
    "3:38: backends.b.tls: expected cert and key together",
  ],
  [
    'backends:\n  a: {type: redis, url: "redis://a/abc"}',
    '2:20: backends.a.url: expected a URL whose path is the number of a database, such as "redis://user@host:6379/0"',
  ],
  [
    "namespaces: []",
    "1:1: namespaces: expected at least one namespace; without the key there is one, called default",
  ],
  ["namespaces:", "1:1: namespaces: expected a list, found nothing"],
  ["namespaces: {a: {}}", "1:1: namespaces: expected a list, found a mapping"],
  ["namespaces:\n  - orders", "2:5: namespaces[0]: expected a mapping, found text"],
  ["namespaces:\n  - pattern: keyvalue", "2:5: namespaces[0].name: missing; expected text"],
  ["namespaces:\n  - name: Orders", `2:5: namespaces[0].name: ${NAME}`],
  ["namespaces:\n  - name: ''", `2:5: namespaces[0].name: ${NAME}`],
  [`namespaces:\n  - name: ${"a".repeat(64)}`, `2:5: namespaces[0].name: ${NAME}`],
  [
    "namespaces:\n  - name: a\n    pattern: queue",
    '3:5: namespaces[0].pattern: expected one of: keyvalue, timeseries; found "queue"',
  ],
  [
    "backends:\n  main: {type: memory}\n  cache: {type: memory}\nnamespaces:\n  - name: a\n  - name: b\n    backend: pg",
    '7:5: namespaces[1].backend: no backend "pg"; expected one of: database, main, cache',
  ],
  [
    "backends: {main: {type: memory}}\nnamespaces:\n  - {name: a, backend: mian1}",
    '3:15: namespaces[0].backend: no backend "mian1"; expected one of: database, main',
  ],
  [
    "backends: {primary: {type: memory}}\nnamespaces:\n  - {name: a, backend: primry}",
    '3:15: namespaces[0].backend: no backend "primry"; did you mean "primary"? expected one of: database, primary',
  ],
  [
    "namespaces:\n  - {name: a, backend: toString}",
    '2:15: namespaces[0].backend: no backend "toString"; expected one of: database',
  ],
  [
    "namespaces:\n  - name: a\n  - name: b\n  - name: a",
    '4:5: namespaces[2].name: "a" is the name of namespaces[0] already',
  ],
  [
    "namespaces:\n  - name: a\n    pattern: keyvalue\n    plugin:\n      endpoint: 50051",
    "5:7: namespaces[0].plugin.endpoint: expected text, found a number; put it in quotes to make it text",
  ],
  ...["localhost", "localhost:0", "localhost:65536", "ftp://a:1", "http://a:1/path", ":50051", "a b:1"].map(
    (endpoint): [string, string] => [
      `namespaces: [{name: a, plugin: {endpoint: "${endpoint}"}}]`,
      '1:33: namespaces[0].plugin.endpoint: expected "host:port", "http://host:port" or "https://host:port", with a port from 1 to 65535',
    ],
  ),
  ["namespaces: [{name: a, plugin: {}}]", "1:24: namespaces[0].plugin.endpoint: missing; expected text"],
  [
    'namespaces: [{name: a, plugin: {endpiont: "a:1", endpoint: "a:1"}}]',
    '1:33: namespaces[0].plugin.endpiont: unknown key; did you mean "endpoint"? expected one of: endpoint, namespace, tls',
  ],
  [
    'namespaces: [{name: a, backend: database, plugin: {endpoint: "a:1"}}]',
    "1:43: namespaces[0].plugin: cannot be combined with backend: both say where data goes",
  ],
  [
    'namespaces: [{name: a, plugin: {endpoint: "http://a:1", tls: {}}}]',
    '1:57: namespaces[0].plugin.tls: the endpoint begins with "http://", which is without TLS',
  ],
  [
    'backends: {b: {type: remote, endpoint: "a:1", tls: {cert: a.pem}}}',
    "1:47: backends.b.tls: expected cert and key together",
  ],
  [
    "logging: {level: verbose}",
    '1:11: logging.level: expected one of: trace, debug, info, warn, error, silent; found "verbose"',
  ],
  [
    "logging: {level: null}",
    "1:11: logging.level: expected one of: trace, debug, info, warn, error, silent; found null",
  ],
  ["logging: {format: [json]}", "1:11: logging.format: expected one of: auto, json, pretty; found a list"],
  [
    "quotas: {default: {burst: 5}}",
    "1:20: quotas.default.burst: expected max_rps too: it says how fast a burst comes back",
  ],
  ["quotas: {shared: true}", "1:1: quotas.redis: expected with shared: true, and only then"],
  ["quotas: {redis: 'redis://h'}", "1:10: quotas.redis: expected with shared: true, and only then"],
  [
    "quotas: {shared: true, redis: h}",
    '1:24: quotas.redis: expected a URL such as "redis://user@host:6379/0"; rediss:// means TLS',
  ],
  ["quotas: {principals: [{max_rps: 5}]}", "1:23: quotas.principals[0].principal: missing; expected text"],
  [
    "limits: {max_value_bytes: 67108865}",
    "1:10: limits.max_value_bytes: expected at most 67108864, found 67108865",
  ],
  [
    "limits: {max_value_bytes: 4 MiB}",
    "1:10: limits.max_value_bytes: expected a number of bytes; for 4 MiB write 4194304",
  ],
  ["limits: {max_header_bytes: 0x10}", "1:10: limits.max_header_bytes: expected at least 1024, found 0x10"],
  ["limits: {max_unsent_bytes: 1}", "1:10: limits.max_unsent_bytes: expected at least 1048576, found 1"],
  [
    "limits: {max_receiving_bytes: 1}",
    "1:10: limits.max_receiving_bytes: expected at least 1048576, found 1",
  ],
  ["limits: {max_connections: 0}", "1:10: limits.max_connections: expected at least 1, found 0"],
  [
    "limits: {max_connections_per_peer: -1}",
    "1:10: limits.max_connections_per_peer: expected at least 0, found -1",
  ],
  [
    "limits: {max_concurrent_streams: 99999999999999999999}",
    "1:10: limits.max_concurrent_streams: expected at most 65535, found 99999999999999999999",
  ],
  ["limits: {max_timeout_ms: true}", "1:10: limits.max_timeout_ms: expected a number, found a boolean"],
  ["limits: {max_value_bytes: 4MB}", `1:10: limits.max_value_bytes: ${BYTES}; for 4MB write 4000000`],
  [
    'limits: {max_value_bytes: "4096"}',
    `1:10: limits.max_value_bytes: ${BYTES}; for 4096 write 4096, without quotes`,
  ],
  [
    'server: {idle_timeout_ms: "1.5 h"}',
    "1:10: server.idle_timeout_ms: expected a number of milliseconds; for 1.5 h write 5400000",
  ],
  ["server: {idle_timeout_ms: soon}", "1:10: server.idle_timeout_ms: expected a number, found text"],
  ["database: {type: postgres, url: 'postgres://u:12#3@h/d'}", `1:28: database.url: ${USERINFO_FORMAT}`],
  ["database: {type: redis, url: 'redis://:p/w@h'}", `1:25: database.url: ${USERINFO_FORMAT}`],
  ["database: {type: redis, cluster: ['redis://:p@w@h']}", `1:35: database.cluster[0]: ${USERINFO_FORMAT}`],
])("%j", (yaml, ...expected) => {
  expect(problemsOf(yaml)).toEqual(expected.map((problem) => `prism.yaml:${problem}`));
});

test("of many backends the first are listed", () => {
  const backends = Array.from({ length: 30 }, (_, index) => `  store${index + 10}: {type: memory}\n`).join(
    "",
  );
  const [problem] = problemsOf(`backends:\n${backends}namespaces: [{name: a, backend: pg}]\n`);
  expect(problem).toMatch(/expected one of: database, store10, .*, store28, \.\.\. \(11 more\)$/);
});

test("all problems are told at once, in the order of the file", () => {
  const yaml = `server:
  listen_address: nowhere
  tls: {cert: a}
loging: {}
namespaces:
  - name: a
    backend: pg
  - name: a
    plugin: {endpoint: x}
limits:
  max_value_bytes: \${SIZE}
`;
  const places = problemsOf(yaml, { PRISM_MEMORY: "maybe" }).map((line) =>
    line.split(": ").slice(0, 2).join(" "),
  );
  expect(places).toEqual([
    "PRISM_MEMORY expected one of",
    "prism.yaml:2:3 server.listen_address",
    "prism.yaml:3:3 server.tls.key",
    "prism.yaml:4:1 loging",
    "prism.yaml:7:5 namespaces[0].backend",
    "prism.yaml:8:5 namespaces[1].name",
    "prism.yaml:9:14 namespaces[1].plugin.endpoint",
    "prism.yaml:11:3 limits.max_value_bytes",
  ]);
});

test("what a variable held is never repeated", () => {
  const yaml = `server: {listen_address: "\${S}"}
database: {type: "\${S}"}
namespaces: [{name: "\${S}"}, {name: "\${S}", backend: "\${S}", pattern: "\${S}"}]
logging: {level: "\${S}"}
limits:
  max_value_bytes: \${N}
`;
  const problems = problemsOf(yaml, { S: "s3cret", N: "987654321" });
  expect(problems).toHaveLength(7);
  expect(problems.join()).not.toMatch(/s3cret|987654321/);
  expect(problems).toContain(
    'prism.yaml:3:45: namespaces[1].backend: no backend "${S}"; expected one of: database',
  );
  expect(problems).toContain("prism.yaml:6:3: limits.max_value_bytes: expected at most 67108864, found ${N}");
});
