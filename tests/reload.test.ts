/** The configuration is read again while calls come: `prism` in its own process, real files. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { describe, expect, test } from "vitest";
import {
  isRunning,
  MAIN,
  NODE_FLAGS,
  type ServerProcess,
  spawnServer,
  temporaryFolder,
} from "./helpers/process.ts";
import { until, waitFor } from "./helpers/until.ts";

const SLOW = { timeout: 90_000 };
const KEYVALUE = "/prism.interfaces.keyvalue.KeyValueBasicInterface";

interface Line {
  readonly msg: string;
  readonly level: string;
  readonly occasion?: string;
  readonly changes?: readonly string[];
  readonly problems?: readonly string[];
}

const linesOf = ({ lines }: ServerProcess): Line[] => lines.map((line) => JSON.parse(line));

const IN_FORCE = "the configuration is in force";
const REFUSED = "the configuration is refused, and the one before stays in force";

/** The last line, once there are `count` with this message. */
async function line(server: ServerProcess, msg: string, count = 1): Promise<Line> {
  return waitFor(() => {
    const found = linesOf(server).filter((each) => each.msg === msg);
    expect(found.length).toBeGreaterThanOrEqual(count);
    return found[count - 1] as Line;
  });
}

/** A call's answer: its JSON, or the reason of its refusal. */
async function call(server: ServerProcess, method: string, request: object): Promise<unknown> {
  const response = await fetch(`http://${server.address}${KEYVALUE}/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(request),
  });
  const answer: unknown = await response.json();
  return response.ok ? answer : Object(answer).code;
}

const set = (server: ServerProcess, namespace: string) =>
  call(server, "Set", { namespace, key: "k", value: "aGk=" });
const get = (server: ServerProcess, namespace: string) => call(server, "Get", { namespace, key: "k" });

/** `prism` with `yaml` in a folder of its own. */
async function start(yaml: string, args: readonly string[] = []) {
  const folder = await temporaryFolder();
  const file = join(folder.path, "prism.yaml");
  writeFileSync(file, yaml);
  const server = await spawnServer(["--config", file, ...args]);
  return {
    folder: folder.path,
    file,
    server,
    write: (text: string) => writeFileSync(file, text),
    hangUp: () => server.child.kill("SIGHUP"),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

describe("SIGHUP", () => {
  test(
    "adds, moves and drops namespaces, and says what has changed and what needs a restart",
    SLOW,
    async () => {
      const by = "server: {reload: sighup}\ndatabase: {type: sqlite, path: a.db}\n";
      await using it = await start(`${by}namespaces: [{name: a}, {name: b}]`);
      const { server } = it;
      expect(await set(server, "a")).toEqual({ success: true });
      expect(await set(server, "b")).toEqual({ success: true });
      expect(await get(server, "c")).toBe("not_found");

      it.write(`${by}limits: {max_connections: 9}
logging: {level: debug}
backends: {m: {type: memory}}
namespaces: [{name: a, backend: m}, {name: c}]`);
      it.hangUp();
      expect(await line(server, IN_FORCE)).toMatchObject({
        level: "info",
        occasion: "SIGHUP",
        changes: [
          "backends.m: added",
          'namespaces.a.backend: added: "m"',
          "namespaces.c: added",
          "namespaces.b: removed",
          'logging.level: "info" -> "debug"',
        ],
      });
      expect(await line(server, "these settings need a restart")).toMatchObject({
        level: "warn",
        changes: ["limits.max_connections: 10000 -> 9; needs a restart"],
      });
      expect(await get(server, "a")).toBe("not_found");
      expect(await get(server, "b")).toBe("not_found");
      expect(await set(server, "c")).toEqual({ success: true });
      await waitFor(() => expect(linesOf(server).some(({ level }) => level === "debug")).toBe(true));

      // What is dropped or moved loses nothing.
      it.write(`${by}namespaces: [{name: a}, {name: b}]`);
      it.hangUp();
      await line(server, IN_FORCE, 2);
      expect(await get(server, "a")).toEqual({ value: "aGk=" });
      expect(await get(server, "b")).toEqual({ value: "aGk=" });

      it.hangUp();
      expect(await line(server, "the configuration is the same")).toMatchObject({ level: "info" });
      server.child.kill("SIGTERM");
      expect(await server.exited).toBe(0);
    },
  );

  test(
    "what is wrong is said as `config check` says it, and the one before stays in force",
    SLOW,
    async () => {
      const good = "server: {reload: sighup}\ndatabase: {type: memory}\n";
      await using it = await start(`${good}namespaces: [{name: a}]`);
      const { server, file } = it;
      await set(server, "a");
      let refusals = 0;
      const refused = async (problems: readonly string[]) => {
        it.hangUp();
        refusals++;
        const { level, problems: found } = await line(server, REFUSED, refusals);
        expect([level, found]).toEqual(["error", problems.map((problem) => `${file}${problem}`)]);
        expect(await get(server, "a")).toEqual({ value: "aGk=" });
      };
      it.write(`${good}namespaces:\n  - {name: b, backend: nowhere}\n  - {name: B}\n`);
      await refused([
        ':4:15: namespaces[0].backend: no backend "nowhere"; expected one of: database',
        ':5:6: namespaces[1].name: expected a name of 1 to 63 characters: a lower-case letter, then lower-case letters, digits, "-", "_" or "."',
      ]);
      it.write(`${good}namespaces: [{name: b}`);
      await refused([
        ":3:23: Flow sequence in block collection must be sufficiently indented and end with a ]",
      ]);
      it.write("");
      await refused([": empty, as a file is while it is written; {} stands for a configuration of defaults"]);
      unlinkSync(file);
      await refused([": no such file"]);
      mkdirSync(file);
      await refused([": a folder, not a file"]);
      rmSync(file, { recursive: true });

      // A store that cannot be opened: nothing of the rest is taken either.
      it.write(`${good}backends: {s: {type: sqlite, path: /dev/null/x.db}}
namespaces: [{name: a, limits: {max_rps: 1}}, {name: b}, {name: c, backend: s}]`);
      it.hangUp();
      refusals++;
      expect((await line(server, REFUSED, refusals)).problems).toEqual([
        expect.stringContaining("/dev/null/x.db"),
      ]);
      expect(await get(server, "b")).toBe("not_found");
      it.write(`${good}namespaces: [{name: a}, {name: b}]`);
      it.hangUp();
      expect((await line(server, IN_FORCE)).changes).toEqual(["namespaces.b: added"]);
      expect(await get(server, "a")).toEqual({ value: "aGk=" });
      expect(await set(server, "b")).toEqual({ success: true });
    },
  );

  test("takes renewed certificates; connections that are open stay", SLOW, async () => {
    await using folder = await temporaryFolder();
    const names = { cert: join(folder.path, "it.crt"), key: join(folder.path, "it.key") };
    const renew = (name: string) => {
      makeCertificate(folder.path, name);
      renameSync(join(folder.path, `${name}.crt`), names.cert);
      renameSync(join(folder.path, `${name}.key`), names.key);
    };
    renew("one");
    const file = join(folder.path, "prism.yaml");
    const yaml = (more: string) =>
      `database: {type: memory}\nserver: {reload: sighup, tls: {cert: it.crt, key: it.key${more}}}`;
    writeFileSync(file, yaml(""));
    await using server = await spawnServer(["--config", file]);
    const before = await shakeHands(server);
    expect(before.name).toBe("one");

    renew("two");
    expect((await shakeHands(server)).name).toBe("one");
    server.child.kill("SIGHUP");
    await line(server, "the configuration is the same");
    expect((await shakeHands(server)).name).toBe("two");
    before.socket.write("GET /none HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    expect(String(await once(before.socket, "data"))).toContain("HTTP/1.1 404");

    // Key and certificate that do not belong together, as while they are being renewed.
    makeCertificate(folder.path, "three");
    renameSync(join(folder.path, "three.key"), names.key);
    server.child.kill("SIGHUP");
    expect((await line(server, REFUSED)).problems).toEqual([
      `${file}:2:46: server.tls.key: the key does not belong to the certificate of cert`,
    ]);
    expect((await shakeHands(server)).name).toBe("two");

    renameSync(join(folder.path, "three.crt"), names.cert);
    writeFileSync(file, yaml(", client_ca: it.crt"));
    server.child.kill("SIGHUP");
    expect((await line(server, "these settings need a restart")).changes).toEqual([
      expect.stringMatching(/^server\.tls\.client_ca: added: .*; needs a restart$/),
    ]);
    expect((await shakeHands(server)).name).toBe("three");
  });

  test("fails no call: not over HTTP/1.1, not over HTTP/2, not on a namespace that moves", SLOW, async () => {
    const by = "server: {reload: sighup}\ndatabase: {type: memory}\n";
    const yaml = (odd: boolean) => `${by}backends: {m${odd ? 1 : 2}: {type: memory}}
namespaces:
  - {name: steady, limits: {max_value_bytes: ${odd ? 1000 : 2000}}}
  - {name: moves${odd ? ", backend: m1" : ""}}
  - {name: comes-${odd}, backend: m${odd ? 1 : 2}}
`;
    await using it = await start(yaml(false));
    const { server } = it;
    const failed: unknown[] = [];
    let answered = 0;
    let isDone = false;
    const session = connectHttp2(`http://${server.address}`);
    const overHttp2 = async (namespace: string) => {
      const stream = session.request({
        ":method": "POST",
        ":path": `${KEYVALUE}/Set`,
        "content-type": "application/json",
      });
      stream.end(JSON.stringify({ namespace, key: "k", value: "aGk=" }));
      const [headers] = await once(stream, "response");
      stream.resume();
      return headers[":status"] === 200 ? { success: true } : headers[":status"];
    };
    const lane = async (run: (namespace: string) => Promise<unknown>, namespace: string) => {
      while (!isDone) {
        const answer = await run(namespace).catch((error: unknown) => error);
        if (JSON.stringify(answer) === '{"success":true}') {
          answered++;
        } else {
          failed.push(answer);
        }
      }
    };
    const lanes = ["steady", "moves"].flatMap((namespace) => [
      ...Array.from({ length: 4 }, () => lane((name) => set(server, name), namespace)),
      ...Array.from({ length: 4 }, () => lane(overHttp2, namespace)),
    ]);
    for (let reloads = 1; reloads <= 40; reloads++) {
      const before = answered;
      it.write(yaml(reloads % 2 === 1));
      it.hangUp();
      await line(server, IN_FORCE, reloads);
      await until("calls between two reloads", () => answered > before + 20);
    }
    isDone = true;
    await Promise.all(lanes);
    session.destroy();
    expect(failed).toEqual([]);
  });

  test("does nothing where server.reload is off", SLOW, async () => {
    await using it = await start("server: {reload: off}\ndatabase: {type: memory}");
    it.write("database: {type: memory}\nnamespaces: [{name: a}]");
    it.hangUp();
    await line(it.server, "the configuration is not read again: server.reload is off");
    expect(await get(it.server, "a")).toBe("not_found");
  });

  test("ends a server whose terminal is gone", SLOW, async () => {
    await using folder = await temporaryFolder();
    const pids = join(folder.path, "pid");
    const words = [
      ...NODE_FLAGS,
      MAIN,
      "serve",
      "--memory",
      "--listen",
      "127.0.0.1:0",
      "--admin-listen",
      "127.0.0.1:0",
    ];
    // The shell leaves its server behind and closes the terminal.
    const command = `${process.execPath} ${words.join(" ")} & echo $! > ${pids}; read line`;
    const terminal = spawn("script", ["-qfc", command, "/dev/null"], { stdio: ["pipe", "pipe", "ignore"] });
    const lines: string[] = [];
    terminal.stdout.on("data", (text) => lines.push(String(text)));
    await until("ready", () => lines.join("").includes("ready"));
    const pid = Number(readFileSync(pids, "utf8"));
    // Without a terminal that is gone the signal is for the configuration.
    process.kill(pid, "SIGHUP");
    await until("a reload", () => lines.join("").includes("the configuration is the same"));
    terminal.kill("SIGKILL");
    await until("the end of the server", () => !isRunning(pid));
  });
});

describe("a change of the file", () => {
  const yaml = (name: string) => `database: {type: memory}\nnamespaces: [{name: ${name}}]\n`;

  test(
    "is taken, however it is made: in pieces, by a rename, by links as in Kubernetes, or after it was gone",
    SLOW,
    async () => {
      await using it = await start(yaml("a"));
      const { server, file, folder } = it;
      let count = 0;
      const taken = async (name: string) => {
        count++;
        expect(await line(server, IN_FORCE, count)).toMatchObject({
          occasion: "change",
          changes: expect.arrayContaining([`namespaces.${name}: added`]),
        });
        expect(await set(server, name)).toEqual({ success: true });
      };

      const text = yaml("b");
      for (const at of [0, 10, 20, 30, 40]) {
        it.write(text.slice(0, at));
        await delay(50);
      }
      it.write(text);
      await taken("b");

      writeFileSync(join(folder, "other"), yaml("c"));
      renameSync(join(folder, "other"), file);
      await taken("c");

      unlinkSync(file);
      expect((await line(server, REFUSED)).problems).toEqual([`${file}: no such file`]);
      it.write(yaml("d"));
      await taken("d");

      for (const [volume, name] of [
        ["one", "e"],
        ["two", "f"],
      ] as const) {
        mkdirSync(join(folder, volume));
        writeFileSync(join(folder, volume, "prism.yaml"), yaml(name));
      }
      symlinkSync("one", join(folder, "data"));
      rmSync(file);
      symlinkSync("data/prism.yaml", file);
      await taken("e");
      symlinkSync("two", join(folder, "data-next"));
      renameSync(join(folder, "data-next"), join(folder, "data"));
      await taken("f");
      // None of the pieces was a configuration.
      expect(linesOf(server).filter(({ msg }) => msg === REFUSED)).toHaveLength(1);
    },
  );

  test("that is refused is told once, and the next one is taken", SLOW, async () => {
    await using it = await start(yaml("a"));
    const { server, file } = it;
    it.write(`${yaml("a")}limits: {max_things: 1}\n`);
    expect((await line(server, REFUSED)).problems).toEqual([
      expect.stringContaining(`${file}:3:10: limits.max_things: unknown key`),
    ]);
    it.write(yaml("b"));
    await line(server, IN_FORCE);
    expect(linesOf(server).filter(({ msg }) => msg === REFUSED)).toHaveLength(1);
  });

  test("of a certificate is taken too; with server.reload: sighup at the signal", SLOW, async () => {
    await using folder = await temporaryFolder();
    const renew = (name: string) => {
      makeCertificate(folder.path, name);
      renameSync(join(folder.path, `${name}.crt`), join(folder.path, "it.crt"));
      renameSync(join(folder.path, `${name}.key`), join(folder.path, "it.key"));
    };
    renew("one");
    const file = join(folder.path, "prism.yaml");
    const yaml = (reload: string) =>
      `database: {type: memory}\nserver: {reload: ${reload}, tls: {cert: it.crt, key: it.key}}`;
    writeFileSync(file, yaml("auto"));
    await using server = await spawnServer(["--config", file]);
    renew("two");
    await waitFor(async () => expect((await shakeHands(server)).name).toBe("two"));
    writeFileSync(file, yaml("sighup"));
    expect((await line(server, IN_FORCE)).changes).toEqual(['server.reload: "auto" -> "sighup"']);
    renew("three");
    server.child.kill("SIGHUP");
    await waitFor(async () => expect((await shakeHands(server)).name).toBe("three"));
  });
});

describe("namespaces that are made at run time, in the file", () => {
  const yaml = "control: {type: file}\nbackends: {m: {type: memory}}\ndatabase: {type: memory} # for now\n";

  test(
    "serve at once and after a restart, live through reloads, and give way to what people write",
    SLOW,
    async () => {
      await using it = await start(yaml);
      const { server, file } = it;
      const control = async (method: string, path: string, body?: object): Promise<unknown> => {
        const headers = { "content-type": "application/json" };
        const init = body === undefined ? { method } : { method, headers, body: JSON.stringify(body) };
        const response = await fetch(`${server.adminUrl}/namespaces${path}`, init);
        const answer: unknown = await response.json();
        return response.ok ? "ok" : Object(answer).message;
      };
      expect(await control("POST", "", { name: "a", pattern: "keyvalue", backend: "m" })).toBe("ok");
      expect(await set(server, "a")).toEqual({ success: true });
      expect(await set(server, "default")).toEqual({ success: true });
      const text = readFileSync(file, "utf8");
      expect(text).toMatch(/^control: .*# for now\nnamespaces:\n {2}- name: default\n {2}- name: a\n/s);

      // The gateway's own writing is no change, and reloads drop nothing of what was made.
      it.hangUp();
      await line(server, "the configuration is the same");
      it.write(text.replace("- name: default\n", "- name: default\n  - name: by-hand\n"));
      expect((await line(server, IN_FORCE)).changes).toEqual(["namespaces.by-hand: added"]);
      expect(await get(server, "a")).toEqual({ value: "aGk=" });

      it.write(`${readFileSync(file, "utf8")}limits: {max_things: 1}\n`);
      expect(await control("POST", "", { name: "b", pattern: "keyvalue" })).toContain(
        "limits.max_things: unknown key",
      );
      expect(await get(server, "b")).toBe("not_found");
      it.write(text);
      await line(server, IN_FORCE, 2);
      expect(await control("POST", "", { name: "b", pattern: "keyvalue" })).toBe("ok");
      expect(await control("POST", "", { name: "default", pattern: "keyvalue" })).toContain("already");

      server.child.kill("SIGTERM");
      expect(await server.exited).toBe(0);
      await using again = await spawnServer(["--config", file]);
      expect(await set(again, "a")).toEqual({ success: true });
      expect(await set(again, "b")).toEqual({ success: true });
      expect(linesOf(again).filter(({ level }) => level === "warn" || level === "error")).toEqual([]);
    },
  );
});

/** Connects, and answers whose certificate the server has. */
async function shakeHands({ address }: ServerProcess) {
  const socket = connectTls({ port: Number(address.split(":")[1]), rejectUnauthorized: false });
  // The server cuts it at the end of the test.
  socket.on("error", () => {});
  await once(socket, "secureConnect");
  return { socket, name: socket.getPeerCertificate().subject.CN };
}

function makeCertificate(folder: string, name: string): void {
  const key = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-keyout",
    `${name}.key`,
  ];
  execFileSync("openssl", ["req", "-x509", ...key, "-out", `${name}.crt`, "-subj", `/CN=${name}`], {
    cwd: folder,
    stdio: "pipe",
  });
}
