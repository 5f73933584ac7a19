/** The metrics of a whole server, read by a reader that shares no code with the writer. */
import { once } from "node:events";
import http2 from "node:http2";
import type { DescMethod } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { PrismClient } from "../client/node.ts";
import { NamespaceService } from "../gen/prism/control/v1/namespace_pb.ts";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { ListBlockingInterface } from "../gen/prism/interfaces/list/list_blocking_pb.ts";
import { type MetricFamily, readPrometheusText } from "../tests/helpers/prometheus-text.ts";
import { startTestServer, type TestServer } from "../tests/helpers/server.ts";
import { until } from "../tests/helpers/until.ts";
import { rawCall } from "../tests/protocol/raw.ts";
import { callRequest, GET_WIRES, POST_WIRES } from "../tests/protocol/wire.ts";
import type { Config } from "./config/config.ts";
import { FAMILIES } from "./metrics/families.ts";
import { MAX_WAITING_SCRAPES } from "./metrics/scrape.ts";
import { readVersion } from "./version.ts";

const { get, set } = KeyValueBasicInterface.method;
const { scan } = KeyValueScanInterface.method;

const nameOf = ({ parent, name }: DescMethod) => `${parent.typeName}/${name}`;

async function scrape({ adminUrl }: TestServer): Promise<ReadonlyMap<string, MetricFamily>> {
  const response = await fetch(`${adminUrl}/metrics`);
  expect([response.status, response.headers.get("content-type")]).toEqual([
    200,
    "text/plain; version=0.0.4; charset=utf-8",
  ]);
  return readPrometheusText(await response.text(), "prometheus");
}

/** The value of the only sample with these labels; 0 = there is none. */
function valueIn(
  families: ReadonlyMap<string, MetricFamily>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  const family = [...families].find(([of]) => name === of || name.startsWith(`${of}_`))?.[1];
  const found = (family?.samples ?? []).filter(
    (sample) =>
      sample.name === name &&
      Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  expect(found.length).toBeLessThan(2);
  return found[0]?.value ?? 0;
}

/** The namespaces that have a label. */
function namespacesIn(families: ReadonlyMap<string, MetricFamily>): ReadonlySet<string> {
  const samples = [...families.values()].flatMap((family) => family.samples);
  return new Set(samples.flatMap(({ labels: { namespace } }) => namespace ?? []));
}

const withNamespaces =
  (names: readonly string[], maxNamespaces = 1000) =>
  (config: Config): Config => ({
    ...config,
    metrics: { enabled: true, maxNamespaces },
    namespaces: names.map((name) => ({ name, pattern: "keyvalue", backend: "database" })),
  });

describe("calls", () => {
  test("of every protocol count by namespace, method and code, with their time and their bytes", async () => {
    await using server = await startTestServer();
    const sent = { requests: 0, answers: 0 };
    for (const wire of POST_WIRES) {
      await rawCall(server, callRequest(wire, set, { key: "k", value: new Uint8Array(9) }));
      for (const key of ["k", "k", "missing"]) {
        const request = callRequest(wire, get, { namespace: "default", key });
        const { body } = await rawCall(server, request);
        sent.requests += request.body?.length ?? 0;
        sent.answers += body.length;
      }
      await rawCall(server, callRequest(wire, get, { namespace: "made-up", key: "k" }));
      await rawCall(server, {
        ...callRequest(wire, get, { key: "k" }),
        body: Buffer.from("\xff\xff", "latin1"),
      });
    }
    for (const wire of GET_WIRES) {
      const request = callRequest(wire, get, { key: "k" });
      const { body } = await rawCall(server, request);
      // The request of a GET is its path and query.
      sent.requests += request.path.length;
      sent.answers += body.length;
    }
    const families = await scrape(server);
    const [posts, gets] = [POST_WIRES.length, GET_WIRES.length];
    const calls = (method: DescMethod, namespace: string, code: string) =>
      valueIn(families, "prism_requests_total", { namespace, method: nameOf(method), code });
    expect(calls(set, "default", "OK")).toBe(posts);
    expect(calls(get, "default", "OK")).toBe(2 * posts + gets);
    expect(calls(get, "default", "NOT_FOUND")).toBe(posts);
    expect(calls(get, "", "NOT_FOUND")).toBe(posts);
    expect(calls(get, "", "INVALID_ARGUMENT")).toBe(posts);
    const failures = (reason: string) => valueIn(families, "prism_request_failures_total", { reason });
    expect([failures("key_not_found"), failures("namespace_not_found")]).toEqual([posts, posts]);

    const labels = { namespace: "default", method: nameOf(get) };
    expect(valueIn(families, "prism_request_bytes_total", labels)).toBe(sent.requests);
    expect(valueIn(families, "prism_response_bytes_total", labels)).toBe(sent.answers);
    expect(valueIn(families, "prism_request_duration_seconds_count", labels)).toBe(3 * posts + gets);
    expect(valueIn(families, "prism_request_duration_seconds_sum", labels)).toBeGreaterThan(0);
    expect(namespacesIn(families)).toEqual(new Set(["default", ""]));
  });

  test("of a stream count its messages, over the direct path and over Connect's handlers", async () => {
    await using server = await startTestServer();
    await using client = new PrismClient(server.address);
    await client.keyvalue.setMany(Array.from({ length: 500 }, (_, i) => [`k${i}`, "v"]));
    for (const wire of POST_WIRES) {
      const { messages } = await rawCall(server, callRequest(wire, scan, {}));
      expect(messages).toHaveLength(500);
    }
    const families = await scrape(server);
    const labels = { namespace: "default", method: nameOf(scan) };
    expect(valueIn(families, "prism_stream_messages_total", labels)).toBe(500 * POST_WIRES.length);
    expect(valueIn(families, "prism_response_bytes_total", labels)).toBeGreaterThan(500 * POST_WIRES.length);
  });

  test("that append events past their retention count those that nobody will see", async () => {
    await using server = await startTestServer({ adjust: withNamespaces(["a", "b", "c"], 2) });
    await using client = new PrismClient(server.address);
    const late = { payload: "late", timestampMs: 1 };
    for (const namespace of ["a", "b", "c"]) {
      const { timeseries } = client.namespace(namespace);
      await timeseries.createStream("kept", { retentionDays: 1 });
      await timeseries.append("kept", "now");
      await timeseries.append("for-ever", "late", { timestampMs: 1 });
    }
    const expired = async (namespace: string) =>
      valueIn(await scrape(server), "prism_events_expired_total", { namespace });
    expect((await scrape(server)).has("prism_events_expired_total")).toBe(false);
    await client.namespace("a").timeseries.append("kept", "late", { timestampMs: 1 });
    await client.namespace("a").timeseries.appendBatch("kept", [late, { payload: "now" }, late]);
    await client.namespace("c").timeseries.append("kept", "late", { timestampMs: 1 });
    expect(await Promise.all(["a", "b", "other"].map(expired))).toEqual([3, 0, 1]);
  });

  test("of plain routes count their bytes, also if their body is refused", async () => {
    await using server = await startTestServer();
    const { createNamespace, getNamespace } = NamespaceService.method;
    const url = `${server.adminUrl}/namespaces`;
    const post = (body: string, type = "application/json") =>
      fetch(url, { method: "POST", headers: { "content-type": type }, body });
    const bodies = ['{"name": "orders"}', '{"name": "No"}', "{"];
    const answers = await Promise.all([...bodies.map((body) => post(body)), post("unread", "text/plain")]);
    const got = [await fetch(`${url}/default?a=b`), await fetch(`${url}/default`, { method: "HEAD" })];
    const [created, read] = await Promise.all(
      [answers, got].map(async (responses) =>
        (await Promise.all(responses.map((response) => response.bytes()))).reduce(
          (sum, { length }) => sum + length,
          0,
        ),
      ),
    );
    const families = await scrape(server);
    const bytes = (name: string, namespace: string, method: DescMethod) =>
      valueIn(families, name, { namespace, method: nameOf(method) });
    expect(bytes("prism_request_bytes_total", "", createNamespace)).toBe(bodies.join("").length);
    expect(bytes("prism_response_bytes_total", "", createNamespace)).toBe(created);
    const asked = "/namespaces/default?a=b".length + "/namespaces/default".length;
    expect(bytes("prism_request_bytes_total", "default", getNamespace)).toBe(asked);
    expect(bytes("prism_response_bytes_total", "default", getNamespace)).toBe(read);
  });

  test("under way are in flight until they end", async () => {
    await using server = await startTestServer();
    await using client = new PrismClient(server.address);
    const leave = new AbortController();
    const pop = client.list.blockingPopLeft("l", { waitMs: 60_000, signal: leave.signal });
    const method = nameOf(ListBlockingInterface.method.blockingPopLeft);
    const labels = { namespace: "default", method };
    const inFlight = async () => valueIn(await scrape(server), "prism_requests_in_flight", labels);
    await until("the pop waits", async () => (await inFlight()) === 1);
    expect(valueIn(await scrape(server), "prism_backend_waiting_pops")).toBe(1);
    leave.abort();
    await expect(pop).rejects.toThrow();
    await until("the pop is over", async () => (await inFlight()) === 0);
    const over = valueIn(await scrape(server), "prism_requests_total", { ...labels, code: "CANCELLED" });
    expect(over).toBe(1);
  });
});

describe("namespaces", () => {
  test("beyond the most count together, and have room when others are dropped; so does one called other", async () => {
    await using server = await startTestServer({ adjust: withNamespaces(["a", "b", "c", "other"], 2) });
    const call = async (namespace: string) => {
      await rawCall(server, callRequest(POST_WIRES[0], get, { namespace, key: "k" }));
    };
    for (const name of ["a", "b", "c", "c", "other"]) {
      await call(name);
    }
    const before = await scrape(server);
    expect(namespacesIn(before)).toEqual(new Set(["a", "b", "other"]));
    const calls = (families: typeof before, namespace: string) =>
      valueIn(families, "prism_requests_total", { namespace });
    expect([calls(before, "a"), calls(before, "b"), calls(before, "other")]).toEqual([1, 1, 3]);
    expect(valueIn(before, "prism_namespaces")).toBe(4);

    await server.registry.drop("a");
    await call("a");
    await call("c");
    const after = await scrape(server);
    expect(namespacesIn(after)).toEqual(new Set(["", "b", "c", "other"]));
    expect([calls(after, ""), calls(after, "c")]).toEqual([1, 1]);
  });

  test("that are dropped take their series with them, and begin anew under the same name", async () => {
    await using server = await startTestServer({ adjust: withNamespaces(["default", "a"]) });
    const source = server.registry.stores[0]?.source;
    const call = (namespace: string) =>
      rawCall(server, callRequest(POST_WIRES[0], get, { namespace, key: "k" }));
    await Promise.all(["", "default", "a", "a"].map(call));
    const labels = { namespace: "default" };
    expect(valueIn(await scrape(server), "prism_requests_total", labels)).toBe(2);
    for (const name of ["default", "a"]) {
      await (await server.registry.drop(name)).ended;
    }
    expect(namespacesIn(await scrape(server))).toEqual(new Set());
    if (source === undefined) {
      throw new Error("no store");
    }
    await server.registry.add([{ name: "default", source }]);
    await call("");
    expect(valueIn(await scrape(server), "prism_requests_total", labels)).toBe(1);
  });
});

test("the calls of a store on a network count by operation, and those that failed by reason", async () => {
  await using plugin = await startTestServer();
  const database = { type: "remote", endpoint: plugin.address } as const;
  await using server = await startTestServer({
    adjust: (config) => ({ ...config, backends: { ...config.backends, database } }),
  });
  await using client = new PrismClient(server.address);
  await client.keyvalue.set("k", "v");
  await client.keyvalue.get("k");
  await client.keyvalue.get("k");
  const store = { backend: "database", type: "remote" };
  const before = await scrape(server);
  const count = (operation: string) =>
    valueIn(before, "prism_backend_call_duration_seconds_count", { ...store, operation });
  expect([count("set"), count("get"), count("pop")]).toEqual([1, 2, 0]);
  expect(before.has("prism_backend_call_failures_total")).toBe(false);
  await plugin.stop();
  await rawCall(server, callRequest(POST_WIRES[0], get, { key: "k" }));
  const failed = { ...store, operation: "get", reason: "store_unavailable" };
  expect(valueIn(await scrape(server), "prism_backend_call_failures_total", failed)).toBe(1);
});

test("a store that a reload drops takes its figures with it", async () => {
  await using plugin = await startTestServer();
  const configs: Config[] = [];
  await using server = await startTestServer({
    adjust(without) {
      const far = { type: "remote", endpoint: plugin.address } as const;
      const namespaces = (["database", "far"] as const).map((backend) => ({
        name: backend,
        pattern: "keyvalue" as const,
        backend,
      }));
      const withIt = { ...without, backends: { ...without.backends, far }, namespaces };
      configs.push(withIt, without);
      return withIt;
    },
  });
  const count = async () => {
    const labels = { backend: "far", operation: "get" };
    return valueIn(await scrape(server), "prism_backend_call_duration_seconds_count", labels);
  };
  await rawCall(server, callRequest(POST_WIRES[0], get, { namespace: "far", key: "k" }));
  expect(await count()).toBe(1);
  const [withIt, without] = configs;
  if (withIt === undefined || without === undefined) {
    throw new Error("no configuration");
  }
  await server.apply(withIt);
  expect(await count()).toBe(1);
  await server.apply(without);
  await server.apply(withIt);
  expect(await count()).toBe(0);
});

test("the process, the ports and the namespaces are told", async () => {
  await using server = await startTestServer();
  await using client = new PrismClient(server.address);
  await client.keyvalue.set("k", "v");
  const families = await scrape(server);
  expect(valueIn(families, "prism_connections", { plane: "data" })).toBe(1);
  expect(valueIn(families, "prism_connections", { plane: "admin" })).toBeGreaterThan(0);
  expect(valueIn(families, "prism_unsent_bytes", { plane: "data" })).toBe(0);
  expect(valueIn(families, "prism_receiving_bytes", { plane: "data" })).toBe(0);
  expect([valueIn(families, "prism_serving"), valueIn(families, "prism_namespaces")]).toEqual([1, 1]);
  const versions = { version: readVersion(), node: process.version };
  expect(valueIn(families, "prism_build_info", versions)).toBe(1);
  expect(valueIn(families, "process_resident_memory_bytes")).toBeGreaterThan(1e7);
  expect(valueIn(families, "process_cpu_seconds_total")).toBeGreaterThan(0);
  expect(valueIn(families, "nodejs_memory_bytes", { state: "heap_used" })).toBeGreaterThan(1e6);
  expect(valueIn(families, "nodejs_eventloop_time_seconds_total", { state: "active" })).toBeGreaterThan(0);
  expect(Math.abs(valueIn(families, "process_start_time_seconds") - Date.now() / 1e3)).toBeLessThan(1e5);
  await until("the delay of the event loop is measured", async () =>
    (await scrape(server)).has("nodejs_eventloop_delay_max_seconds"),
  );
});

test("keys, values and tokens are in no label", async () => {
  await using server = await startTestServer();
  for (const request of [
    callRequest(POST_WIRES[0], set, { key: "s3cret", value: Buffer.from("s3cret") }),
    callRequest(POST_WIRES[0], get, { namespace: "s3cret", key: "s3cret" }),
    callRequest(POST_WIRES[0], scan, { prefix: "s3cret" }),
  ]) {
    await rawCall(server, { ...request, headers: { ...request.headers, authorization: "Bearer s3cret" } });
  }
  expect(await (await fetch(`${server.adminUrl}/metrics`)).text()).not.toContain("s3cret");
});

test("OpenMetrics is told to whom asks for it, with the same samples", async () => {
  await using server = await startTestServer();
  await rawCall(server, callRequest(POST_WIRES[0], get, { key: "k" }));
  // As Prometheus 3 asks.
  const accept =
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.1";
  const response = await fetch(`${server.adminUrl}/metrics`, { headers: { accept } });
  expect(response.headers.get("content-type")).toBe(
    "application/openmetrics-text; version=1.0.0; charset=utf-8",
  );
  const open = readPrometheusText(await response.text(), "openmetrics");
  const plain = await scrape(server);
  expect(open.get("prism_requests")?.samples).toEqual(plain.get("prism_requests_total")?.samples);
  expect(open.get("prism_request_duration_seconds")?.samples).toEqual(
    plain.get("prism_request_duration_seconds")?.samples,
  );
});

test("every metric that is told is declared, and told as it is declared", async () => {
  await using server = await startTestServer();
  await rawCall(server, callRequest(POST_WIRES[0], get, { key: "k" }));
  for (const [name, { type, help, samples }] of await scrape(server)) {
    const declared = FAMILIES[name as keyof typeof FAMILIES];
    expect({ name, type, help }).toEqual({ name, type: declared?.type, help: declared?.help });
    for (const { labels } of samples) {
      const { le: _, ...own } = labels;
      expect(Object.keys(own)).toEqual([...declared.labels]);
    }
  }
});

test("where too many scrapes wait the next is told when to come again", async () => {
  const names = Array.from({ length: 100 }, (_, i) => `n${i}`);
  await using server = await startTestServer({ adjust: withNamespaces(names) });
  for (const namespace of names) {
    await rawCall(server, callRequest(POST_WIRES[0], get, { namespace, key: "k" }));
  }
  // It takes nothing of any answer.
  const session = http2.connect(server.adminUrl, { settings: { initialWindowSize: 0 } });
  await once(session, "remoteSettings");
  const ask = () => session.request({ ":path": "/metrics" }).on("error", () => {});
  const [first] = Array.from({ length: 1 + MAX_WAITING_SCRAPES }, ask);
  const [headers] = await once(ask(), "response");
  expect([headers[":status"], headers["retry-after"]]).toEqual([503, "30"]);
  expect(first?.closed).toBe(false);
  session.destroy();
  await until("they have left", async () => (await scrape(server)).size > 0);
});

test("without metrics there are none, and calls go on", async () => {
  const adjust = (config: Config): Config => ({
    ...config,
    metrics: { enabled: false, maxNamespaces: 10 },
  });
  await using server = await startTestServer({ adjust });
  const answer = await rawCall(server, callRequest(POST_WIRES[0], get, { key: "k" }));
  expect(answer.code).toBe("not_found");
  expect((await fetch(`${server.adminUrl}/metrics`)).status).toBe(404);
});

test("who asks the data port is told where they are", async () => {
  await using server = await startTestServer();
  const response = await fetch(`${server.baseUrl}/metrics`);
  expect(response.status).toBe(404);
  expect(await response.text()).toContain(`admin port, which is ${new URL(server.adminUrl).port}`);
});
