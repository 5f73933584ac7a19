/** What systemd hears of `prism`, and whether it takes the unit file. */
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { chmod, copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { folderOnPath } from "./helpers/child.ts";
import { isThere } from "./helpers/is-there.ts";
import { MAIN, spawnServer, temporaryFolder } from "./helpers/process.ts";
import { canStartRedis, startRedis } from "./helpers/redis.ts";
import { waitFor } from "./helpers/until.ts";

const UNIT = join(import.meta.dirname, "../deploy/systemd/prism.service");
const canNotify = isThere(
  "systemd-notify, systemd-analyze",
  folderOnPath(["systemd-notify", "systemd-analyze"]) !== undefined,
  "Debian: apt-get install systemd",
);
const canListen = isThere(
  "python3",
  folderOnPath(["python3"]) !== undefined,
  "Debian: apt-get install python3",
);

/** Node has no sockets for datagrams of this kind. */
const LISTEN = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("listening", flush=True)
while True:
    print(s.recv(4096).decode().replace("\\n", " "), flush=True)
`;

/** Listens as systemd does. Disposing ends it. */
async function listen(socket: string) {
  const child: ChildProcess = spawn("python3", ["-c", LISTEN, socket], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const heard: string[] = [];
  if (child.stdout === null) {
    throw new TypeError("it has no output");
  }
  createInterface(child.stdout).on("line", (line) => heard.push(line));
  await waitFor(() => expect(heard).toEqual(["listening"]));
  return {
    /** The messages, without those that ask whether the ones before were read. */
    get heard() {
      return heard.slice(1).filter((line) => !line.startsWith("BARRIER"));
    },
    [Symbol.dispose]: () => void child.kill(),
  };
}

const RELOADING = expect.stringMatching(/^RELOADING=1 MONOTONIC_USEC=\d+$/);

describe.runIf(canNotify && canListen)("systemd hears", () => {
  test("when the gateway is ready, reads its configuration again, lives, and ends", async () => {
    await using folder = await temporaryFolder();
    const socket = join(folder.path, "notify");
    const config = join(folder.path, "prism.yaml");
    await writeFile(config, "database: {type: memory}\nserver: {reload: sighup}\n");
    using systemd = await listen(socket);
    const env = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "400000" };
    await using server = await spawnServer(["--config", config], MAIN, [], process.execPath, env);
    await waitFor(() => expect(systemd.heard.slice(0, 2)).toEqual(["READY=1", "WATCHDOG=1"]));

    server.child.kill("SIGHUP");
    const changes = () => systemd.heard.filter((line) => line !== "WATCHDOG=1");
    await waitFor(() => expect(changes()).toEqual(["READY=1", RELOADING, "READY=1"]));
    // A configuration that is refused ends the reload too.
    await writeFile(config, "nothing: {}\n");
    server.child.kill("SIGHUP");
    await waitFor(() => expect(changes().slice(3)).toEqual([RELOADING, "READY=1"]));

    server.child.kill("SIGTERM");
    expect(await server.exited).toBe(0);
    await waitFor(() => expect(systemd.heard.at(-1)).toBe("STOPPING=1"));
  });

  test.runIf(canStartRedis())("of a gateway with workers once, when all of them take calls", async () => {
    await using redis = await startRedis();
    await using folder = await temporaryFolder();
    const socket = join(folder.path, "notify");
    const config = join(folder.path, "prism.yaml");
    await writeFile(config, `database: {type: redis, url: "${redis.url}"}\nserver: {workers: 2}\n`);
    using systemd = await listen(socket);
    // The watchdog of another process.
    const env = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "1000", WATCHDOG_PID: "1" };
    await using server = await spawnServer(["--config", config], MAIN, [], process.execPath, env);
    await waitFor(() => expect(systemd.heard).toEqual(["READY=1"]));
    expect(server.lines.filter((line) => line.includes("a worker takes calls"))).toHaveLength(2);
    server.child.kill("SIGTERM");
    expect(await server.exited).toBe(0);
    await waitFor(() => expect(systemd.heard).toEqual(["READY=1", "STOPPING=1"]));
  });
});

test("a gateway whose service manager cannot be told serves all the same", async () => {
  await using folder = await temporaryFolder();
  const env = { NOTIFY_SOCKET: join(folder.path, "none"), PATH: folder.path };
  await using server = await spawnServer(["--memory"], MAIN, [], process.execPath, env);
  const told = "the service manager is not told";
  await waitFor(() => expect(server.lines.filter((line) => line.includes(told))).not.toEqual([]));
  server.child.kill("SIGTERM");
  expect(await server.exited).toBe(0);
});

test.runIf(canNotify)("the unit file is one that systemd takes, word for word", async () => {
  await using folder = await temporaryFolder();
  // Instead of the programs that it starts, which have to be there: its own root.
  const root = folder.path;
  const units = join(root, "etc/systemd/system");
  await mkdir(units, { recursive: true });
  await copyFile(UNIT, join(units, "prism.service"));
  for (const name of ["sysinit", "basic", "shutdown", "network-online", "multi-user"]) {
    await writeFile(join(units, `${name}.target`), "[Unit]\nDescription=made for the test\n");
  }
  for (const program of ["usr/local/bin/prism", "bin/kill"]) {
    await mkdir(join(root, program, ".."), { recursive: true });
    await writeFile(join(root, program), "#!/bin/sh\n");
    await chmod(join(root, program), 0o755);
  }
  // It says what it does not know, and ends with 0.
  const verify = ["verify", "--man=no", "--recursive-errors=no", `--root=${root}`, "prism.service"];
  const { stdout, stderr, status } = spawnSync("systemd-analyze", verify, { encoding: "utf8" });
  expect({ stdout, stderr, status }).toEqual({ stdout: "", stderr: "", status: 0 });

  // Out of 100: what it could do if somebody took it over. Below 20 is "OK".
  const security = ["security", "--offline=true", "--threshold=20", `--root=${root}`, "prism.service"];
  await promisify(execFile)("systemd-analyze", security);
});
