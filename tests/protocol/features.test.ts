/**
 * What the data plane offers besides calls: CORS, compression, request ids, readable JSON, both
 * HTTP versions on one port.
 */
import { randomBytes } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { expectService, linesOf, nextRequestId } from "./expect.ts";
import { useServer } from "./fixture.ts";
import { connect, rawCall } from "./raw.ts";
import {
  bodyRequest,
  callRequest,
  GET_WIRES,
  isEnveloped,
  methodPath,
  POST_WIRES,
  readMessage,
  type Wire,
} from "./wire.ts";

const { set, get, delete: remove, exists } = KeyValueBasicInterface.method;
const { scan, count } = KeyValueScanInterface.method;
const [JSON_HTTP1, , , , GRPC, GRPC_WEB] = POST_WIRES;
const fixture = useServer();

describe("CORS", () => {
  const ORIGIN = "https://app.example.com";

  const withOrigins = (corsOrigins: "*" | readonly string[]): Promise<TestServer> =>
    startTestServer({ adjust: (config) => ({ ...config, server: { ...config.server, corsOrigins } }) });

  const preflight = (server: TestServer, origin: string) =>
    fetch(server.baseUrl + methodPath(set), {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers":
          "content-type,connect-protocol-version,x-grpc-web,x-request-id,authorization",
      },
    });

  test("off by default", async () => {
    const refused = await preflight(fixture.server, ORIGIN);
    expect(refused.ok).toBe(false);
    expect([...refused.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    const answer = await rawCall(
      fixture.server,
      callRequest(JSON_HTTP1, exists, { key: "a" }, { origin: ORIGIN }),
    );
    expect(Object.keys(answer.headers).filter((name) => name.startsWith("access-control"))).toEqual([]);
  });

  test("a listed origin may call, and see what it needs to", async () => {
    await using server = await withOrigins(["https://other.example.com", ORIGIN]);
    const allowed = await preflight(server, ORIGIN);
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get("access-control-allow-origin")).toBe(ORIGIN);
    expect(allowed.headers.get("access-control-allow-methods")).toContain("POST");
    const headers = (allowed.headers.get("access-control-allow-headers") ?? "").toLowerCase();
    for (const name of [
      "content-type",
      "connect-protocol-version",
      "connect-timeout-ms",
      "x-grpc-web",
      "x-request-id",
      "authorization",
    ]) {
      expect(headers).toContain(name);
    }
    // A success, an error, and an unknown path.
    for (const [wire, path] of [
      [JSON_HTTP1, methodPath(exists)],
      [GRPC_WEB, methodPath(exists)],
      [JSON_HTTP1, methodPath(get)],
      [JSON_HTTP1, "/no.Such/Method"],
    ] as const) {
      const request = callRequest(wire, exists, { key: "none" }, { origin: ORIGIN });
      const { headers } = await rawCall(server, { ...request, path });
      expect(headers["access-control-allow-origin"]).toBe(ORIGIN);
      expect(headers.vary).toContain("Origin");
      const exposed = (headers["access-control-expose-headers"] ?? "").toLowerCase();
      for (const name of ["grpc-status", "grpc-message", "grpc-status-details-bin", "x-request-id"]) {
        expect(exposed).toContain(name);
      }
    }
  });

  test("another origin may not", async () => {
    await using server = await withOrigins([ORIGIN]);
    for (const origin of [
      "https://evil.example.com",
      `${ORIGIN}.evil.com`,
      "http://app.example.com",
      "null",
    ]) {
      expect((await preflight(server, origin)).headers.get("access-control-allow-origin")).toBeNull();
    }
  });

  test("* stands for every origin", async () => {
    await using server = await withOrigins("*");
    expect(
      (await preflight(server, "https://any.example.com")).headers.get("access-control-allow-origin"),
    ).toBe("*");
  });
});

describe("gzip of answers", () => {
  const accept = (wire: Wire) => {
    switch (wire.protocol) {
      case "grpc":
      case "grpc-web":
        return { "grpc-accept-encoding": "identity,gzip" };
      default:
        return { "accept-encoding": "br, gzip" };
    }
  };
  const SMALL = Buffer.alloc(500, "s");
  const LARGE = Buffer.alloc(5000, "l");

  test.each([...POST_WIRES, ...GET_WIRES])(
    "$name: from 1 KiB on, and only where it was asked for",
    async (wire) => {
      const store = (key: string, value: Buffer) =>
        fixture.on(GRPC).call(callRequest(GRPC, set, { key, value }));
      await store("small", SMALL);
      await store("large", LARGE);
      const read = (key: string, headers = {}) =>
        fixture.on(wire).call(callRequest(wire, get, { key }, headers));
      for (const [key, headers, zipped] of [
        ["small", accept(wire), false],
        ["large", accept(wire), true],
        ["large", {}, false],
      ] as const) {
        const answer = await read(key, headers);
        expect(answer.code).toBe("ok");
        expect(isZipped(wire, answer)).toBe(zipped);
        const [message = Buffer.alloc(0)] = answer.messages;
        const messages = [zipped ? gunzipSync(message) : message];
        expect(Buffer.from(readMessage(get, wire, { ...answer, messages }).value)).toEqual(
          key === "small" ? SMALL : LARGE,
        );
      }
    },
  );

  function isZipped(
    wire: Wire,
    { headers, body }: { headers: Readonly<Record<string, string>>; body: Buffer },
  ) {
    return isEnveloped(wire, get) && wire.protocol !== "connect-get"
      ? body[0] === 1
      : headers["content-encoding"] === "gzip";
  }

  test.each(["br", "zstd", "deflate"])("%s is not offered", async (encoding) => {
    await fixture.on(GRPC).call(callRequest(GRPC, set, { key: "large", value: LARGE }));
    const answer = await fixture
      .on(JSON_HTTP1)
      .call(callRequest(JSON_HTTP1, get, { key: "large" }, { "accept-encoding": encoding }));
    expect(answer.headers["content-encoding"]).toBeUndefined();
  });
});

describe("X-Request-Id", () => {
  test.each([...POST_WIRES, ...GET_WIRES])("$name: comes back, in the log too", async (wire) => {
    const id = nextRequestId();
    const answer = await fixture
      .on(wire)
      .call(callRequest(wire, exists, { key: "a" }, { "x-request-id": id }));
    expect(answer.headers["x-request-id"]).toBe(id);
    expect(linesOf(fixture.server, id)).toHaveLength(1);
  });

  test.each(["two words", "x".repeat(65), "<script>", "a,b", ""])("not taken: %j", async (id) => {
    const request = callRequest(JSON_HTTP1, exists, { key: "a" }, { "x-request-id": id });
    const first = (await fixture.on(JSON_HTTP1).call(request)).headers["x-request-id"];
    const second = (await fixture.on(JSON_HTTP1).call(request)).headers["x-request-id"];
    expect(first).toMatch(/^[\w-]{6,}$/);
    expect(second).toMatch(/^[\w-]{6,}$/);
    expect(second).not.toBe(first);
  });

  test.each(["/no.Such/Method", "/%ff", "/"])("also where there is no method: %s", async (path) => {
    const id = nextRequestId();
    const request = callRequest(JSON_HTTP1, exists, { key: "a" }, { "x-request-id": id });
    expect((await fixture.on(JSON_HTTP1).call({ ...request, path })).headers["x-request-id"]).toBe(id);
  });
});

describe("JSON", () => {
  async function json(path: string, request: unknown): Promise<unknown> {
    const response = await fetch(fixture.server.baseUrl + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(request),
    });
    return response.json();
  }

  test("has the fields that are zero, false and empty", async () => {
    expect(await json(methodPath(exists), { key: "none" })).toEqual({ exists: false });
    expect(await json(methodPath(remove), { key: "none" })).toEqual({ found: false });
    expect(await json(methodPath(count), { prefix: "none" })).toEqual({ count: "0" });
    expect(await json(methodPath(set), { key: "empty", value: "" })).toEqual({ success: true });
    expect(await json(methodPath(get), { key: "empty" })).toEqual({ value: "" });
  });

  test("takes base64 of both alphabets, and field names of both kinds", async () => {
    const bytes = Buffer.from([0xfb, 0xff, 0xfe]);
    for (const value of [bytes.toString("base64"), bytes.toString("base64url")]) {
      expect(await json(methodPath(set), { key: "json", value, ttl_seconds: 100 })).toEqual({
        success: true,
      });
      expect(await json(methodPath(set), { key: "json", value, ttlSeconds: "100" })).toEqual({
        success: true,
      });
      expect(await json(methodPath(get), { key: "json" })).toEqual({ value: bytes.toString("base64") });
    }
  });

  test("takes a byte-order mark and a charset", async () => {
    const headers = { "content-type": "application/json; charset=utf-8" };
    const body = Buffer.from('\ufeff{"key":"none"}');
    const answer = await fixture.on(JSON_HTTP1).call(bodyRequest(JSON_HTTP1, exists, body, headers));
    expect(answer).toMatchObject({ code: "ok", httpStatus: 200 });
  });
});

test("a stream of larger messages than a window of flow control, in every protocol", async () => {
  const values = Array.from({ length: 60 }, () => randomBytes(60_000));
  for (const [i, value] of values.entries()) {
    const key = `flow/${String(i).padStart(2, "0")}`;
    await fixture.on(GRPC).call(callRequest(GRPC, set, { key, value }));
  }
  for (const wire of POST_WIRES) {
    const answer = await fixture.on(wire).call(callRequest(wire, scan, { prefix: "flow/" }));
    expect(answer.code).toBe("ok");
    const read = answer.messages.map(
      (message) => readMessage(scan, wire, { ...answer, messages: [message] }).value,
    );
    expect(Buffer.concat(read).equals(Buffer.concat(values))).toBe(true);
  }
});

test("IPv6", async () => {
  await using server = await startTestServer({
    adjust: (config) => ({ ...config, server: { ...config.server, listen: { host: "::1", port: 0 } } }),
  });
  const { port } = new URL(server.baseUrl);
  const onIpv6 = { ...server, baseUrl: `http://[::1]:${port}` };
  for (const wire of [JSON_HTTP1, GRPC]) {
    using connection = connect(onIpv6, wire.http);
    await expectService(connection, wire);
  }
});
