/** The usual server's log during floods of failures, and of their senders. */
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { postgresSchema } from "../../server/backend/postgres/config.ts";
import type { Config } from "../../server/config/config.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { waitFor } from "../helpers/until.ts";
import { connect, rawCall } from "./raw.ts";
import { END_HEADERS, END_STREAM, frame, HTTP2_START, headerBlock, openSocket } from "./socket.ts";
import { callRequest, POST_WIRES } from "./wire.ts";

const { get, set } = KeyValueBasicInterface.method;
const { scan } = KeyValueScanInterface.method;
const [JSON_HTTP1, , , , GRPC] = POST_WIRES;

/** The most lines for a flood of one kind, which takes a few seconds. */
const FEW = 12;

const PEER = "127.0.0.1";

const start = (adjust: (config: Config) => Config = (config) => config): Promise<TestServer> =>
  startTestServer({ adjust, logLevel: "info" });

/** The number of failures that the lines stand for. */
const sum = (lines: readonly Readonly<Record<string, unknown>>[]) =>
  lines.reduce((total, { count = 1 }) => total + Number(count), 0);

test("a missed key is no line", async () => {
  await using server = await start();
  for (const wire of [JSON_HTTP1, GRPC]) {
    expect(await rawCall(server, callRequest(wire, get, { key: "none" }))).toMatchObject({
      code: "not_found",
    });
  }
  expect(server.log).toEqual([]);
});

test("a flood of calls that fail has a line a second, with the peer and how many they are", async () => {
  const server = await start();
  using http1 = connect(server, 1);
  using h2 = connect(server, 2);
  for (const [wire, connection] of [
    [JSON_HTTP1, http1],
    [GRPC, h2],
  ] as const) {
    for (let i = 0; i < 50; i++) {
      await connection.call(callRequest(wire, set, { key: "" }));
      await connection.call(callRequest(wire, set, { namespace: `n${i}`, key: "k" }));
      // Compressed requests go to Connect's handlers.
      const packed = gzipSync("{}");
      const headers = { "content-type": "application/json", "content-encoding": "gzip" };
      await http1.call({ ...callRequest(JSON_HTTP1, set, {}), body: packed, headers });
    }
  }
  await server.stop();
  expect(server.log.length).toBeLessThan(6 * FEW);
  expect(sum(server.log)).toBe(300);
  for (const line of server.log) {
    expect(line).toMatchObject({ msg: "call failed", peer: PEER });
  }
});

test("a flood of unknown paths too, on both protocols, and of contents that nobody reads", async () => {
  const server = await start();
  for (let i = 0; i < 60; i++) {
    await fetch(`${server.baseUrl}/no/such${i}`, { method: "POST" });
    await fetch(`${server.baseUrl}/${set.parent.typeName}/Set`, {
      method: "POST",
      headers: { "content-type": `text/x${i}` },
      body: "x",
    });
  }
  using h2 = connect(server, 2);
  for (let i = 0; i < 60; i++) {
    await h2.call({ ...callRequest(GRPC, set, {}), path: `/no/such${i}` });
  }
  await server.stop();
  expect(server.log.length).toBeLessThan(3 * FEW);
  expect(sum(server.log)).toBe(180);
  for (const line of server.log) {
    expect(line).toMatchObject({ msg: "call failed", peer: PEER });
  }
});

test("a call that is reset in the turn in which it came, of whatever path, has no stack", async () => {
  const server = await start();
  const paths = ["/no/such", `/${set.parent.typeName}/Set`, `/${scan.parent.typeName}/Scan`];
  for (const type of ["application/grpc", "text/x", "application/json"]) {
    for (const path of paths) {
      using socket = await openSocket(server);
      const head = headerBlock({
        ":method": "POST",
        ":scheme": "http",
        ":path": path,
        ":authority": "a",
        "content-type": type,
      });
      const streams = Array.from({ length: 20 }, (_, i) => 2 * i + 1);
      socket.write(
        Buffer.concat([
          HTTP2_START,
          ...streams.flatMap((id) => [
            frame("HEADERS", id % 4 === 1 ? END_HEADERS : END_HEADERS | END_STREAM, id, head),
            frame("RST_STREAM", 0, id, Buffer.from([0, 0, 0, 8])),
          ]),
          frame("PING", 0, 0, Buffer.alloc(8)),
        ]),
      );
      await socket.until((bytes) => bytes.includes(frame("PING", 1, 0, Buffer.alloc(8))));
    }
  }
  await server.stop();
  expect(server.log.length).toBeLessThan(8 * FEW);
  for (const line of server.log) {
    // node:http2 forgets the connection of a stream that is gone.
    const peer = process.env.PRISM_TEST_HTTP2 === "node" ? {} : { peer: PEER };
    expect(line).toMatchObject({ msg: "call failed", ...peer });
    expect(line).not.toHaveProperty("err");
    expect(line).not.toHaveProperty("level", 50);
  }
});

test("a flood of failing connections too, and of calls whose caller leaves", async () => {
  const server = await start((config) => ({ ...config, limits: { ...config.limits, maxConnections: 2 } }));
  for (let i = 0; i < 30; i++) {
    for (const bytes of ["no protocol\r\n\r\n", Buffer.concat([HTTP2_START, frame("DATA", 0, 1)])]) {
      using socket = await openSocket(server);
      socket.write(bytes);
      await socket.closed();
    }
  }
  using one = await openSocket(server);
  using two = await openSocket(server);
  for (const socket of [one, two]) {
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await socket.until((bytes) => bytes.length > 0);
  }
  for (let i = 0; i < 30; i++) {
    using third = await openSocket(server);
    await third.closed();
  }
  one.write(`POST /${set.parent.typeName}/Set HTTP/1.1\r\nHost: a\r\n`);
  one.write("Content-Type: application/json\r\nContent-Length: 9\r\n\r\n{");
  two[Symbol.dispose]();
  one[Symbol.dispose]();
  await server.stop();
  const failed = server.log.filter(({ msg }) => msg === "connection failed");
  expect(failed.length).toBeLessThan(3 * FEW);
  expect(sum(failed)).toBe(90);
  for (const line of server.log) {
    expect(line).toMatchObject({ peer: PEER });
  }
});

test("a store that is away has its stack in one line, however often it is called", async () => {
  // Nobody listens on port 1.
  const nobody = postgresSchema.parse({ type: "postgres", url: "postgres://u:p@127.0.0.1:1/db" });
  const server = await start((config) => ({
    ...config,
    backends: { ...config.backends, main: nobody },
    namespaces: [{ name: "default", pattern: "keyvalue", backend: "main" }],
  }));
  using h2 = connect(server, 2);
  for (let i = 0; i < 200; i++) {
    await h2.call(callRequest(GRPC, get, { key: "a" }));
  }
  await server.stop();
  const failed = server.log.filter(({ msg }) => msg === "call failed");
  expect(sum(failed)).toBe(200);
  expect(failed.length).toBeLessThan(FEW);
  expect(failed.filter((line) => JSON.stringify(line).includes("stack"))).toHaveLength(1);
  expect(failed.at(-1)).toMatchObject({ peer: PEER, cause: expect.stringContaining("ECONNREFUSED") });
});

test.each([
  ["none may call", []],
  ["others may call", ["https://good.example"]],
])("a page of another origin that may not call is told of: %s", async (_, corsOrigins) => {
  await using server = await start((config) => ({ ...config, server: { ...config.server, corsOrigins } }));
  const preflight = (origin: string) =>
    fetch(`${server.baseUrl}/${set.parent.typeName}/Set`, {
      method: "OPTIONS",
      headers: { origin, "access-control-request-method": "POST" },
    });
  for (const origin of corsOrigins) {
    await preflight(origin);
  }
  // The origin of the page is this server, as through a proxy.
  await preflight(server.baseUrl);
  const refused = () => server.log.filter(({ msg }) => msg === "cross-origin request refused");
  expect(refused()).toEqual([]);
  await preflight("https://bad.example");
  await waitFor(() =>
    expect(refused()).toEqual([
      expect.objectContaining({ origin: "https://bad.example", setting: "server.cors.origins", peer: PEER }),
    ]),
  );
});
