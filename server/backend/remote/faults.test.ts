/** A plugin that is away, dies, freezes, is cut off and comes back. */
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { freePort } from "../../../tests/helpers/port.ts";
import { spawnServer } from "../../../tests/helpers/process.ts";
import { startTestServer } from "../../../tests/helpers/server.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { bytes, CALL, NAMESPACE, present, texts } from "../conformance/harness.ts";
import { type Backend, createCall } from "../contract.ts";
import { createGuardedBackend } from "../layers/guarded.ts";
import { createRemoteBackend } from "./backend.ts";

const UNAVAILABLE = { name: "PrismError", reason: "store_unavailable" };
const WRITE = [{ key: "a", value: bytes("1"), ttlMs: 0 }];

/** Opens the room; closes it when the test is over. */
async function openRemote(endpoint: string): Promise<Backend> {
  const backend = createGuardedBackend(createRemoteBackend({ type: "remote", endpoint }));
  onTestFinished(() => backend.close());
  await backend.open();
  return backend;
}

async function startPluginOn(port: number) {
  const plugin = await startTestServer({
    adjust: (config) => ({
      ...config,
      server: { ...config.server, listen: { host: "127.0.0.1", port }, shutdownGraceMs: 0 },
    }),
  });
  onTestFinished(plugin.stop);
  return plugin;
}

const spawnPlugin = (port: number) => spawnServer(["--memory", "--listen", `127.0.0.1:${port}`]);

/** Waits for the plugin to be found; this is no promise of how soon. */
const untilServing = (backend: Backend) => waitFor(() => backend.check());

test("a plugin may start after the proxy: until then calls fail at once", async () => {
  const port = await freePort();
  const { check, entries, scans, lists } = await openRemote(`127.0.0.1:${port}`);
  const page = { prefix: "", after: undefined, maxEntries: 10, maxBytes: 10, keysOnly: true };
  // More tries than could each wait within a test.
  for (let i = 0; i < 200; i++) {
    await expect(entries?.get(NAMESPACE, ["a"], CALL)).rejects.toMatchObject(UNAVAILABLE);
    await expect(entries?.set(NAMESPACE, WRITE, CALL)).rejects.toMatchObject(UNAVAILABLE);
    await expect(scans?.scanPage(NAMESPACE, page, CALL)).rejects.toMatchObject(UNAVAILABLE);
    await expect(lists?.length(NAMESPACE, ["a"], CALL)).rejects.toMatchObject(UNAVAILABLE);
    await expect(check()).rejects.toMatchObject(UNAVAILABLE);
  }
  await startPluginOn(port);
  await waitFor(() => check());
  await entries?.set(NAMESPACE, WRITE, CALL);
  expect(texts((await entries?.get(NAMESPACE, ["a"], CALL)) ?? [])).toEqual(["1"]);
});

test("a plugin that is killed under load and comes back: every call ends, with a reason, and service resumes", async () => {
  const port = await freePort();
  const plugin = await spawnPlugin(port);
  await using _first = plugin;
  const backend = await openRemote(`127.0.0.1:${port}`);
  await untilServing(backend);
  const entries = present(backend.entries);
  const reasons = new Map<string, number>();
  let running = true;
  const lane = async (id: number) => {
    while (running) {
      const call = id % 2 === 0 ? entries.set(NAMESPACE, WRITE, CALL) : entries.get(NAMESPACE, ["a"], CALL);
      const reason = await call.then(
        () => "ok",
        (error) => `${id % 2 === 0 ? "set" : "get"} ${error.reason}`,
      );
      reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
      if (reason !== "ok") {
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  };
  const lanes = Promise.all(Array.from({ length: 64 }, (_, id) => lane(id)));
  await waitFor(() => expect(reasons.get("ok")).toBeGreaterThan(2000));
  plugin.child.kill("SIGKILL");
  await waitFor(() => expect(reasons.get("set store_unavailable")).toBeGreaterThan(0));
  await using _second = await spawnPlugin(port);
  const before = reasons.get("ok") ?? 0;
  await waitFor(() => expect(reasons.get("ok")).toBeGreaterThan(before + 1000));
  running = false;
  await lanes;
  // Calls under way: a write's outcome is unknown, a read may be repeated.
  expect([...reasons.keys()].sort()).toEqual([
    "get store_unavailable",
    "ok",
    "set outcome_unknown",
    "set store_unavailable",
  ]);
});

test("a frozen plugin: calls end at their deadlines, and it goes on where it was", async () => {
  const port = await freePort();
  await using plugin = await spawnPlugin(port);
  const backend = await openRemote(`127.0.0.1:${port}`);
  await untilServing(backend);
  const entries = present(backend.entries);
  await entries.set(NAMESPACE, WRITE, CALL);
  plugin.child.kill("SIGSTOP");
  try {
    const call = { ...createCall(), aborted: false, deadlineMs: performance.now() + 50 };
    await expect(entries.get(NAMESPACE, ["a"], call)).rejects.toMatchObject({ reason: "deadline_exceeded" });
    const leaving = new AbortController();
    const left = entries.get(NAMESPACE, ["a"], createCall(leaving.signal));
    leaving.abort();
    await expect(left).rejects.toMatchObject({ reason: "canceled" });
  } finally {
    plugin.child.kill("SIGCONT");
  }
  expect(texts(await entries.get(NAMESPACE, ["a"], CALL))).toEqual(["1"]);
});

describe("a connection that is cut", () => {
  test("before the answer came: a write's outcome is unknown, a read may be made again", async () => {
    const plugin = await startPluginOn(0);
    const wire = await openWire(plugin.address);
    const backend = await openRemote(wire.address);
    const { entries, lists } = backend;
    await entries?.set(NAMESPACE, [{ key: "b", value: bytes("1"), ttlMs: 0 }], CALL);
    const calls: [() => Promise<unknown> | undefined, string][] = [
      [() => entries?.set(NAMESPACE, WRITE, CALL), "outcome_unknown"],
      [() => entries?.delete(NAMESPACE, ["b"], CALL), "outcome_unknown"],
      [() => lists?.push(NAMESPACE, [{ key: "a", end: "left", value: bytes("1") }], CALL), "outcome_unknown"],
      [() => lists?.pop(NAMESPACE, [{ key: "a", end: "left" }], CALL), "outcome_unknown"],
      [() => entries?.get(NAMESPACE, ["a"], CALL), "store_unavailable"],
      [() => backend.scans?.count(NAMESPACE, "", CALL), "store_unavailable"],
    ];
    for (const [call, reason] of calls) {
      wire.deaf = true;
      const served = plugin.log.length;
      const outcome = expect(call()).rejects.toMatchObject({ reason });
      await waitFor(() => expect(plugin.log.length).toBeGreaterThan(served));
      wire.cut();
      await outcome;
      wire.deaf = false;
      await untilServing(backend);
    }
    // The write was made.
    expect(texts((await entries?.get(NAMESPACE, ["a"], CALL)) ?? [])).toEqual(["1"]);
  });
});

/** A proxy to the plugin that can be cut. While it is `deaf` nothing comes back. */
async function openWire(to: string) {
  const sockets = new Set<net.Socket>();
  const state = { deaf: false };
  const server = net.createServer((near) => {
    const far = net.connect(Number(to.split(":")[1]), "127.0.0.1");
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far);
    far.on("data", (chunk) => {
      if (!state.deaf) {
        near.write(chunk);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const cut = () => {
    for (const socket of sockets) {
      socket.destroy();
    }
  };
  onTestFinished(() => {
    cut();
    server.close();
  });
  return Object.assign(state, { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, cut });
}
