/** Traces of calls through a whole server, as a collector gets them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type DescMessage, getOption, type Message } from "@bufbuild/protobuf";
import { describe, expect, onTestFinished, test } from "vitest";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { ListBlockingInterface } from "../../gen/prism/interfaces/list/list_blocking_pb.ts";
import { waits } from "../../gen/prism/options_pb.ts";
import type { Config } from "../../server/config/config.ts";
import { SERVICES } from "../../server/services/services.ts";
import { type Collector, startCollector } from "../helpers/collector.ts";
import { startForeignPlugin } from "../helpers/foreign-plugin.ts";
import { freePort } from "../helpers/port.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { waitFor } from "../helpers/until.ts";
import { connect, rawCall } from "./raw.ts";
import { callRequest, envelope, GET_WIRES, POST_WIRES, timeout } from "./wire.ts";

const { get, set } = KeyValueBasicInterface.method;
const { scan } = KeyValueScanInterface.method;
const [JSON_HTTP1, , , , GRPC] = POST_WIRES;

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";
const SAMPLED = { traceparent: `00-${TRACE}-${SPAN}-01` };
const NOT_SAMPLED = { traceparent: `00-${TRACE}-${SPAN}-00` };

const SERVER = 2;
const CLIENT = 3;

type Tracing = Partial<Config["tracing"]>;

/** A server that sends its traces to the collector when it stops. */
async function start(
  collector: Pick<Collector, "url">,
  tracing: Tracing = {},
  adjust: (config: Config) => Config = (config) => config,
): Promise<TestServer> {
  const server = await startTestServer({
    adjust: (config) =>
      adjust({
        ...config,
        tracing: { ...config.tracing, endpoint: `${collector.url}/v1/traces`, ratio: 0, ...tracing },
      }),
  });
  onTestFinished(server.stop);
  return server;
}

function onPlugin(endpoint: string): (config: Config) => Config {
  return (config) => ({
    ...config,
    backends: { plugin: { type: "remote", endpoint } },
    namespaces: [{ name: "default", pattern: "keyvalue", backend: "plugin" }],
  });
}

test("a call that its caller traces has a span and one for the store, over every protocol", async () => {
  await using collector = await startCollector();
  const server = await start(collector);
  await rawCall(server, callRequest(GRPC, set, { key: "k" }));
  for (const wire of [...POST_WIRES, ...GET_WIRES]) {
    const answer = await rawCall(server, callRequest(wire, get, { key: "k" }, SAMPLED));
    expect(answer.code).toBe("ok");
  }
  await server.stop();
  const calls = collector.spans.filter(({ kind }) => kind === SERVER);
  expect(calls).toHaveLength(POST_WIRES.length + GET_WIRES.length);
  for (const call of calls) {
    expect(call).toMatchObject({
      traceId: TRACE,
      parentSpanId: SPAN,
      name: "prism.interfaces.keyvalue.KeyValueBasicInterface/Get",
      status: 0,
      attributes: { "rpc.method": "Get", "prism.namespace": "default" },
    });
    expect(call.endMs).toBeGreaterThanOrEqual(call.startMs);
    expect(Math.abs(call.startMs - Date.now())).toBeLessThan(10 * 60_000);
    const [store, ...more] = collector.spans.filter(({ parentSpanId }) => parentSpanId === call.spanId);
    expect(store).toMatchObject({ traceId: TRACE, name: "memory get", kind: CLIENT });
    expect(more).toEqual([]);
  }
  const grpc = calls.filter(({ attributes }) => attributes["rpc.system"] === "grpc");
  expect(grpc).toHaveLength(3);
  expect(grpc[0]?.attributes).toMatchObject({ "rpc.grpc.status_code": 0 });
  // The lines in the log lead to the trace.
  const lines = server.log.filter(({ call }) => call === "Get");
  expect(new Set(lines.map(({ trace_id }) => trace_id))).toEqual(new Set([TRACE]));
});

test("a call that its caller does not trace has none, and its line has the trace", async () => {
  await using collector = await startCollector();
  const server = await start(collector, { ratio: 1 });
  await rawCall(server, callRequest(GRPC, set, { key: "k" }, NOT_SAMPLED));
  await rawCall(server, callRequest(GRPC, get, { key: "none" }));
  await server.stop();
  expect(collector.spans.map(({ attributes }) => attributes["rpc.method"]).filter(Boolean)).toEqual(["Get"]);
  expect(server.log.filter(({ call }) => call === "Set")).toMatchObject([{ trace_id: TRACE }]);
});

test("without tracing the line still has the caller's trace", async () => {
  await using server = await startTestServer();
  await rawCall(server, callRequest(GRPC, set, { key: "k" }, SAMPLED));
  await waitFor(() => expect(server.log.filter(({ trace_id }) => trace_id === TRACE)).toHaveLength(1));
});

test("a request that cannot be read, and one that fails, tell why", async () => {
  await using collector = await startCollector();
  const server = await start(collector);
  const request = callRequest(JSON_HTTP1, set, { key: "k" }, SAMPLED);
  await rawCall(server, { ...request, body: Buffer.from("{") });
  await rawCall(server, callRequest(GRPC, set, { namespace: "nowhere", key: "k" }, SAMPLED));
  await server.stop();
  expect(collector.spans.map(({ attributes }) => attributes)).toMatchObject([
    { "rpc.connect_rpc.error_code": "invalid_argument", "error.type": "malformed_request" },
    { "rpc.grpc.status_code": 5, "error.type": "namespace_not_found", "prism.namespace": "nowhere" },
  ]);
});

test("a stream has one span for the call and one for each page", async () => {
  await using collector = await startCollector();
  const server = await start(collector);
  using connection = connect(server, 2);
  for (let i = 0; i < 1500; i++) {
    await connection.call(callRequest(GRPC, set, { key: `k${i}` }));
  }
  await connection.call(callRequest(GRPC, scan, {}, SAMPLED));
  await server.stop();
  const [call, ...pages] = collector.spans;
  expect(call).toMatchObject({ kind: SERVER, attributes: { "rpc.method": "Scan" } });
  expect(pages.length).toBeGreaterThan(1);
  for (const page of pages) {
    expect(page).toMatchObject({ name: "memory scanPage", parentSpanId: call?.spanId });
  }
});

test("a wait in a queue is a part of the store's call", async () => {
  const folder = mkdtempSync(join(tmpdir(), "prism-tracing-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  await using collector = await startCollector();
  const server = await start(collector, {}, (config) => ({
    ...config,
    backends: { database: { type: "sqlite", path: join(folder, "prism.db") } as never },
  }));
  await rawCall(server, callRequest(GRPC, set, { key: "k" }, SAMPLED));
  await server.stop();
  const [call, store, wait] = collector.spans;
  expect(store).toMatchObject({ name: "sqlite set", parentSpanId: call?.spanId });
  expect(wait).toMatchObject({ name: "wait in queue", parentSpanId: store?.spanId });
  expect(wait?.endMs).toBeLessThanOrEqual(store?.endMs ?? 0);
});

describe("a plugin", () => {
  test("goes on with the trace, under the call that the gateway made", async () => {
    await using collector = await startCollector();
    const plugin = await start(collector, { serviceName: "plugin" });
    const gateway = await start(collector, { serviceName: "gateway" }, onPlugin(plugin.address));
    await rawCall(gateway, callRequest(GRPC, set, { key: "k" }, SAMPLED));
    await rawCall(gateway, callRequest(GRPC, scan, {}, SAMPLED));
    // Nobody traces this one.
    await rawCall(gateway, callRequest(GRPC, set, { key: "k" }));
    await gateway.stop();
    await plugin.stop();
    const of = (name: string) =>
      collector.requests
        .filter(({ resource }) => resource["service.name"] === name)
        .flatMap(({ spans }) => spans);
    const made = of("gateway").filter(({ kind }) => kind === CLIENT);
    const got = of("plugin").filter(({ kind }) => kind === SERVER);
    expect(made.map(({ name }) => name)).toEqual(["remote set", "remote scanPage"]);
    expect(got.map(({ parentSpanId, traceId }) => [parentSpanId, traceId])).toEqual(
      made.map(({ spanId }) => [spanId, TRACE]),
    );
  });

  test("hears of a trace also from a gateway without tracing, and gets the tracestate", async () => {
    const heard: unknown[] = [];
    const address = await startForeignPlugin([KeyValueBasicInterface], {
      Get(call, answer) {
        heard.push([call.metadata.get("traceparent"), call.metadata.get("tracestate")]);
        answer({ value: Buffer.from("v") });
      },
    });
    await using gateway = await startTestServer({ adjust: onPlugin(address) });
    const headers = { ...NOT_SAMPLED, tracestate: "vendor=1,other=2" };
    await rawCall(gateway, callRequest(GRPC, get, { key: "k" }, headers));
    await rawCall(gateway, callRequest(GRPC, get, { key: "k" }));
    await rawCall(gateway, callRequest(GRPC, get, { key: "k" }, { traceparent: "nonsense" }));
    expect(heard).toEqual([
      [[NOT_SAMPLED.traceparent], ["vendor=1,other=2"]],
      [[], []],
      [[], []],
    ]);
  });
});

describe("at the end of a call", () => {
  test("failures have a span where they are asked for, but no missing key", async () => {
    await using collector = await startCollector();
    const server = await start(collector, { tail: { errors: true, slowerThanMs: 0 } });
    await rawCall(server, callRequest(GRPC, get, { key: "none" }));
    await rawCall(server, callRequest(GRPC, set, { key: "k" }));
    await rawCall(server, callRequest(JSON_HTTP1, set, { key: "" }));
    await server.stop();
    const [span, ...more] = collector.spans;
    expect(more).toEqual([]);
    expect(span).toMatchObject({
      parentSpanId: "",
      flags: 0x100,
      attributes: { "error.type": "invalid_field" },
    });
    const lines = server.log.filter(({ reason }) => reason === "invalid_field");
    expect(lines).toMatchObject([{ trace_id: span?.traceId }]);
  });

  test("slow ones have spans, and a line that says where the time went", async () => {
    const address = await startForeignPlugin([KeyValueBasicInterface, ListBlockingInterface], {
      Get: (_, answer) => setTimeout(() => answer({ value: Buffer.from("v") }), 100),
      BlockingPopLeft: (_, answer) => setTimeout(() => answer({ found: false }), 100),
    });
    await using collector = await startCollector();
    const server = await start(collector, { tail: { errors: false, slowerThanMs: 50 } }, (config) => ({
      ...onPlugin(address)(config),
      logging: { ...config.logging, slowCallMs: 50 },
    }));
    await rawCall(server, callRequest(GRPC, get, { key: "k" }));
    const { blockingPopLeft } = ListBlockingInterface.method;
    await rawCall(server, callRequest(GRPC, blockingPopLeft, { listKey: "l", waitMs: 1n }));
    await server.stop();
    const [call, store, ...more] = collector.spans;
    expect(more).toEqual([]);
    expect(call).toMatchObject({ attributes: { "rpc.method": "Get" } });
    expect(store).toMatchObject({ name: "remote get", parentSpanId: call?.spanId });
    const [line, ...others] = server.log.filter(({ msg }) => msg === "slow call");
    expect(others).toEqual([]);
    expect(line).toMatchObject({ call: "Get", code: "ok", trace_id: call?.traceId, queue_ms: 0 });
    expect(line?.store_ms).toBeGreaterThan(90);
    expect(line?.duration_ms).toBeGreaterThanOrEqual(Number(line?.store_ms));
  });
});

test("a collector that is away changes no call, and does not hold up the end", async () => {
  const server = await start({ url: `http://127.0.0.1:${await freePort()}` }, { ratio: 1 });
  for (let i = 0; i < 20; i++) {
    expect((await rawCall(server, callRequest(GRPC, set, { key: "k" }))).code).toBe("ok");
  }
  await server.stop();
  expect(server.log.filter(({ msg }) => msg === "spans are lost")).toMatchObject([
    { spans: 40, why: "ECONNREFUSED" },
  ]);
});

/** Nothing that begins with this may come out anywhere. */
const SECRET = "s3cret";

/** A message with the secret in every text and every value, but for the namespace. */
function secretMessage(desc: DescMessage, depth = 0): Message {
  const fields: Record<string, unknown> = {};
  for (const field of desc.fields) {
    if (field.localName === "namespace" || depth > 4) {
      continue;
    }
    const { message } = field;
    const text = `${SECRET}-${field.name}`;
    const value =
      message !== undefined
        ? secretMessage(message, depth + 1)
        : field.scalar === 9
          ? text
          : field.scalar === 12
            ? Buffer.from(text)
            : undefined;
    if (value === undefined || field.fieldKind === "map") {
      continue;
    }
    if (field.oneof !== undefined) {
      fields[field.oneof.localName] = { case: field.localName, value };
    } else {
      fields[field.localName] = field.fieldKind === "list" ? [value] : value;
    }
  }
  return create(desc, fields);
}

test("no key, no value and no token is in a span or in a line of the log", async () => {
  await using collector = await startCollector();
  const tail = { errors: true, slowerThanMs: 1 };
  const server = await start(collector, { ratio: 1, tail }, (config) => ({
    ...config,
    logging: { ...config.logging, slowCallMs: 1 },
  }));
  const headers = { authorization: `Bearer ${SECRET}`, cookie: `a=${SECRET}`, "x-api-key": SECRET };
  const trace = { ...SAMPLED, tracestate: `vendor=${SECRET}` };
  const codes: (string | undefined)[] = [];
  for (const { typeName, methods } of SERVICES) {
    for (const method of typeName.startsWith("prism.") ? methods : []) {
      for (const message of [
        secretMessage(method.input),
        secretMessage(method.input),
        create(method.input),
      ]) {
        const bound = getOption(method, waits) ? timeout(GRPC, 100) : {};
        const fields = { ...headers, ...trace, ...bound };
        const answer = await rawCall(server, callRequest(GRPC, method, message as never, fields));
        codes.push(answer.code);
      }
      // What cannot be read is not repeated either.
      const broken = {
        ...callRequest(GRPC, method, {} as never, headers),
        body: envelope(Buffer.from(`${SECRET}!`)),
      };
      codes.push((await rawCall(server, broken)).code);
    }
  }
  await server.stop();
  // Many did something with the secrets, and many did not like them.
  const ok = codes.filter((code) => code === "ok").length;
  expect(ok).toBeGreaterThan(30);
  expect(codes.length - ok).toBeGreaterThan(30);
  expect(collector.spans.filter(({ kind }) => kind === SERVER)).toHaveLength(codes.length);
  const text = JSON.stringify(server.log);
  const bytes = collector.requests.map(({ body }) => body.toString("latin1")).join("");
  for (const form of [SECRET, Buffer.from(SECRET).toString("base64").slice(0, 7)]) {
    expect(text).not.toContain(form);
    expect(bytes).not.toContain(form);
  }
});
