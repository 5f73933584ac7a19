/** The bounds on connections, streams and headers, and callers that leave during a call. */
import http2 from "node:http2";
import net from "node:net";
import { expect, test } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { waitFor } from "../helpers/until.ts";
import { expectService, linesOf, nextRequestId } from "./expect.ts";
import { addressOf, connect, rawCall } from "./raw.ts";
import {
  END_HEADERS,
  END_STREAM,
  frame,
  HTTP2_START,
  headerBlock,
  openSocket,
  parseFrames,
} from "./socket.ts";
import { callRequest, envelope, methodPath, POST_WIRES } from "./wire.ts";

const { exists } = KeyValueBasicInterface.method;
const { watch } = Health.method;
const { serverReflectionInfo } = ServerReflection.method;
const [JSON_HTTP1, JSON_HTTP2, , , GRPC] = POST_WIRES;
const { NGHTTP2_CANCEL, NGHTTP2_REFUSED_STREAM } = http2.constants;

type Limits = Parameters<NonNullable<Parameters<typeof startTestServer>[0]>["adjust"] & object>[0]["limits"];

const serverWith = (limits: Partial<Limits>): Promise<TestServer> =>
  startTestServer({ adjust: (config) => ({ ...config, limits: { ...config.limits, ...limits } }) });

const failuresOf = (server: TestServer) => server.log.filter(({ level }) => level !== 20);

test("max_connections: one more is cut, and those within are served", async () => {
  await using server = await serverWith({ maxConnections: 3 });
  using http1 = connect(server, 1);
  using h2 = connect(server, 2);
  await expectService(http1, JSON_HTTP1);
  await expectService(h2, GRPC);
  const third = await openSocket(server);
  third.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  await third.until((bytes) => bytes.includes("\r\n\r\n"));

  for (const bytes of [HTTP2_START, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"]) {
    using fourth = await openSocket(server);
    fourth.write(bytes);
    expect(await fourth.closed()).toHaveLength(0);
    await expectService(http1, JSON_HTTP1);
    await expectService(h2, GRPC);
  }
  expect(server.log.filter(({ msg }) => msg === "connection failed")).toHaveLength(2);

  third[Symbol.dispose]();
  await waitFor(() => rawCall(server, callRequest(JSON_HTTP1, exists, { key: "a" })));
});

test("max_connections_per_peer: one more of an address is cut, and another address served", async () => {
  await using server = await serverWith({ maxConnectionsPerPeer: 2 });
  const { host, port } = addressOf(server);
  const idle = await Promise.all([openSocket(server), openSocket(server)]);
  using third = await openSocket(server);
  expect(await third.closed()).toHaveLength(0);

  const other = net.connect({ host, port, localAddress: "127.0.0.2" });
  other.write(`GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  expect(Buffer.concat(await Array.fromAsync(other)).toString("latin1")).toContain("HTTP/1.1 ");

  expect(server.log.filter(({ msg }) => msg === "connection failed")).toEqual([
    expect.objectContaining({ code: "EMFILE", error: "too many connections of one peer" }),
  ]);
  for (const socket of idle) {
    socket[Symbol.dispose]();
  }
  await waitFor(() => rawCall(server, callRequest(JSON_HTTP1, exists, { key: "a" })));
});

test("max_concurrent_streams: one more is refused, and can be sent again", async () => {
  await using server = await serverWith({ maxConcurrentStreams: 2 });
  using socket = await openSocket(server);
  socket.write(HTTP2_START);
  // A client is not at fault before it has acknowledged the server's SETTINGS (RFC 9113 section
  // 5.1.2).
  socket.write(Buffer.concat([watching(1), watching(3), watching(5)]));
  await socket.until((bytes) => isReset(bytes, 5));
  expect(resetCode(socket.received(), 5)).toBe(NGHTTP2_REFUSED_STREAM);
  await socket.until((bytes) => isAnswered(bytes, 1) && isAnswered(bytes, 3));

  using others = connect(server, 2);
  await expectService(others, GRPC);

  socket.write(frame("RST_STREAM", 0, 1, uint32(NGHTTP2_CANCEL)));
  await waitFor(() => expect(failuresOf(server)).toHaveLength(1));
  socket.write(watching(7));
  await socket.until((bytes) => isAnswered(bytes, 7));
  expect(failuresOf(server)).toEqual([
    expect.objectContaining({ code: "canceled", service: Health.typeName, call: "Watch" }),
  ]);
});

test("max_concurrent_streams: a client that knew better may lose its connection, and nobody else", async () => {
  await using server = await serverWith({ maxConcurrentStreams: 2 });
  using others = connect(server, 2);
  using socket = await openSocket(server);
  socket.write(HTTP2_START);
  await socket.until((bytes) => parseFrames(bytes).some(({ type }) => type === "SETTINGS"));
  socket.write(Buffer.concat([frame("SETTINGS", 1, 0), watching(1), watching(3), watching(5)]));
  await socket.until(
    (bytes) => isReset(bytes, 5) || parseFrames(bytes).some(({ type }) => type === "GOAWAY"),
  );
  expect(isAnswered(socket.received(), 5)).toBe(false);
  await expectService(others, GRPC);
});

test("a client that keeps the bound on streams waits for its turn", async () => {
  await using server = await serverWith({ maxConcurrentStreams: 2 });
  using connection = connect(server, 2);
  await expectService(connection, GRPC);
  await Promise.all(Array.from({ length: 50 }, () => expectService(connection, GRPC)));
});

test("max_header_bytes on HTTP/2: the call fails, the connection goes on", async () => {
  await using server = await serverWith({ maxHeaderBytes: 2048 });
  for (const wire of [JSON_HTTP2, GRPC]) {
    using connection = connect(server, 2);
    const port = await expectService(connection, wire);
    const request = callRequest(wire, exists, { key: "a" }, { "x-a": "x".repeat(4000) });
    const outcome = await connection.call(request).catch((error: Error) => error);
    expect(outcome).not.toMatchObject({ code: "ok" });
    expect(await expectService(connection, wire)).toBe(port);
  }
});

test.each([
  ["Watch", watch],
  ["reflection", serverReflectionInfo],
])("HTTP/2: %s, left in the middle, ends as canceled", async (_name, method) => {
  await using server = await startTestServer();
  using others = connect(server, 2);
  for (const leave of ["reset", "close", "end"] as const) {
    using socket = await openSocket(server);
    const id = nextRequestId();
    socket.write(Buffer.concat([HTTP2_START, opened(1, methodPath(method), id)]));
    // An open stream of requests gets an answer only after a question.
    socket.write(
      frame("DATA", method === watch ? END_STREAM : 0, 1, envelope(method === watch ? NOTHING : LIST)),
    );
    await socket.until((bytes) => isAnswered(bytes, 1));
    if (leave === "reset") {
      socket.write(frame("RST_STREAM", 0, 1, uint32(NGHTTP2_CANCEL)));
    } else if (leave === "end") {
      socket.end();
    } else {
      socket[Symbol.dispose]();
    }
    await waitFor(() => expect(linesOf(server, id)).not.toEqual([]));
    expect(linesOf(server, id)).toEqual([expect.objectContaining({ code: "canceled" })]);
    await expectService(others, GRPC);
  }
  expect(failuresOf(server)).toHaveLength(3);
});

test("HTTP/1.1: a stream whose reader leaves ends as canceled", async () => {
  await using server = await startTestServer();
  const id = nextRequestId();
  const socket = await openSocket(server);
  const body = envelope(Buffer.from("{}"));
  socket.write(
    `POST ${methodPath(watch)} HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+json\r\nX-Request-Id: ${id}\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  socket.write(body);
  await socket.until((bytes) => bytes.includes('"SERVING"'));
  socket[Symbol.dispose]();
  await waitFor(() => expect(linesOf(server, id)).toEqual([expect.objectContaining({ code: "canceled" })]));
  expect(failuresOf(server)).toHaveLength(1);
});

const NOTHING = Buffer.alloc(0);
/** ServerReflectionRequest { list_services: "*" }. */
const LIST = Buffer.from([0x3a, 1, 0x2a]);

function watching(stream: number): Buffer {
  return Buffer.concat([
    opened(stream, methodPath(watch), nextRequestId()),
    frame("DATA", END_STREAM, stream, envelope(NOTHING)),
  ]);
}

function opened(stream: number, path: string, requestId: string): Buffer {
  const fields = {
    ":method": "POST",
    ":scheme": "http",
    ":path": path,
    ":authority": "a",
    "content-type": "application/grpc",
    "x-request-id": requestId,
    te: "trailers",
  };
  return frame("HEADERS", END_HEADERS, stream, headerBlock(fields));
}

function isAnswered(received: Buffer, stream: number): boolean {
  return parseFrames(received).some((each) => each.type === "DATA" && each.stream === stream);
}

function isReset(received: Buffer, stream: number): boolean {
  return resetCode(received, stream) !== undefined;
}

function resetCode(received: Buffer, stream: number): number | undefined {
  const reset = parseFrames(received).find((each) => each.type === "RST_STREAM" && each.stream === stream);
  return reset?.payload.readUInt32BE(0);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
