/**
 * Requests with no host or a malformed one. Requests that may leave it out are served; all others
 * get an error in their own protocol.
 */
import { describe, expect, test } from "vitest";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import {
  END_HEADERS,
  END_STREAM,
  type Frame,
  frame,
  HTTP2_START,
  headerBlock,
  openSocket,
  parseFrames,
} from "./socket.ts";
import { envelope, methodPath } from "./wire.ts";

const { exists } = KeyValueBasicInterface.method;
const QUERY = `${methodPath(exists)}?encoding=json&message=%7B%22key%22:%22a%22%7D`;

const start = (http2: "engine" | "node", directPath: boolean) =>
  startTestServer({
    adjust: (config) => ({
      ...config,
      server: {
        ...config.server,
        http2,
        // With CORS the engine's direct path takes no calls with an Origin.
        corsOrigins: directPath ? [] : "*",
      },
    }),
  });

/** How a gRPC call ends, on a new connection. */
async function callOver2(
  server: TestServer,
  fields: Readonly<Record<string, string>>,
): Promise<"answered" | "failed" | "reset"> {
  using socket = await openSocket(server);
  const head = {
    ":method": "POST",
    ":scheme": "http",
    ":path": methodPath(exists),
    "content-type": "application/grpc",
    te: "trailers",
    origin: "http://a",
    ...fields,
  };
  // Pseudo-header fields come first.
  const ordered = Object.entries(head).sort(([a], [b]) => Number(b[0] === ":") - Number(a[0] === ":"));
  socket.write(
    Buffer.concat([
      HTTP2_START,
      frame("HEADERS", END_HEADERS, 1, headerBlock(Object.fromEntries(ordered))),
      frame("DATA", END_STREAM, 1, envelope(Buffer.from("\x12\x01a"))),
    ]),
  );
  const ended = ({ stream, type, flags }: Frame) =>
    stream === 1 && (type === "RST_STREAM" || (type === "HEADERS" && (flags & END_STREAM) !== 0));
  const frames = parseFrames(await socket.until((bytes) => parseFrames(bytes).some(ended)));
  if (frames.some(({ type }) => type === "RST_STREAM")) {
    return "reset";
  }
  // The header block is compressed, but the presence of a message tells the outcome.
  return frames.some(({ type }) => type === "DATA") ? "answered" : "failed";
}

describe.each(["engine", "node"] as const)("HTTP/2 by %s", (http2) => {
  test.each([true, false])(
    "an empty :authority is one, before and behind others (direct path: %s)",
    async (direct) => {
      await using server = await start(http2, direct);
      for (const authority of ["", "b", "", "c:1"]) {
        // nghttp2 refuses an empty one.
        const outcome = authority === "" && http2 === "node" ? "reset" : "answered";
        expect(await callOver2(server, { ":authority": authority })).toBe(outcome);
      }
      expect(await callOver2(server, { host: "a" })).toBe("answered");
    },
  );

  test("a malformed host is reported in gRPC", async () => {
    await using server = await start(http2, true);
    expect(await callOver2(server, { ":authority": "a:b" })).toBe("failed");
    expect(server.log.filter(({ msg }) => msg === "call failed")).toEqual([
      expect.objectContaining({
        reason: "malformed_request",
        call: "Exists",
        error: "the request names no host",
      }),
    ]);
  });
});

test.each([
  ["HTTP/1.0", ""],
  ["HTTP/1.0", "Host: a\r\n"],
  ["HTTP/1.1", "Host:\r\n"],
])("%s with %j", async (version, fields) => {
  await using server = await startTestServer();
  using socket = await openSocket(server);
  socket.write(`GET ${QUERY} ${version}\r\n${fields}Connection: close\r\n\r\n`);
  const received = String(await socket.closed());
  expect(received).toMatch(/^HTTP\/1.1 200 /);
  expect(received).toContain('{"exists":false}');
});

test("HTTP/1.1 without a Host is refused in the protocol of the call", async () => {
  await using server = await startTestServer();
  using socket = await openSocket(server);
  socket.write(
    `POST ${methodPath(exists)} HTTP/1.1\r\nContent-Type: application/grpc-web\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
  );
  const received = String(await socket.closed());
  expect(received).toMatch(/^HTTP\/1.1 200 /);
  expect(received).toMatch(/grpc-status: 3\r\n/);
});
