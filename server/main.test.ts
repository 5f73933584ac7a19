import { execFile } from "node:child_process";
import { hash } from "node:crypto";
import { once } from "node:events";
import { readFile, rename, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { freePorts } from "../tests/helpers/port.ts";
import {
  MAIN,
  NODE_FLAGS,
  NODE_VARIABLES,
  prism,
  spawnServer,
  temporaryFolder,
} from "../tests/helpers/process.ts";
import { waitFor } from "../tests/helpers/until.ts";

async function call(address: string, method: string, request: object): Promise<unknown> {
  const response = await fetch(
    `http://${address}/prism.interfaces.keyvalue.KeyValueBasicInterface/${method}`,
    { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(request) },
  );
  return response.json();
}

test.each(["Makefile", "package.json"])("%s gives Node what the program's first line does", async (file) => {
  expect(NODE_FLAGS).not.toEqual([]);
  expect(NODE_VARIABLES).not.toEqual([]);
  const text = await readFile(new URL(`../${file}`, import.meta.url), "utf8");
  for (const word of [...NODE_FLAGS, ...NODE_VARIABLES]) {
    expect(text).toContain(word);
  }
});

test("`make help` lists every target", async () => {
  const makefile = await readFile(new URL("../Makefile", import.meta.url), "utf8");
  const targets = /^\.PHONY: (.*)$/m.exec(makefile)?.[1]?.split(" ") ?? [];
  expect(targets.length).toBeGreaterThan(10);
  const { stdout } = await promisify(execFile)("make", ["--no-print-directory", "help"], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
  });
  expect(stdout.split("\n").flatMap((line) => line.split(" ")[0] || [])).toEqual(targets);
});

test("ready is one JSON line that has the pid and every address", async () => {
  await using server = await spawnServer(["--memory"]);
  const [line = ""] = server.lines;
  expect(JSON.parse(line)).toMatchObject({
    level: "info",
    msg: "ready",
    pid: server.child.pid,
    listen: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
    admin_listen: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
  });
  expect(server.lines).toHaveLength(1);
});

test("an open port without auth has a warning", async () => {
  const warned = "the data port is open to all";
  const key = `sha256:${"0".repeat(64)}`;
  await using folder = await temporaryFolder();
  const config = join(folder.path, "prism.yaml");
  await writeFile(config, `auth: {api_keys: [{name: a, hash: "${key}"}]}\n`);
  // The system reads this name as 127.0.0.1, so only this machine reaches it. Prism does not.
  const listen = ["--listen", "0x7f.1:0"];
  await using open = await spawnServer(["--memory", ...listen]);
  expect(open.lines.filter((line) => line.includes(warned))).toHaveLength(1);
  await using guarded = await spawnServer(["--memory", "--config", config, ...listen]);
  expect(guarded.lines.filter((line) => line.includes(warned))).toEqual([]);
});

test("SIGHUP opens the audit log anew, and ends nothing", async () => {
  await using folder = await temporaryFolder();
  const config = join(folder.path, "prism.yaml");
  const audit = join(folder.path, "audit.log");
  await writeFile(config, "audit: {file: audit.log}\n");
  await using server = await spawnServer(["--memory", "--config", config]);
  await rename(audit, `${audit}.1`);
  server.child.kill("SIGHUP");
  await waitFor(async () => expect(await readFile(audit, "utf8")).toBe(""));
  expect(await call(server.address, "Exists", { key: "k" })).toEqual({ exists: false });
  server.child.kill("SIGTERM");
  expect(await server.exited).toBe(0);
});

test("nothing is lost at a restart", async () => {
  await using folder = await temporaryFolder();
  {
    await using server = await spawnServer(["--data-dir", folder.path]);
    expect(await call(server.address, "Set", { key: "k", value: "aGk=" })).toEqual({ success: true });
    server.child.kill("SIGTERM");
    expect(await server.exited).toBe(0);
  }
  await using server = await spawnServer(["--data-dir", folder.path]);
  expect(await call(server.address, "Get", { key: "k" })).toEqual({ value: "aGk=" });
});

test("pretty logs are for people", async () => {
  await using folder = await temporaryFolder();
  const config = join(folder.path, "prism.yaml");
  await writeFile(
    config,
    "database: {type: memory}\nlogging: {format: pretty}\nserver: {listen_address: 127.0.0.1:0}\n",
  );
  const child = execFile(process.execPath, [
    MAIN,
    "serve",
    "--config",
    config,
    "--admin-listen",
    "127.0.0.1:0",
  ]);
  const [line] = child.stdout ? await once(child.stdout, "data") : [""];
  child.kill("SIGTERM");
  await once(child, "exit");
  expect(String(line)).toMatch(/INFO.*ready/);
});

test("--version, --help, config check", async () => {
  const { version } = JSON.parse(await readFile(new URL("../package.json", import.meta.url), "utf8"));
  expect(await prism(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  expect((await prism(["--help"])).stdout).toContain("prism serve");
  await using folder = await temporaryFolder();
  const good = join(folder.path, "good.yaml");
  const bad = join(folder.path, "bad.yaml");
  await writeFile(good, "database:\n  type: memory\n");
  await writeFile(bad, "database:\n  type: memory\nnamespaces:\n  - name: default\n    backend: pg\n");
  expect(await prism(["config", "check", good])).toEqual({ code: 0, stdout: `${good}: ok\n`, stderr: "" });
  const refused = await prism(["config", "check", bad]);
  expect(refused).toMatchObject({ code: 2, stdout: "" });
  expect(refused.stderr).toMatch(/bad\.yaml:5:5: namespaces\[0\]\.backend: /);
});

test("config check --diff says what a file would change in a running gateway", async () => {
  await using folder = await temporaryFolder();
  const running = join(folder.path, "running.yaml");
  const other = join(folder.path, "other.yaml");
  const url = (password: string) => `"redis://:${password}@cache:6379"`;
  const yaml = (password: string) =>
    `database: {type: memory}\nbackends: {r: {type: redis, url: ${url(password)}}}\n`;
  await writeFile(running, yaml("pa55"));
  await using server = await spawnServer(["--config", running]);
  const { admin_listen: admin } = JSON.parse(server.lines.at(-1) ?? "");
  const diff = (file: string, env = {}) => prism(["config", "check", "--diff", "--admin", admin, file], env);
  // The address is a flag of the gateway, and variables of this shell are none of its business.
  expect(await diff(running, { PRISM_LOG_LEVEL: "debug", PRISM_PORT: "1" })).toEqual({
    code: 0,
    stdout: `${running}: ok, and what is in force at ${admin}\n`,
    stderr: "",
  });
  await writeFile(
    other,
    `${yaml("other")}server: {listen_address: ":1"}\nnamespaces: [{name: a}]\nlimits: {max_connections: 1}\n`,
  );
  expect(await diff(other)).toEqual({
    code: 3,
    stdout: `${other}: ok, but not what is in force at ${admin}
namespaces.a: added
namespaces.default: removed
limits.max_connections: 10000 -> 1; needs a restart
`,
    stderr: "",
  });
  await writeFile(other, "namespaces: []\n");
  expect(await diff(other)).toMatchObject({ code: 2, stdout: "" });
  await writeFile(other, `admin: {listen_address: "${server.address}"}\n`);
  const closed = `127.0.0.1:${(await freePorts(1))[0]}`;
  const [wrongPort, nobody] = await Promise.all([
    prism(["config", "check", "--diff", other]),
    prism(["config", "check", "--diff", "--admin", closed, other]),
  ]);
  expect(wrongPort).toMatchObject({ code: 1, stdout: "" });
  expect(wrongPort.stderr).toBe(
    `prism: the gateway's admin port at ${server.address} does not tell its configuration: HTTP 404\n`,
  );
  expect(nobody).toMatchObject({ code: 1, stdout: "" });
  expect(nobody.stderr).toBe(
    `prism: the gateway's admin port at ${closed} does not answer (ECONNREFUSED); --admin HOST:PORT says where it is\n`,
  );
}, 60_000);

test("a wrong command line and a wrong variable are refused with exit code 2", async () => {
  expect(await prism(["srve"])).toMatchObject({ code: 2, stderr: expect.stringContaining("serve") });
  expect(await prism(["serve"], { PRISM_LISTEN: "nowhere" })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("PRISM_LISTEN"),
  });
});

test("an address that is taken, and a file from a newer version, are told plainly", async () => {
  await using folder = await temporaryFolder();
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const address = other.address();
  const taken = `127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
  const clash = await prism(["serve", "--memory", "--listen", taken]);
  other.close();
  expect(clash).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`EADDRINUSE: address already in use ${taken}`),
  });
  expect(clash.stderr).not.toContain("    at ");

  {
    await using server = await spawnServer(["--data-dir", folder.path]);
    server.child.kill("SIGTERM");
    await server.exited;
  }
  const file = join(folder.path, "prism.db");
  const database = new DatabaseSync(file);
  database.exec("PRAGMA user_version = 9999");
  database.close();
  const newer = await prism([
    "serve",
    "--data-dir",
    folder.path,
    "--listen",
    "127.0.0.1:0",
    "--admin-listen",
    "127.0.0.1:0",
  ]);
  expect(newer).toMatchObject({ code: 1, stderr: expect.stringContaining(file) });
  expect(newer.stderr).not.toContain("    at ");
});

describe("prism auth hash", () => {
  test("makes a new key each time, with its hash", async () => {
    const [first, second] = await Promise.all([prism(["auth", "hash"]), prism(["auth", "hash"])]);
    const [, key = "", hashed] =
      /^key: {2}(prism_[\w-]{43})\nhash: sha256:([0-9a-f]{64})\n$/.exec(first.stdout) ?? [];
    expect(hash("sha256", key)).toBe(hashed);
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(second.stdout).not.toBe(first.stdout);
  });

  test("or hashes the one on standard input, without the line feed behind it", async () => {
    const key = "an-own-key.of-24-letters";
    const line = `hash: sha256:${hash("sha256", key)}\n`;
    for (const input of [key, `${key}\n`, `${key}\r\n`]) {
      expect(await prism(["auth", "hash", "--stdin"], {}, input)).toEqual({
        code: 0,
        stdout: line,
        stderr: "",
      });
    }
  });

  test.each(["", "short", "with a blank in the middle", "x".repeat(8193), "x".repeat(100_000)])(
    "%.30j is no key, and is not repeated",
    async (input) => {
      const { code, stdout, stderr } = await prism(["auth", "hash", "--stdin"], {}, input);
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).not.toContain(input || "\u0000");
    },
  );
});
