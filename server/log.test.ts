import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, createReadStream, openSync } from "node:fs";
import http2 from "node:http2";
import net from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { folderOnPath } from "../tests/helpers/child.ts";
import { isThere } from "../tests/helpers/is-there.ts";
import { freePorts } from "../tests/helpers/port.ts";
import { NODE_FLAGS, spawnServer, temporaryFolder } from "../tests/helpers/process.ts";
import { until } from "../tests/helpers/until.ts";
import { createPrettyShape, escaped, formatOf } from "./log.ts";

/** A busy machine takes its time to start a process. */
const PATIENCE_MS = 50_000;
const SLOW = { timeout: 60_000 };

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url));
const EXISTS = "/prism.interfaces.keyvalue.KeyValueBasicInterface/Exists";

/**
 * Characters that a terminal obeys or shows elsewhere: CSI of C1, DEL, a line separator, a
 * direction override, an isolate.
 */
const UNSAFE = "\u009b\u007f\u2028\u202e\u2066";
const ESCAPED = "\\u009b\\u007f\\u2028\\u202e\\u2066";

test("on a terminal the log is for people, elsewhere for programs, where nobody says otherwise", () => {
  expect(formatOf("auto", true)).toBe("pretty");
  expect(formatOf("auto", false)).toBe("json");
  for (const isTerminal of [true, false]) {
    expect(formatOf("json", isTerminal)).toBe("json");
    expect(formatOf("pretty", isTerminal)).toBe("pretty");
  }
});

test("what a terminal would obey is escaped, and JSON stays what it is", async () => {
  const line = JSON.stringify({
    msg: "m",
    path: `\u001b[31m${UNSAFE}ü`,
    err: { stack: `a\n b\u001b[31m${UNSAFE}` },
  });
  expect(escaped(line)).toBe(line.replaceAll(UNSAFE, ESCAPED));
  expect(JSON.parse(escaped(line))).toEqual(JSON.parse(line));
  const pretty = (await createPrettyShape(false))(line);
  expect(pretty).not.toMatch(/[[\p{Cc}\p{Zl}\p{Bidi_Control}]--\n]/v);
  expect(pretty).toContain("\\u001b[31m\\u009b");
  expect(pretty).toContain("ü");
});

test("what the wire brings reaches the log escaped", SLOW, async () => {
  await using server = await spawnServer(["--memory"]);
  const [host, port] = server.address.split(":");
  const socket = net.connect(Number(port), host);
  // Node reads such bytes in a path as Latin-1.
  socket.write(
    Buffer.from(
      "POST /a\u009b1m/b HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
      "latin1",
    ),
  );
  socket.resume();
  await once(socket, "close");
  const session = http2.connect(`http://${server.address}`);
  const stream = session.request({ ":method": "POST", ":path": "/a\u009b1m/b" });
  stream.on("error", () => {}).resume();
  await once(stream, "close");
  session.destroy();
  server.child.kill("SIGTERM");
  await server.exited;
  expect(server.lines.length).toBeGreaterThan(3);
  for (const line of server.lines) {
    expect(line).not.toMatch(/\p{Cc}/u);
  }
});

/** A server whose standard output is a pipe that is not read yet. */
async function startUnread(folder: string, level: string) {
  const path = join(folder, "stdout");
  execFileSync("mkfifo", [path]);
  const fd = openSync(path, "r+");
  const ports = await freePorts(2);
  const [address = "", adminAddress = ""] = ports.map((port) => `127.0.0.1:${port}`);
  const args = ["serve", "--memory", "--listen", address, "--admin-listen", adminAddress];
  const child = spawn(process.execPath, [...NODE_FLAGS, MAIN, ...args], {
    stdio: ["ignore", fd, "inherit"],
    env: { ...process.env, PRISM_LOG_LEVEL: level },
  });
  const exited = once(child, "exit").then(([code, signal]) => code ?? signal);
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await exited;
    closeSync(fd);
  });
  await until("it is ready", async () => (await fetch(`http://${adminAddress}/health`)).ok, PATIENCE_MS);
  return { child, exited, address, path };
}

/** Makes calls one after the other on each of some streams; all must be answered. */
async function callAll(address: string, count: number): Promise<void> {
  const session = http2.connect(`http://${address}`);
  let begun = 0;
  const lane = async () => {
    while (begun++ < count) {
      const stream = session.request({
        ":method": "POST",
        ":path": EXISTS,
        "content-type": "application/json",
        "x-request-id": "x".repeat(64),
      });
      stream.end('{"key":"a"}');
      const [headers] = await once(stream, "response");
      expect(headers[":status"]).toBe(200);
      stream.resume();
      await once(stream, "close");
    }
  };
  await Promise.all(Array.from({ length: 32 }, lane));
  session.destroy();
}

describe("a pipe that nobody reads", SLOW, () => {
  /** In lines of some 300 bytes: more than the pipe and the waiting lines hold. */
  const CALLS = 6000;

  test("holds up no call, and no SIGTERM", async () => {
    await using folder = await temporaryFolder();
    const server = await startUnread(folder.path, "debug");
    await callAll(server.address, CALLS);
    server.child.kill("SIGTERM");
    expect(await server.exited).toBe(0);
  });

  test("has lines that are lost, which the log says when it is read", async () => {
    await using folder = await temporaryFolder();
    const server = await startUnread(folder.path, "debug");
    await callAll(server.address, CALLS);
    const lines: Record<string, unknown>[] = [];
    const reader = createReadStream(server.path, "utf8");
    onTestFinished(() => void reader.destroy());
    createInterface(reader).on("line", (line) => lines.push(JSON.parse(line)));
    await until(
      "it says how many are lost",
      () => lines.some(({ msg }) => msg === "log lines were lost"),
      PATIENCE_MS,
    );
    await callAll(server.address, 1);
    server.child.kill("SIGTERM");
    await until("it has stopped", () => lines.some(({ msg }) => msg === "stopped"), PATIENCE_MS);
    const lost = lines.reduce((sum, line) => sum + Number(line.lost ?? 0), 0);
    expect(lost).toBeGreaterThan(0);
    expect(lines.filter(({ msg }) => msg === "call").length + lost).toBe(CALLS + 1);
    // The lines before the loss, and after it.
    expect(lines[0]).toMatchObject({ msg: "ready" });
  });
});

/** Part of util-linux. */
const hasScript = isThere(
  "script",
  folderOnPath(["script"]) !== undefined,
  "Debian: apt-get install bsdutils",
);

test.runIf(hasScript)("a terminal gets lines for people", SLOW, async () => {
  const ports = "--listen 127.0.0.1:0 --admin-listen 127.0.0.1:0";
  const command = [process.execPath, ...NODE_FLAGS, MAIN, "serve --memory", ports].join(" ");
  const child = spawn("script", ["-qec", command, "/dev/null"], { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  let shown = "";
  child.stdout.on("data", (chunk) => (shown += chunk));
  await until("it is ready", () => shown.includes("ready"), PATIENCE_MS);
  expect(shown).toMatch(/INFO.*ready/);
  expect(shown).not.toContain('"msg"');
  await until("it says what to try", () => shown.includes("Try this"), PATIENCE_MS);
  // Control-C on the terminal.
  child.stdin.write("\u0003");
  await exited;
  expect(shown).toContain("stopped");
});
