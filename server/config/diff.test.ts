import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { diff, renderChange, renderChanges, untilRestart } from "./diff.ts";
import { loadConfig } from "./load.ts";
import { redacted } from "./redacted.ts";

const folder = mkdtempSync(join(tmpdir(), "prism-diff-"));
afterAll(() => rmSync(folder, { recursive: true }));

function settingsOf(yaml: string) {
  writeFileSync(join(folder, "prism.yaml"), yaml);
  return loadConfig({ file: "prism.yaml", env: {}, flags: {}, cwd: folder, checkFiles: false }).settings;
}

const changesOf = (from: string, to: string) => diff(settingsOf(from), settingsOf(to));
const linesOf = (from: string, to: string) => changesOf(from, to).map(renderChange);

describe("diff", () => {
  test.each([
    ["", ""],
    ["{}", "namespaces: [{name: default, pattern: keyvalue}]"],
    ["limits: {max_connections: 5}", "limits:\n  max_connections: 5 # as before"],
    ["namespaces: [{name: a}, {name: b}]", "namespaces: [{name: b}, {name: a}]"],
  ])("%j and %j say the same", (from, to) => {
    expect(linesOf(from, to)).toEqual([]);
  });

  test.each([
    ["", "logging: {level: debug}", ['logging.level: "info" -> "debug"']],
    [
      "",
      "logging: {format: json}\nlimits: {max_connections: 5}",
      [
        'logging.format: "auto" -> "json"; needs a restart',
        "limits.max_connections: 10000 -> 5; needs a restart",
      ],
    ],
    [
      "server: {listen_address: ':8980'}",
      "server: {listen_address: ':1'}",
      ["server.listen_address.port: 8980 -> 1; needs a restart"],
    ],
    [
      "namespaces: [{name: a}]",
      "namespaces: [{name: a.b}]",
      ['namespaces["a.b"]: added', "namespaces.a: removed"],
    ],
    [
      "namespaces: [{name: a, limits: {max_rps: 1}}]\nbackends: {m: {type: memory}}",
      "namespaces: [{name: a, limits: {max_rps: 2}, backend: m}]\nbackends: {m: {type: memory}}",
      ['namespaces.a.backend: added: "m"', "namespaces.a.limits.max_rps: 1 -> 2"],
    ],
    [
      "namespaces: [{name: a, access: {consumers: [{service_pattern: '*', permissions: [read]}]}}]",
      "namespaces: [{name: a}]",
      [
        'namespaces.a.access.consumers: [{"service_pattern":"*","permissions":["read"],"key_prefix":... -> []',
      ],
    ],
    ["", "server: {tls: {cert: a, key: b}}", ["server.tls: added; needs a restart"]],
    [
      "server: {tls: {cert: /a, key: /b, client_ca: /c}}",
      "server: {tls: {cert: /d, key: /b}}",
      ['server.tls.cert: "/a" -> "/d"', "server.tls.client_ca: removed; needs a restart"],
    ],
    [
      "database: {type: memory}",
      "database: {type: sqlite, path: /x.db}",
      ['database.type: "memory" -> "sqlite"', 'database.path: added: "/x.db"'],
    ],
    // The one file cannot be open twice.
    [
      "",
      "database: {type: sqlite, path: data/prism.db, max_bytes: 1000000}",
      ["database.max_bytes: added: 1000000; needs a restart"],
    ],
    [
      "backends: {m: {type: sqlite, path: a}}",
      "backends: {m: {type: sqlite, path: ./a, max_bytes: 1000000}}",
      ["backends.m.max_bytes: added: 1000000; needs a restart"],
    ],
  ])("from %j to %j", (from, to, expected) => {
    expect(linesOf(from, to)).toEqual(expected);
  });

  test("leaves out what was made at run time, in whatever order it stands", () => {
    const made = (name: string) => `{name: ${name}, made: {version: 1, at: '2026-01-01T00:00:00.000Z'}}`;
    expect(linesOf("", `namespaces: [${made("x")}, {name: default}, ${made("y")}]`)).toEqual([]);
  });

  test("tells no secret, and still that one has changed", () => {
    const yaml = (password: string) =>
      `backends:
  r: {type: redis, url: "redis://u:${password}@h:1"}
  s: {type: redis, sentinel: {name: m, urls: ["redis://:${password}@h:1"], password: ${password}}}
  k: {type: kafka, brokers: ["h:1"], sasl: {mechanism: PLAIN, username: u, password: ${password}}}
  p: {type: postgres, url: "postgres://u:${password}@h,h2/d?password=${password}&sslmode=disable"}`;
    const changes = changesOf(yaml("before-1"), yaml("after-2"));
    expect(changes.map(renderChange)).toEqual([
      "backends.r.url: changed; its value is not shown",
      "backends.s.sentinel.urls: changed; its value is not shown",
      "backends.s.sentinel.password: changed; its value is not shown",
      "backends.k.sasl.password: changed; its value is not shown",
      "backends.p.url: changed; its value is not shown",
    ]);
    expect(
      JSON.stringify([changes, changesOf("", yaml("before-1")), redacted(settingsOf(yaml("before-1")))]),
    ).not.toMatch(/before-1|after-2/);
  });

  test("of thousands is cut and counted", () => {
    const many = Array.from({ length: 52 }, (_, i) => `{name: n${i}}`);
    const lines = renderChanges(changesOf("", `namespaces: [{name: default}, ${many}]`));
    expect(lines).toHaveLength(51);
    expect(lines.at(-1)).toBe("... and 2 more");
  });
});

test("until a restart the settings that need one are as before, and all others as they are now", () => {
  const from = settingsOf(
    "limits: {max_connections: 5}\nserver: {tls: {cert: /c, key: /k}, idle_timeout_ms: 1}",
  );
  const to = settingsOf("namespaces: [{name: a}]\nlogging: {level: warn}\ndatabase: {type: memory}");
  const held = untilRestart(from, to, diff(from, to));
  expect(held).toMatchObject({ server: from.server, limits: from.limits });
  expect(held).toMatchObject({ namespaces: to.namespaces, logging: to.logging, database: to.database });
  expect(diff(held, to).every(({ needsRestart }) => needsRestart)).toBe(true);
});
