/** Through a whole proxy to a plugin: Prism itself, or one that shares only the schema with it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { Code, createClient } from "@connectrpc/connect";
import { describe, expect, onTestFinished, test } from "vitest";
import { PrismClient } from "../../../client/node.ts";
import { createGrpcTransport } from "../../../client/transport/transport.ts";
import { KeyValueBasicInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueBatchInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { KeyValueRangeInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_range_pb.ts";
import {
  KeyResponseSchema,
  KeyValueScanInterface,
  ScanResponseSchema,
} from "../../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { ListBasicInterface } from "../../../gen/prism/interfaces/list/list_basic_pb.ts";
import { TimeSeriesService } from "../../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { CERT, KEY } from "../../../tests/helpers/certificate.ts";
import { startForeignPlugin } from "../../../tests/helpers/foreign-plugin.ts";
import { startTestServer, type TestServer } from "../../../tests/helpers/server.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import type { Config } from "../../config/config.ts";
import { bytes, CALL, NAMESPACE, present, texts } from "../conformance/harness.ts";
import { createCall } from "../contract.ts";
import { createRemoteBackend } from "./backend.ts";
import { MAX_WAITING_SCANS } from "./scans.ts";

const ENTRIES = 5000;

async function start(adjust: (config: Config) => Config = (config) => config): Promise<TestServer> {
  const server = await startTestServer({
    adjust: (config) => adjust({ ...config, server: { ...config.server, shutdownGraceMs: 0 } }),
  });
  onTestFinished(server.stop);
  return server;
}

/** A proxy whose namespaces "default" and "other" are on the plugin, and its client. */
async function startProxy(endpoint: string) {
  const proxy = await start((config) => ({
    ...config,
    backends: { plugin: { type: "remote", endpoint } },
    namespaces: ["default", "other"].map((name) => ({ name, pattern: "keyvalue", backend: "plugin" })),
  }));
  const client = new PrismClient(proxy.address);
  onTestFinished(() => client.close());
  return { proxy, client };
}

async function openRoom(options: Omit<Parameters<typeof createRemoteBackend>[0], "type">) {
  const backend = createRemoteBackend({ type: "remote", ...options });
  onTestFinished(() => backend.close());
  await backend.open();
  return backend;
}

/**
 * Many pages of 1,024 entries and ten thousand bytes; the plugin sends as much as the window holds.
 */
async function fill(plugin: TestServer): Promise<string[]> {
  const { entries } = await openRoom({ endpoint: plugin.address });
  const keys = Array.from({ length: ENTRIES }, (_, i) => `k${String(i).padStart(5, "0")}`);
  await entries?.set(
    NAMESPACE,
    keys.map((key) => ({ key, value: bytes(key.repeat(20)), ttlMs: 0 })),
    CALL,
  );
  return keys;
}

/** The scans that have ended. */
const scansOf = ({ log }: TestServer) =>
  log.filter(({ call }) => ["Scan", "ScanKeys", "ReadRange", "ReadKeys"].includes(String(call))).length;

describe("errors", () => {
  test("the plugin's reason, message and field are the caller's", async () => {
    const plugin = await start((config) => ({ ...config, limits: { ...config.limits, maxValueBytes: 10 } }));
    const { client } = await startProxy(plugin.address);
    await expect(client.keyvalue.set("a", "12345678901")).rejects.toMatchObject({
      reason: "value_too_large",
      code: Code.ResourceExhausted,
      message: "value has 11 bytes; the limit is 10",
      retryable: false,
    });
    await expect(client.keyvalue.get("a")).rejects.toMatchObject({ reason: "key_not_found" });
    await expect(client.keyvalue.get("a", { namespace: "other" })).rejects.toMatchObject({
      reason: "namespace_not_found",
    });
  });

  test("the gateway passes on a foreign plugin's code, and not its words", async () => {
    const code = { value: 0 };
    const endpoint = await startForeignPlugin([KeyValueBasicInterface], {
      Get: (_call, _answer, fail) => fail(code.value),
      Set: (_call, _answer, fail) => fail(code.value),
      Exists: (_call, answer) => answer({ exists: false }),
    });
    const { proxy, client } = await startProxy(endpoint);
    const expected: [number, string, string][] = [
      [Code.NotFound, "key_not_found", "key_not_found"],
      [Code.InvalidArgument, "invalid_field", "invalid_field"],
      [Code.ResourceExhausted, "store_full", "store_full"],
      [Code.Unavailable, "store_unavailable", "outcome_unknown"],
      [Code.Aborted, "store_unavailable", "outcome_unknown"],
      [Code.Canceled, "store_unavailable", "outcome_unknown"],
      [Code.DataLoss, "corrupt_data", "corrupt_data"],
      [Code.Unauthenticated, "internal", "internal"],
      [Code.Unknown, "internal", "internal"],
      [Code.Unimplemented, "interface_unsupported", "interface_unsupported"],
    ];
    for (const [sent, read, write] of expected) {
      code.value = sent;
      const errors = await Promise.all([
        client.keyvalue.get("a").catch((error) => error),
        client.keyvalue.set("a", "1").catch((error) => error),
      ]);
      expect(errors.map(({ reason }) => reason)).toEqual([read, write]);
      expect(errors.map(({ message }) => message).join()).not.toMatch(/secret/);
    }
    // The operator reads it.
    expect(JSON.stringify(proxy.log)).toContain("secret.go");
  });
});

test("a write that the plugin answers, and says it did not make, fails", async () => {
  const endpoint = await startForeignPlugin([KeyValueBasicInterface, ListBasicInterface], {
    Exists: (_call, answer) => answer({ exists: true }),
    Length: (_call, answer) => answer({ length: 0n }),
    Set: (_call, answer) => answer({ success: false }),
    PushLeft: (_call, answer) => answer({ newLength: 0n }),
    PushRight: (_call, answer) => answer({ newLength: -1n }),
    Delete: (_call, answer) => answer({ found: false }),
    PopLeft: (_call, answer) => answer({ found: false, value: bytes("not there") }),
  });
  const { proxy, client } = await startProxy(endpoint);
  const failure = {
    reason: "internal",
    retryable: false,
    message: expect.stringContaining("the plugin failed"),
  };
  await expect(client.keyvalue.set("a", "1")).rejects.toMatchObject(failure);
  await expect(client.list.pushLeft("a", "1")).rejects.toMatchObject(failure);
  await expect(client.list.pushRight("a", "1")).rejects.toMatchObject(failure);
  expect(JSON.stringify(proxy.log)).toContain("success: false");
  // These are successful answers.
  expect(await client.keyvalue.delete("a")).toBe(false);
  expect(await client.list.popLeft("a")).toBeUndefined();
});

describe("interfaces", () => {
  test("a foreign plugin without reflection is probed; what it lacks is refused by name, and not asked for", async () => {
    const asked: string[] = [];
    const endpoint = await startForeignPlugin([KeyValueBasicInterface], {
      Exists: (call, answer) => {
        asked.push(call.request.$typeName);
        answer({ exists: true });
      },
    });
    const { client } = await startProxy(endpoint);
    expect(asked).toHaveLength(1);
    expect(await client.keyvalue.exists("a")).toBe(true);
    await expect(client.list.length("a")).rejects.toMatchObject({
      reason: "interface_unsupported",
      message: 'namespace "default" is on a remote backend, whose plugin has no list interface',
    });
    await expect(client.keyvalue.count()).rejects.toMatchObject({ reason: "interface_unsupported" });
    await expect(Array.fromAsync(client.keyvalue.scan(""))).rejects.toMatchObject({
      reason: "interface_unsupported",
    });
  });

  test("a plugin without ranges: prefixes are read, in ascending order and on from a token; the rest is refused", async () => {
    const keys = ["a", "b/1", "b/2", "c"];
    const endpoint = await startForeignPlugin([KeyValueScanInterface], {
      Count: (_call, answer) => answer({ count: 0n }),
      ScanKeys: (call) => {
        const found = keys.filter((key) => key.startsWith(String(Reflect.get(call.request, "prefix"))));
        for (const key of found) {
          call.write(create(KeyResponseSchema, { key }));
        }
        call.end();
      },
    });
    const { proxy } = await startProxy(endpoint);
    const transport = createGrpcTransport({ baseUrl: proxy.baseUrl });
    onTestFinished(() => transport.close());
    const { readKeys } = createClient(KeyValueRangeInterface, transport);
    const [first] = await Array.fromAsync(readKeys({ delimiter: "/", limit: 1 }));
    const pageToken = first?.pageToken ?? expect.fail();
    const rest = await Array.fromAsync(readKeys({ delimiter: "/", pageToken }));
    expect(rest.map(({ key, commonPrefix }) => key + commonPrefix)).toEqual(["b/", "c"]);
    for (const range of [{ reverse: true }, { start: "a" }, { end: "z" }]) {
      await expect(Array.fromAsync(readKeys(range))).rejects.toMatchObject({
        code: Code.Unimplemented,
        message: expect.stringContaining("no prism.interfaces.keyvalue.KeyValueRangeInterface"),
      });
    }
  });

  test("one without a health service is well as long as it answers", async () => {
    const endpoint = await startForeignPlugin([ListBasicInterface], {
      Length: (_call, answer) => answer({ length: 0n }),
    });
    const { proxy } = await startProxy(endpoint);
    const health = await fetch(`${proxy.adminUrl}/health`);
    expect(await health.json()).toMatchObject({
      status: "serving",
      namespaces: { default: { backend: "remote", status: "serving" } },
    });
  });
});

describe("batches", () => {
  const value = bytes("1");
  const writes = ["a", "b", "a"].map((key) => ({ key, value, ttlMs: 0 }));
  const callsOf = ({ log }: TestServer, name: string) => log.filter(({ call }) => call === name).length;

  test("several items are one call of a plugin that has batches, one item is as ever", async () => {
    const plugin = await start();
    const entries = present((await openRoom({ endpoint: plugin.address })).entries);
    await entries.set(NAMESPACE, writes, CALL);
    await entries.set(NAMESPACE, writes.slice(0, 1), CALL);
    expect(texts(await entries.get(NAMESPACE, ["a", "none", "b"], CALL))).toEqual(["1", undefined, "1"]);
    expect(await entries.delete(NAMESPACE, ["a", "a", "none"], CALL)).toEqual([true, false, false]);
    const each = { ...createCall(), each: true };
    await entries.set(NAMESPACE, writes, each);
    await waitFor(() => expect(callsOf(plugin, "Set")).toBe(4));
    const counts = ["BatchSet", "BatchGet", "BatchDelete", "Get", "Delete"].map((name) =>
      callsOf(plugin, name),
    );
    expect(counts).toEqual([1, 1, 1, 0, 0]);
  });

  test("more than a batch may have are several, and values too large for one answer come one by one", async () => {
    const plugin = await start((config) => ({ ...config, limits: { ...config.limits, maxValueBytes: 10 } }));
    const entries = present((await openRoom({ endpoint: plugin.address })).entries);
    const keys = Array.from({ length: 1001 }, (_, i) => `k${i}`);
    const large = bytes("123456");
    await entries.set(
      NAMESPACE,
      keys.map((key) => ({ key, value: large, ttlMs: 0 })),
      CALL,
    );
    expect(texts(await entries.get(NAMESPACE, ["k0", "k1000"], CALL))).toEqual(["123456", "123456"]);
    await waitFor(() => expect(callsOf(plugin, "Get")).toBe(2));
    expect([callsOf(plugin, "BatchSet"), callsOf(plugin, "Set")]).toEqual([1, 1]);
  });

  test("a batch that the plugin refuses is refused for each item", async () => {
    const plugin = await start((config) => ({ ...config, limits: { ...config.limits, maxValueBytes: 10 } }));
    const entries = present((await openRoom({ endpoint: plugin.address })).entries);
    const answers = await entries.set(
      NAMESPACE,
      [...writes, { key: "c", value: bytes("12345678901"), ttlMs: 0 }],
      CALL,
    );
    expect(answers).toHaveLength(4);
    const refusal = { reason: "value_too_large", field: "items[3].value" };
    expect(answers).toEqual(answers?.map(() => expect.objectContaining(refusal)));
    expect(await entries.exists(NAMESPACE, ["a"], CALL)).toEqual([false]);
  });

  test("an item that a foreign plugin refuses has its reason; a wrong number of answers is a failure", async () => {
    const answer = { results: 2 };
    const endpoint = await startForeignPlugin([KeyValueBasicInterface, KeyValueBatchInterface], {
      Exists: (_call, reply) => reply({ exists: false }),
      BatchGet: (_call, reply) => reply({ results: [{}] }),
      BatchSet: (_call, reply) => {
        const error = { reason: 10, message: "full", fieldViolations: [{ field: "items[1].value" }] };
        reply({ results: [{}, { error }].slice(0, answer.results) });
      },
    });
    const entries = present((await openRoom({ endpoint })).entries);
    const two = writes.slice(0, 2);
    expect(await entries.set(NAMESPACE, two, CALL)).toEqual([
      undefined,
      expect.objectContaining({ reason: "store_full", message: "full", field: "value" }),
    ]);
    answer.results = 1;
    const failed = expect.objectContaining({ reason: "internal" });
    expect(await entries.set(NAMESPACE, two, CALL)).toEqual([failed, failed]);
  });
});

describe("deadlines and cancellation", () => {
  test("the plugin gets the rest of the caller's time, and hears when the caller leaves", async () => {
    const deadlines: number[] = [];
    const canceled: string[] = [];
    const endpoint = await startForeignPlugin([KeyValueBasicInterface], {
      Exists: (_call, answer) => answer({ exists: true }),
      Get: (call) => {
        deadlines.push(Number(call.getDeadline()) - Date.now());
        call.on("cancelled", () => canceled.push("Get"));
      },
    });
    const { client } = await startProxy(endpoint);
    // On a busy machine the deadline of one may be over before it comes to the plugin.
    while (deadlines.length === 0) {
      await expect(client.keyvalue.get("a", { timeoutMs: 100 })).rejects.toMatchObject({
        reason: "deadline_exceeded",
      });
    }
    expect(deadlines).toHaveLength(1);
    expect(deadlines[0]).toBeGreaterThan(0);
    expect(deadlines[0]).toBeLessThanOrEqual(100);
    await waitFor(() => expect(canceled).toHaveLength(1));
    const leaving = new AbortController();
    const left = client.keyvalue.get("a", { signal: leaving.signal });
    await waitFor(() => expect(deadlines).toHaveLength(2));
    leaving.abort();
    await expect(left).rejects.toMatchObject({ reason: "canceled" });
    await waitFor(() => expect(canceled).toHaveLength(2));
  });
});

describe("pops that wait", () => {
  test("they wait at the plugin, and hold up no other call", async () => {
    const plugin = await start();
    const { client } = await startProxy(plugin.address);
    const leaving = new AbortController();
    const left = client.list.blockingPopLeft("a", { signal: leaving.signal });
    const waits = Array.from({ length: 300 }, () => client.list.blockingPopRight("a"));
    expect(await client.list.blockingPopRight("b", { waitMs: 1 })).toBeUndefined();
    leaving.abort();
    await expect(left).rejects.toMatchObject({ reason: "canceled" });
    for (let i = 0; i < waits.length; i++) {
      await client.list.pushLeft("a", "value");
    }
    expect(texts(await Promise.all(waits))).toEqual(waits.map(() => "value"));
    expect(await client.list.length("a")).toBe(0);
  });

  test("a plugin without the interface is said to lack it", async () => {
    const { client } = await startProxy(
      await startForeignPlugin([ListBasicInterface], { Length: (_, answer) => answer({}) }),
    );
    await expect(client.list.blockingPopLeft("a")).rejects.toMatchObject({
      reason: "interface_unsupported",
      message: 'namespace "default" is on a remote backend, whose plugin has no list blocking interface',
    });
  });
});

describe("streams of events", () => {
  const texts = (events: readonly { readonly payload: Uint8Array }[]) =>
    events.map((event) => Buffer.from(event.payload).toString());
  const eventsOf = (...values: readonly string[]) =>
    values.map((text) => ({ timestampMillis: 5n, payload: bytes(text), tags: { of: text } }));

  async function startStreams() {
    const plugin = await start();
    const { proxy } = await startProxy(plugin.address);
    const series = createClient(TimeSeriesService, createGrpcTransport({ baseUrl: proxy.baseUrl }));
    return { plugin, proxy, series };
  }

  test("a query of many pages is one line of cursors, also of events of one time; another call goes on", async () => {
    const { series } = await startStreams();
    const all = Array.from({ length: 5000 }, (_, i) => String(i));
    for (let i = 0; i < all.length; i += 1000) {
      await series.appendBatch({ stream: "s", events: eventsOf(...all.slice(i, i + 1000)) });
    }
    const pages = await Array.fromAsync(series.query({ stream: "s" }));
    expect(texts(pages.flatMap(({ events }) => events))).toEqual(all);
    const cursor = present(pages[2]?.nextCursor);
    const rest = await Array.fromAsync(series.query({ stream: "s", cursor, limit: 1500 }));
    expect(texts(rest.flatMap(({ events }) => events))).toEqual(all.slice(3072, 4572));
  });

  test("a tail has the events that are there, and those that come; a deleted stream ends it", async () => {
    const { series } = await startStreams();
    await series.appendBatch({ stream: "s", events: eventsOf("0", "1", "2") });
    const tail = series.tail({ stream: "s", fromOffset: 1n })[Symbol.asyncIterator]();
    const next = async () => present((await tail.next()).value?.event);
    expect(texts([await next(), await next()])).toEqual(["1", "2"]);
    for (const text of ["3", "4"]) {
      const coming = next();
      await series.append({ stream: "s", event: present(eventsOf(text)[0]) });
      expect(texts([await coming])).toEqual([text]);
    }
    const ended = expect(tail.next()).rejects.toMatchObject({ code: Code.NotFound });
    await series.deleteStream({ stream: "s" });
    await ended;
  });

  test("a tail that its reader leaves ends at the plugin", async () => {
    const { plugin, series } = await startStreams();
    await series.append({ stream: "s", event: { payload: bytes("0") } });
    const leaving = new AbortController();
    const tail = series.tail({ stream: "s" }, { signal: leaving.signal })[Symbol.asyncIterator]();
    await tail.next();
    leaving.abort();
    await waitFor(() =>
      expect(plugin.log.find(({ call }) => call === "Tail")).toMatchObject({ code: "canceled" }),
    );
    await expect(tail.next()).rejects.toMatchObject({ code: Code.Canceled });
  });

  test("a plugin that goes away ends the tails, and its streams are UNAVAILABLE at once", async () => {
    const { plugin, series } = await startStreams();
    await series.append({ stream: "s", event: { payload: bytes("0") } });
    const tail = series.tail({ stream: "s" })[Symbol.asyncIterator]();
    await tail.next();
    const ended = expect(tail.next()).rejects.toMatchObject({ code: Code.Unavailable });
    await plugin.stop();
    await ended;
    await expect(series.append({ stream: "s", event: {} })).rejects.toMatchObject({ code: Code.Unavailable });
  });
});

describe("scans", () => {
  test("a scan of many pages is one scan at the plugin, and a limit is kept", async () => {
    const plugin = await start();
    const keys = await fill(plugin);
    const { client } = await startProxy(plugin.address);
    expect((await Array.fromAsync(client.keyvalue.scan(""))).map(([key]) => key)).toEqual(keys);
    expect(await Array.fromAsync(client.keyvalue.scanKeys(""))).toEqual(keys);
    await waitFor(() => expect(scansOf(plugin)).toBe(2));
    for (const limit of [1, 1024, 1025, 3000]) {
      expect(await Array.fromAsync(client.keyvalue.scanKeys("", { limit }))).toEqual(keys.slice(0, limit));
    }
  });

  test("a scan whose place was taken goes on where it was", async () => {
    const plugin = await start();
    const keys = await fill(plugin);
    const { scans } = await openRoom({ endpoint: plugin.address });
    const store = present(scans);
    const first = { prefix: "", after: undefined, maxEntries: 1024, maxBytes: 1e9, keysOnly: true };
    const calls = Array.from({ length: MAX_WAITING_SCANS + 1 }, () => createCall());
    const pages = await Promise.all(calls.map((call) => store.scanPage(NAMESPACE, first, call)));
    const read = async (i: number) => {
      const found = pages[i]?.keys ?? [];
      for (let after = pages[i]?.next; after !== undefined; ) {
        const page = await store.scanPage(NAMESPACE, { ...first, after }, calls[i] ?? CALL);
        found.push(...page.keys);
        after = page.next;
      }
      return found;
    };
    expect(await read(0)).toEqual(keys);
    expect(await read(MAX_WAITING_SCANS)).toEqual(keys);
    // The first one's place was taken by the last, so that it was begun anew. The last went on.
    await waitFor(() => expect(scansOf(plugin)).toBe(calls.length + 1));
  });

  test("scans that wait for their readers hold up neither each other nor other calls", async () => {
    const plugin = await start();
    const { entries, scans } = await openRoom({ endpoint: plugin.address });
    const value = new Uint8Array(10_000);
    const keys = Array.from({ length: 200 }, (_, i) => `k${String(i).padStart(5, "0")}`);
    await entries?.set(
      NAMESPACE,
      keys.map((key) => ({ key, value, ttlMs: 0 })),
      CALL,
    );
    const store = present(scans);
    const first = { prefix: "", after: undefined, maxEntries: 1024, maxBytes: 1, keysOnly: false };
    const calls = Array.from({ length: 100 }, () => createCall());
    for (const call of calls) {
      const page = await store.scanPage(NAMESPACE, first, call);
      expect(page.keys).toEqual(keys.slice(0, page.keys.length));
      expect(await entries?.exists(NAMESPACE, ["k00000"], CALL)).toEqual([true]);
    }
    // None of them was started again.
    expect(scansOf(plugin)).toBe(0);
  });

  test("a slow reader slows the plugin down", async () => {
    let written = 0;
    let ended = false;
    const value = new Uint8Array(10_000);
    const endpoint = await startForeignPlugin([KeyValueScanInterface], {
      Count: (_call, answer) => answer({ count: 0n }),
      Scan: async (call) => {
        const gone = new Promise<void>((resolve) => call.once("cancelled", resolve));
        void gone.then(() => {
          ended = true;
        });
        for (let i = 0; !call.cancelled; i++) {
          written++;
          const key = `k${String(i).padStart(9, "0")}`;
          if (!call.write(create(ScanResponseSchema, { key, value }))) {
            await Promise.race([new Promise<void>((resolve) => call.once("drain", resolve)), gone]);
          }
        }
      },
    });
    const { proxy } = await startProxy(endpoint);
    const transport = createGrpcTransport({ baseUrl: proxy.baseUrl });
    onTestFinished(() => transport.close());
    const leaving = new AbortController();
    const scan = createClient(KeyValueScanInterface, transport).scan({}, { signal: leaving.signal });
    const reader = scan[Symbol.asyncIterator]();
    await reader.next();
    let before = -1;
    await waitFor(() => {
      const stopped = written === before;
      before = written;
      expect(stopped).toBe(true);
    }, 100);
    // Windows and buffers on the two ways and one page, and not more, of a scan without an end.
    expect(written * value.length).toBeLessThan(16 * 1024 * 1024);
    for (let i = 0; i < 5000; i++) {
      await reader.next();
    }
    expect(written).toBeGreaterThan(5000);
    leaving.abort();
    await waitFor(() => expect(ended).toBe(true));
  });
});

describe("options", () => {
  test("namespace: the plugin's own name for it", async () => {
    const plugin = await start((config) => ({
      ...config,
      namespaces: [{ name: "theirs", pattern: "keyvalue", backend: "database" }],
    }));
    const { entries } = await openRoom({ endpoint: plugin.address, namespace: "theirs" });
    await entries?.set("ours", [{ key: "a", value: bytes("1"), ttlMs: 0 }], CALL);
    const client = new PrismClient(plugin.address, { namespace: "theirs" });
    onTestFinished(() => client.close());
    expect(await client.keyvalue.exists("a")).toBe(true);
  });

  test("tls: the plugin's certificate is checked", async () => {
    const folder = mkdtempSync(join(tmpdir(), "prism-plugin-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
    writeFileSync(certFile, CERT);
    writeFileSync(keyFile, KEY);
    const plugin = await start((config) => ({
      ...config,
      server: { ...config.server, tls: { certFile, keyFile, clientCaFile: undefined } },
    }));
    const trusting = await openRoom({ endpoint: plugin.address, tls: { ca: certFile } });
    await trusting.check();
    const wary = await openRoom({ endpoint: `https://${plugin.address}` });
    await expect(wary.check()).rejects.toMatchObject({ reason: "store_unavailable" });
    const lost = createRemoteBackend({ type: "remote", endpoint: "a:1", tls: { ca: join(folder, "none") } });
    await expect(lost.open()).rejects.toMatchObject({ reason: "store_unavailable" });
  });

  test("a time to live is rounded up to the wire's whole seconds", async () => {
    const asked: unknown[] = [];
    const endpoint = await startForeignPlugin([KeyValueBasicInterface], {
      Exists: (_call, answer) => answer({ exists: true }),
      Set: (call, answer) => {
        asked.push((call.request as { ttlSeconds?: bigint }).ttlSeconds);
        answer({ success: true });
      },
    });
    const { entries } = await openRoom({ endpoint });
    for (const ttlMs of [0, 1, 1000, 1001]) {
      await entries?.set(NAMESPACE, [{ key: "a", value: bytes(""), ttlMs }], CALL);
    }
    expect(asked).toEqual([0n, 1n, 1n, 2n]);
  });
});
