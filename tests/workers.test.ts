/** Several processes behind one port: `prism` in its own processes, on a real Redis. */
import { once } from "node:events";
import { copyFileSync, renameSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { type AddressInfo, createConnection, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { isRunning, MAIN, type ServerProcess, spawnServer, temporaryFolder } from "./helpers/process.ts";
import { readPrometheusText } from "./helpers/prometheus-text.ts";
import { canStartRedis, type RedisProcess, startRedis } from "./helpers/redis.ts";
import { waitFor } from "./helpers/until.ts";

const SLOW = { timeout: 180_000 };
const KEYVALUE = "/prism.interfaces.keyvalue.KeyValueBasicInterface";

/** `prism` with two workers; `more` is added to its configuration. */
async function start(redis: RedisProcess, more = "namespaces: [{name: default}]\n", node?: string) {
  const folder = await temporaryFolder();
  const file = join(folder.path, "prism.yaml");
  const write = (text: string) =>
    writeFileSync(
      file,
      `server: {workers: 2, reload: sighup}\ncontrol: {type: file}\ndatabase: {type: redis, url: "${redis.url}"}\n${text}`,
    );
  write(more);
  const server = await spawnServer(["--config", file], MAIN, [], node);
  return {
    server,
    file,
    write,
    admin: server.adminUrl,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

function linesOf({ lines }: ServerProcess): Record<string, unknown>[] {
  return lines.map((line) => JSON.parse(line));
}

/** The process ids of the workers that run. */
function workersOf(server: ServerProcess): readonly number[] {
  const started = linesOf(server).filter(({ msg }) => msg === "a worker takes calls");
  return started.map(({ worker_pid }) => Number(worker_pid)).filter(isRunning);
}

/** Passes the first connections to `ports`, in order, and all others to `last`. */
async function startDoor(ports: readonly number[], last: number) {
  let taken = 0;
  const sockets = new Set<Socket>();
  const door = createServer((client) => {
    const server = createConnection(ports[taken++] ?? last, "127.0.0.1");
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => other.destroy()).on("close", () => sockets.delete(socket));
    }
    client.pipe(server).pipe(client);
  });
  door.listen(0, "127.0.0.1");
  await once(door, "listening");
  return {
    port: (door.address() as AddressInfo).port,
    get connections() {
      return sockets.size;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) {
        socket.destroy();
      }
      await new Promise((resolve) => door.close(resolve));
    },
  };
}

/** A connection of its own to one of the workers. Connections are given out in turn. */
function connect({ address }: ServerProcess) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let worker = "";
  return {
    /** Which process answered last: the beginning of the ids that it gives to requests. */
    get worker() {
      return worker;
    },
    /** The answer; `undefined` = the connection broke. */
    call(method: string, body: object): Promise<Record<string, unknown> | undefined> {
      return new Promise((resolve) => {
        const asked = request(
          `http://${address}${KEYVALUE}/${method}`,
          { agent, method: "POST", headers: { "content-type": "application/json" } },
          async (response) => {
            let text = "";
            worker = String(response.headers["x-request-id"]).split("-")[0] ?? "";
            try {
              for await (const chunk of response.setEncoding("utf8")) {
                text += chunk;
              }
              resolve(JSON.parse(text));
            } catch {
              resolve(undefined);
            }
          },
        );
        asked.on("error", () => resolve(undefined));
        asked.end(JSON.stringify(body));
      });
    },
    close: () => agent.destroy(),
  };
}

const set = (namespace: string) => ({ namespace, key: "k", value: "aGk=" });

async function post(url: string, body: object): Promise<Response> {
  const headers = { "content-type": "application/json" };
  return await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
}

/** The value of a metric, all its labels together. */
async function metric(admin: string, name: string): Promise<number> {
  const families = readPrometheusText(await (await fetch(`${admin}/metrics`)).text(), "prometheus");
  const samples = [...families.values()].flatMap((family) => family.samples);
  return samples.filter((each) => each.name === name).reduce((sum, { value }) => sum + value, 0);
}

describe.runIf(canStartRedis())("two workers", () => {
  test(
    "a namespace made at run time serves on each at once; what they do is told together",
    SLOW,
    async () => {
      await using redis = await startRedis();
      await using it = await start(redis);
      const { server, admin } = it;
      expect(workersOf(server)).toHaveLength(2);
      const callers = Array.from({ length: 4 }, () => connect(server));
      for (let i = 0; i < 5; i++) {
        expect((await post(`${admin}/namespaces`, { name: `n${i}`, backend: "database" })).status).toBe(201);
        const answers = await Promise.all(callers.map((caller) => caller.call("Set", set(`n${i}`))));
        expect(answers).toEqual(callers.map(() => ({ success: true })));
      }
      expect(await metric(admin, "prism_requests_total")).toBeGreaterThanOrEqual(20);
      expect(await metric(admin, "prism_workers")).toBe(2);
      expect(await metric(admin, "prism_namespaces")).toBe(6);
      const ready = await fetch(`${admin}/readyz?verbose`);
      expect(await ready.text()).toContain("[+]workers ok\n");
      for (const caller of callers) {
        caller.close();
      }
    },
  );

  test("one that dies is replaced, and no call on the other fails", SLOW, async () => {
    await using redis = await startRedis();
    await using it = await start(redis);
    const { server, admin } = it;
    const callers = Array.from({ length: 8 }, () => connect(server));
    await Promise.all(callers.map((caller) => caller.call("Set", set(""))));
    const workers = callers.map(({ worker }) => worker);
    expect(new Set(workers).size).toBe(2);
    const [victim] = workersOf(server);
    let isOver = false;
    let isKilled = false;
    let counted = Number.NaN;
    let calls = 0;
    const failures = await Promise.all([
      ...callers.map(async (caller) => {
        let failed = 0;
        while (!isOver) {
          const answer = await caller.call("Set", set(""));
          // The next call is on a new connection.
          failed += answer === undefined ? 1 : 0;
          calls++;
        }
        return failed;
      }),
      (async () => {
        await waitFor(() => expect(calls).toBeGreaterThan(100));
        counted = await metric(admin, "prism_requests_total");
        isKilled = process.kill(victim ?? 0, "SIGKILL");
        await waitFor(() => {
          expect(linesOf(server)).toContainEqual(
            expect.objectContaining({ msg: "a worker has ended; it is replaced", signal: "SIGKILL" }),
          );
          expect(workersOf(server)).toHaveLength(2);
        });
        await waitFor(async () => expect(await metric(admin, "prism_workers")).toBe(2));
        // What the dead one has counted is not forgotten.
        expect(await metric(admin, "prism_requests_total")).toBeGreaterThanOrEqual(counted);
        isOver = true;
        return 0;
      })(),
    ]);
    expect(isKilled).toBe(true);
    // Each connection of the dead one has lost a call at most; no other has. A caller can be given
    // one more of them before anybody knows that it is dead.
    const dead = new Set(workers.filter((_, i) => failures[i] !== 0));
    expect(dead.size).toBe(1);
    expect(Math.max(...failures)).toBeLessThanOrEqual(2);
    expect(workersOf(server)).not.toContain(victim);
    expect(await metric(admin, "prism_workers_replaced_total")).toBe(1);
    // The new one knows what was made before.
    for (const caller of callers) {
      expect(await caller.call("Get", { key: "k" })).toEqual({ value: "aGk=" });
      caller.close();
    }
  });

  test("one that does not answer any more is replaced", SLOW, async () => {
    await using redis = await startRedis();
    await using it = await start(redis);
    const [victim = 0] = workersOf(it.server);
    process.kill(victim, "SIGSTOP");
    // It is given one connection, which ends with it.
    const callers = Array.from({ length: 4 }, () => connect(it.server));
    const answers = await Promise.all(callers.map((caller) => caller.call("Set", set(""))));
    expect(answers.filter((answer) => answer?.success !== true)).toEqual([undefined]);
    for (const caller of callers) {
      caller.close();
    }
    await waitFor(() => expect(isRunning(victim)).toBe(false));
    await waitFor(() => expect(workersOf(it.server)).toHaveLength(2));
    const messages = linesOf(it.server).map(({ msg }) => msg);
    expect(messages.filter((msg) => msg === "a worker does not answer")).toHaveLength(1);
  });

  test("one that cannot be started is tried again, and the others go on", SLOW, async () => {
    await using redis = await startRedis();
    await using folder = await temporaryFolder();
    const node = join(folder.path, "node");
    copyFileSync(process.execPath, node);
    await using it = await start(redis, undefined, node);
    renameSync(node, `${node}.away`);
    const [victim = 0] = workersOf(it.server);
    process.kill(victim, "SIGKILL");
    await waitFor(() =>
      expect(linesOf(it.server)).toContainEqual(
        expect.objectContaining({
          msg: "a worker has ended; it is replaced",
          err: expect.objectContaining({ code: "ENOENT" }),
        }),
      ),
    );
    const caller = connect(it.server);
    expect(await caller.call("Set", set(""))).toEqual({ success: true });
    caller.close();
    renameSync(`${node}.away`, node);
    await waitFor(() => expect(workersOf(it.server)).toHaveLength(2));
  });

  test("connections beyond the bound are closed", SLOW, async () => {
    await using redis = await startRedis();
    await using it = await start(redis, "limits: {max_connections: 2}\nnamespaces: [{name: default}]\n");
    const [host, port] = it.server.address.split(":");
    let closed = 0;
    const sockets = Array.from({ length: 12 }, () =>
      createConnection(Number(port), host)
        .on("error", () => {})
        .on("close", () => {
          closed++;
        }),
    );
    await waitFor(() => expect(closed).toBeGreaterThanOrEqual(8));
    for (const socket of sockets) {
      socket.destroy();
    }
  });

  test("SIGTERM drains all of them: no call fails, and no process is left", SLOW, async () => {
    await using redis = await startRedis();
    await using it = await start(redis);
    const { server } = it;
    const workers = workersOf(server);
    const callers = Array.from({ length: 4 }, () => connect(server));
    let calls = 0;
    const done = callers.map(async (caller) => {
      const answers: unknown[] = [];
      // Each answer but the last tells that the connection goes on.
      for (let answer = await caller.call("Set", set("")); answer !== undefined; ) {
        answers.push(answer);
        calls++;
        answer = await caller.call("Set", set(""));
      }
      caller.close();
      return answers;
    });
    await waitFor(() => expect(calls).toBeGreaterThan(100));
    server.child.kill("SIGTERM");
    expect(await server.exited).toBe(0);
    for (const answers of await Promise.all(done)) {
      expect(answers.every((answer) => Object(answer).success === true)).toBe(true);
    }
    expect(workers.filter(isRunning)).toEqual([]);
  });

  test("they end with the first process when that is killed", SLOW, async () => {
    await using redis = await startRedis();
    await using it = await start(redis);
    const workers = workersOf(it.server);
    it.server.child.kill("SIGKILL");
    await waitFor(() => expect(workers.filter(isRunning)).toEqual([]));
  });

  test("a quota is of all together", SLOW, async () => {
    await using redis = await startRedis();
    await using it = await start(redis, "namespaces: [{name: default, limits: {max_rps: 5, burst: 40}}]\n");
    const callers = Array.from({ length: 8 }, () => connect(it.server));
    const startedMs = performance.now();
    const answers = await Promise.all(
      callers.flatMap((caller) => Array.from({ length: 20 }, () => caller.call("Set", set("")))),
    );
    const seconds = (performance.now() - startedMs) / 1000;
    const passed = answers.filter((answer) => answer?.success === true).length;
    const refused = answers.filter((answer) => answer?.code === "resource_exhausted").length;
    expect(passed + refused).toBe(160);
    expect(passed).toBeGreaterThanOrEqual(40);
    // Each by itself would let in eighty.
    expect(passed).toBeLessThanOrEqual(42 + 5 * seconds);
    // And with the admin port, which the first process serves.
    const more = await Promise.all(
      Array.from({ length: 60 }, async (_, i) =>
        i % 2 === 0
          ? await callers[i % 8]?.call("Set", set(""))
          : await (await post(`${it.admin}${KEYVALUE}/Set`, set(""))).json(),
      ),
    );
    const allSeconds = (performance.now() - startedMs) / 1000;
    const allPassed = more.filter((answer) => Object(answer).success === true).length + passed;
    expect(allPassed).toBeLessThanOrEqual(42 + 5 * allSeconds);
    for (const caller of callers) {
      caller.close();
    }
  });

  test("the admin port has their data, and tells what all of them count", SLOW, async () => {
    await using redis = await startRedis();
    await using it = await start(redis);
    const traffic = async () =>
      await (
        await post(`${it.admin}/prism.admin.v1.AdminService/GetTraffic`, { namespaces: ["default"] })
      ).json();
    expect(await traffic()).toMatchObject({ namespaces: [] });
    const callers = Array.from({ length: 4 }, () => connect(it.server));
    for (const caller of callers) {
      expect(await caller.call("Set", set(""))).toEqual({ success: true });
    }
    expect(new Set(callers.map(({ worker }) => worker)).size).toBe(2);
    const got = await post(`${it.admin}${KEYVALUE}/Get`, { key: "k" });
    expect(await got.json()).toEqual({ value: "aGk=" });
    expect(await (await post(`${it.admin}${KEYVALUE}/Set`, set(""))).json()).toEqual({ success: true });
    expect(await traffic()).toMatchObject({
      namespaces: [{ namespace: "default", calls: "6" }],
      methods: [
        { method: expect.stringMatching(/Get$/), calls: "1" },
        { method: expect.stringMatching(/Set$/), calls: "5" },
      ],
      process: { processes: 3, connections: "4" },
    });
    for (const caller of callers) {
      caller.close();
    }
  });

  test("a reload is of all of them", SLOW, async () => {
    await using redis = await startRedis();
    await using it = await start(redis);
    const callers = Array.from({ length: 4 }, () => connect(it.server));
    it.write("namespaces: [{name: default}, {name: other}]\n");
    it.server.child.kill("SIGHUP");
    await waitFor(() =>
      expect(linesOf(it.server)).toContainEqual(
        expect.objectContaining({ msg: "the configuration is in force" }),
      ),
    );
    for (const caller of callers) {
      expect(await caller.call("Set", set("other"))).toEqual({ success: true });
      caller.close();
    }
  });

  test("a reload that not all can take is refused by all, and no call notices", SLOW, async () => {
    await using redis = await startRedis();
    await using it = await start(redis);
    const { server } = it;
    const workers = workersOf(server);
    const callers = Array.from({ length: 4 }, () => connect(server));
    let calls = 0;
    let isOver = false;
    const lanes = callers.map(async (caller) => {
      const failed: unknown[] = [];
      while (!isOver) {
        const answer = await caller.call("Set", set(""));
        calls++;
        if (answer?.success !== true) {
          failed.push(answer);
        }
      }
      return failed;
    });
    await using locked = await startRedis({ args: ["--requirepass", "secret"] });
    // Each process opens one connection. First no worker can have the store, then one of the two.
    for (const [i, ports] of [[redis.port], [redis.port, redis.port]].entries()) {
      await using door = await startDoor(ports, locked.port);
      const before = calls;
      it.write(`backends: {other: {type: redis, url: "redis://127.0.0.1:${door.port}"}}
namespaces: [{name: default, backend: other}, {name: more, backend: other}]\n`);
      server.child.kill("SIGHUP");
      const lines = await waitFor(() => {
        const found = linesOf(server).filter(
          ({ msg }) => msg === "the configuration is refused, and the one before stays in force",
        );
        expect(found).toHaveLength(i + 1);
        return found;
      });
      expect(lines[i]?.problems).toEqual([expect.stringContaining("NOAUTH")]);
      await waitFor(() => expect(door.connections).toBe(0));
      await waitFor(() => expect(calls).toBeGreaterThan(before + 20));
      for (const caller of callers) {
        expect(await caller.call("Set", set("more"))).toMatchObject({ code: "not_found" });
      }
    }
    it.write("namespaces: [{name: default}, {name: more}]\n");
    server.child.kill("SIGHUP");
    await waitFor(() =>
      expect(linesOf(server)).toContainEqual(
        expect.objectContaining({ msg: "the configuration is in force" }),
      ),
    );
    for (const caller of callers) {
      expect(await caller.call("Set", set("more"))).toEqual({ success: true });
    }
    isOver = true;
    expect((await Promise.all(lanes)).flat()).toEqual([]);
    expect(workersOf(server)).toEqual(workers);
    for (const caller of callers) {
      caller.close();
    }
  });

  test("an address that is taken is told in a line", SLOW, async () => {
    await using redis = await startRedis();
    await using it = await start(redis);
    const more = ["--config", it.file, "--listen", it.server.address];
    await expect(spawnServer(more)).rejects.toThrow(
      new RegExp(`^prism ended with 1: prism: .*EADDRINUSE.*${it.server.address}\n`),
    );
  });

  test("a store of one process is refused, with what to do", SLOW, async () => {
    await expect(spawnServer(["--memory", "--workers", "2"])).rejects.toThrow(
      'server.workers: namespace "default": a memory backend is of one process',
    );
    await using redis = await startRedis();
    await using it = await start(redis, "backends: {m: {type: memory}}\nnamespaces: [{name: default}]\n");
    const answer = await post(`${it.admin}/namespaces`, { name: "a", backend: "m" });
    expect(answer.status).toBe(400);
    expect(await answer.text()).toContain("a memory backend is of one process");
    expect((await fetch(`${it.admin}/namespaces/a`)).status).toBe(404);
  });
});
