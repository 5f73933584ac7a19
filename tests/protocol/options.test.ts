/** Options of services and methods in options.proto: each shown where it takes effect. */
import { create, fromBinary, getExtension, setExtension } from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  MethodOptions_IdempotencyLevel as Level,
  MethodOptionsSchema,
} from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { PrismClient } from "../../client/node.ts";
import { createGrpcTransport } from "../../client/transport/transport.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import {
  GetRequestSchema,
  GetResponseSchema,
} from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueService } from "../../gen/prism/keyvalue/v1/keyvalue_pb.ts";
import { cacheable, rpc_cache_ttl_seconds, timeout_ms, version } from "../../gen/prism/options_pb.ts";
import type { Call } from "../../server/backend/contract.ts";
import { implement } from "../../server/calls/implement.ts";
import { PrismError } from "../../server/errors.ts";
import { describeService, startPlane } from "../helpers/plane.ts";
import { startTestServer } from "../helpers/server.ts";
import { startTcpProxy } from "../helpers/tcp-proxy.ts";
import { type RawAnswer, rawCall } from "./raw.ts";
import { callRequest, GET_WIRES, POST_WIRES, type Wire } from "./wire.ts";

test("version: clients read it over reflection, of every service of Prism", async () => {
  await using server = await startTestServer();
  const transport = createGrpcTransport({ baseUrl: server.baseUrl });
  const reflection = createClient(ServerReflection, transport);
  async function ask(messageRequest: { case: "listServices" | "fileContainingSymbol"; value: string }) {
    for await (const { messageResponse } of reflection.serverReflectionInfo(once({ messageRequest }))) {
      return messageResponse;
    }
    throw new Error("no answer");
  }
  const list = await ask({ case: "listServices", value: "" });
  const names = list.case === "listServicesResponse" ? list.value.service.map(({ name }) => name) : [];
  const own = names.filter((name) => name.startsWith("prism."));
  expect(own.length).toBeGreaterThan(10);
  for (const name of own) {
    const answer = await ask({ case: "fileContainingSymbol", value: name });
    const files = answer.case === "fileDescriptorResponse" ? answer.value.fileDescriptorProto : [];
    const service = files
      .map((file) => fromBinary(FileDescriptorProtoSchema, file))
      .flatMap((file) => file.service.map((each) => [`${file.package}.${each.name}`, each.options] as const))
      .find(([typeName]) => typeName === name);
    expect(service?.[1] && getExtension(service[1], version)).toMatch(/^v\d+$/);
  }
  transport.close();
});

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}

test("idempotent: a client may make the call again when it does not know the outcome", async () => {
  await using server = await startTestServer();
  await using proxy = await startTcpProxy(Number(new URL(server.baseUrl).port));
  await using client = new PrismClient(`127.0.0.1:${proxy.port}`, { retries: 0 });
  await client.list.pushLeft("l", "1");
  const calls = [
    [() => client.keyvalue.set("k", "v"), true],
    [() => client.keyvalue.get("k"), true],
    [() => client.list.popLeft("l"), false],
    [() => client.keyvalue.increment("n"), false],
  ] as const;
  for (const [call, retryable] of calls) {
    // The gateway has done its work by then.
    proxy.cutAnswers();
    await expect(call()).rejects.toMatchObject({ code: 14, retryable });
    // Makes the next connection.
    await client.keyvalue.exists("k");
  }
});

function optionsOf(
  extensions: { timeoutMs?: number; cacheable?: boolean; ttlSeconds?: number },
  level = Level.NO_SIDE_EFFECTS,
) {
  const options = create(MethodOptionsSchema, { idempotencyLevel: level });
  setExtension(options, timeout_ms, extensions.timeoutMs ?? 0);
  setExtension(options, cacheable, extensions.cacheable ?? false);
  setExtension(options, rpc_cache_ttl_seconds, extensions.ttlSeconds ?? 0);
  return options;
}

const service = describeService(GetRequestSchema, GetResponseSchema, [
  { name: "Plain", options: optionsOf({ ttlSeconds: 60 }) },
  { name: "Kept", options: optionsOf({ cacheable: true, ttlSeconds: 60 }) },
  { name: "KeptSomehow", options: optionsOf({ cacheable: true }) },
  { name: "Bounded", options: optionsOf({ timeoutMs: 50 }) },
]);

/** Answers the key as the value; an empty key fails. */
async function echo({ key }: { readonly key: string }) {
  if (key === "") {
    throw new PrismError("invalid_field", "key must not be empty", { field: "key" });
  }
  return { value: Buffer.from(key) };
}

/** Ends with the call and not before. */
function never(_: object, call: Call): Promise<object> {
  return new Promise((resolve) => call.signal.addEventListener("abort", () => resolve({})));
}

const startService = (more: Partial<Parameters<typeof startPlane>[0]> = {}) =>
  startPlane({
    directPath: process.env.PRISM_TEST_PATH !== "connect",
    http2: process.env.PRISM_TEST_HTTP2 === "node" ? "node" : "engine",
    services: (calls) => [
      implement(service, { plain: echo, kept: echo, keptSomehow: echo, bounded: never } as never, calls),
    ],
    ...more,
  });

function method(name: string) {
  const found = service.method[name];
  if (found === undefined) {
    throw new TypeError(`no method ${name}`);
  }
  return found;
}

test.each([...POST_WIRES, ...GET_WIRES])("timeout_ms: past it the call fails, over $name", async (wire) => {
  await using server = await startService();
  const answer = await rawCall(server, callRequest(wire, method("bounded"), { key: "k" } as never));
  expect(answer.code).toBe("deadline_exceeded");
});

const CACHE_FIELDS = ["cache-control", "etag"];

function expectNotKept({ headers }: RawAnswer): void {
  expect(Object.keys(headers).filter((name) => CACHE_FIELDS.includes(name))).toEqual([]);
}

describe.each(GET_WIRES)("cacheable, rpc_cache_ttl_seconds over $name", (wire) => {
  const ask = (server: { readonly baseUrl: string }, name: string, key: string, headers = {}) =>
    rawCall(server, callRequest(wire, method(name), { key } as never, headers));

  test("the answer says how long its caller may keep it", async () => {
    await using server = await startService();
    const answer = await ask(server, "kept", "k");
    expect(answer).toMatchObject({ httpStatus: 200, code: "ok" });
    expect(answer.headers).toMatchObject({
      "cache-control": "private, max-age=60",
      etag: expect.stringMatching(/^"[\w-]{43}"$/),
      vary: "Accept-Encoding, Authorization",
    });
    expect(answer.body.length).toBe(Number(answer.headers["content-length"]));
    // Without a time the client decides.
    expect((await ask(server, "keptSomehow", "k")).headers["cache-control"]).toBe("private");
  });

  test("whoever has it gets no body", async () => {
    await using server = await startService();
    const { etag = "" } = (await ask(server, "kept", "k")).headers;
    for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const answer = await ask(server, "kept", "k", { "if-none-match": tag });
      expect(answer).toMatchObject({ httpStatus: 304, body: Buffer.alloc(0) });
      expect(answer.headers).toMatchObject({ etag, "cache-control": "private, max-age=60" });
      expect(answer.headers).not.toHaveProperty("content-type");
    }
    for (const [key, tag] of [
      ["k", '"other"'],
      ["another", etag],
    ] as const) {
      expect(await ask(server, "kept", key, { "if-none-match": tag })).toMatchObject({ httpStatus: 200 });
    }
  });

  test("the compressed answer has a tag of its own", async () => {
    await using server = await startService({ port: { maxHeaderBytes: 16_384 } });
    const key = "k".repeat(3000);
    const plain = await ask(server, "kept", key);
    const packed = await ask(server, "kept", key, { "accept-encoding": "gzip" });
    expect(packed.headers["content-encoding"]).toBe("gzip");
    expect(packed.headers.etag).not.toBe(plain.headers.etag);
    const again = { "accept-encoding": "gzip", "if-none-match": packed.headers.etag ?? "" };
    expect(await ask(server, "kept", key, again)).toMatchObject({ httpStatus: 304 });
  });

  test("no other answer may be kept: of another method, or a failure", async () => {
    await using server = await startService();
    expectNotKept(await ask(server, "plain", "k", { "if-none-match": "*" }));
    const failed = await ask(server, "kept", "", { "if-none-match": "*" });
    expect(failed).toMatchObject({ httpStatus: 400, code: "invalid_argument" });
    expectNotKept(failed);
    const broken = callRequest(wire, method("kept"), { key: "k" } as never);
    expectNotKept(
      await rawCall(server, { ...broken, path: broken.path.replace(/message=\w+/, "message=A") }),
    );
  });

  test("the page of another origin is told the same", async () => {
    await using server = await startService({
      corsOrigins: ["https://good.example", "https://other.example"],
    });
    const { headers } = await ask(server, "kept", "k", { origin: "https://good.example" });
    expect(headers).toMatchObject({
      "access-control-allow-origin": "https://good.example",
      vary: "Accept-Encoding, Authorization, Origin",
    });
  });

  test("KeyValueService.Get is such a method", async () => {
    await using server = await startTestServer();
    const { put, get } = KeyValueService.method;
    const [post] = POST_WIRES;
    const item = { key: Buffer.from("a"), value: Buffer.from("1") };
    await rawCall(server, callRequest(post, put, { id: "r", items: [item] }));
    const request = (etag = "") => callRequest(wire, get, { id: "r" }, { "if-none-match": etag });
    const first = await rawCall(server, request());
    expect(first.headers["cache-control"]).toMatch(/^private/);
    expect(await rawCall(server, request(first.headers.etag))).toMatchObject({ httpStatus: 304 });
    await rawCall(server, callRequest(post, put, { id: "r", items: [{ ...item, value: Buffer.from("2") }] }));
    expect(await rawCall(server, request(first.headers.etag))).toMatchObject({ httpStatus: 200 });
  });
});

test.each([...POST_WIRES] as readonly Wire[])(
  "cacheable: no answer to a POST may be kept, over $name",
  async (wire) => {
    await using server = await startService();
    expectNotKept(await rawCall(server, callRequest(wire, method("kept"), { key: "k" } as never)));
  },
);
