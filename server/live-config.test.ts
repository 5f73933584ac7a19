import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { startTestServer } from "../tests/helpers/server.ts";
import { waitFor } from "../tests/helpers/until.ts";
import { createApiKey, hashApiKey } from "./auth/api-keys.ts";
import { compareWithRunning } from "./compare.ts";
import type { Config } from "./config/config.ts";
import { loadConfig } from "./config/load.ts";
import { type Agreement, LiveConfig } from "./live-config.ts";

const folder = mkdtempSync(join(tmpdir(), "prism-live-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** On free ports of loopback, as flags give them. */
function configOf(yaml: string): Config {
  writeFileSync(join(folder, "prism.yaml"), yaml);
  const flags = { listen: "127.0.0.1:0", "admin-listen": "127.0.0.1:0" };
  return loadConfig({ file: "prism.yaml", env: {}, flags, cwd: folder });
}

describe("parts", () => {
  const before = configOf("limits: {max_connections: 5}");
  const next = configOf("limits: {max_connections: 6}\nlogging: {level: debug}\nnamespaces: [{name: a}]");

  test("are asked in their order and then put in force what they have made ready, but for what needs a restart", async () => {
    const steps: unknown[] = [];
    const part = (name: string) => async (config: Config, agreed: Agreement) => {
      await agreed();
      steps.push([name, config.limits.maxConnections, config.logging.level, config.namespaces[0]?.name]);
      return async () => {
        steps.push(name);
      };
    };
    const live = new LiveConfig(before, [part("one"), part("two")]);
    const changes = await live.apply(next, async () => void steps.push("agreed"));
    expect(steps).toEqual([
      "agreed",
      ["one", 5, "debug", "a"],
      "agreed",
      ["two", 5, "debug", "a"],
      "one",
      "two",
    ]);
    expect(live.inForce).toMatchObject({ limits: before.limits, namespaces: next.namespaces });
    expect(live.accepted).toBe(next);
    // It still needs the restart.
    expect(await live.apply(next)).toEqual(changes.filter(({ needsRestart }) => needsRestart));
  });

  test("refuse a configuration for all", async () => {
    const steps: string[] = [];
    const live = new LiveConfig(before, [
      () => () => steps.push("in force"),
      async () => {
        throw new Error("no");
      },
      () => {
        steps.push("asked");
        return () => {};
      },
    ]);
    await expect(live.apply(next)).rejects.toThrow("no");
    expect(steps).toEqual([]);
    expect([live.inForce, live.accepted]).toEqual([before, before]);
  });
});

test("GET /config shows what is in force, without secrets", async () => {
  const yaml = (level: string) => `database: {type: memory}
logging: {level: ${level}}
backends: {r: {type: redis, url: "redis://:pa55@localhost:1"}}`;
  await using server = await startTestServer({ adjust: () => configOf(yaml("info")) });
  await server.apply(configOf(`${yaml("debug")}\nlimits: {max_connections: 5}`));
  const response = await fetch(`${server.adminUrl}/config`);
  const text = await response.text();
  expect(text).not.toContain("pa55");
  expect(JSON.parse(text)).toMatchObject({
    settings: {
      database: { type: "memory" },
      backends: { r: { type: "redis", url: "redis://:***@localhost:1" } },
      logging: { level: "debug" },
      limits: { max_connections: 10_000 },
    },
    overridden: ["server.listen_address", "admin.listen_address"],
  });
});

test("with auth the comparison needs a viewer's key, and other keys take effect at a reload", async () => {
  const [first, second] = [createApiKey(), createApiKey()];
  const yaml = (key: string) => `database: {type: memory}
auth:
  api_keys: [{name: ops, hash: "${hashApiKey(key)}"}]
  roles: [{name: viewers, callers: [ops], admin_role: viewer}]`;
  await using server = await startTestServer({ adjust: () => configOf(yaml(first)) });
  const port = Number(new URL(server.adminUrl).port);
  const compare = (key: string) =>
    compareWithRunning("prism.yaml", { host: "127.0.0.1", port }, { PRISM_ADMIN_KEY: key }, folder);
  expect((await compare(first)).changes).toEqual([]);
  await expect(compare(second)).rejects.toThrow("HTTP 401");
  await server.apply(configOf(yaml(second)));
  expect((await compare(second)).changes).toEqual([]);
  await expect(compare(first)).rejects.toThrow("HTTP 401");
});

test("what is reloaded again and again leaves nothing behind", async () => {
  const names = (i: number, type: string) =>
    `database: {type: memory}\nbackends: {m${i}: {type: ${type}}}\nnamespaces: [{name: default}, {name: n${i}, backend: m${i}}]`;
  const memory = [configOf(names(0, "memory")), configOf(names(1, "memory"))] as const;
  await using server = await startTestServer({ adjust: () => memory[0], logLevel: "info" });
  /** Counts of what a leak of each reload would add to. */
  const held = () => [
    readdirSync("/proc/self/fd").length,
    process.getActiveResourcesInfo().length,
    process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
  ];
  const before = held();
  for (let i = 1; i <= 500; i++) {
    await server.apply(memory[1]);
    await server.apply(memory[0]);
  }
  for (let i = 1; i <= 20; i++) {
    await server.apply(configOf(names(i, `sqlite, path: ${i}.db`)));
  }
  await server.apply(memory[0]);
  // Other tests may have left a connection or a timer, or have just ended one.
  await waitFor(() => {
    for (const [i, count] of held().entries()) {
      expect(count).toBeLessThan((before[i] ?? 0) + 10);
    }
  });
  expect(server.registry.namespaces).toHaveLength(2);
}, 120_000);
