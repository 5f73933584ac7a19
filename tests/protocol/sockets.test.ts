/**
 * Faults below HTTP: garbage, silence, half a request, broken framing. Each connection gets its
 * status or is cut and leaves one log line; the others are served.
 */
import tls from "node:tls";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { waitFor } from "../helpers/until.ts";
import { expectService } from "./expect.ts";
import { useServer } from "./fixture.ts";
import { addressOf, rawCall } from "./raw.ts";
import {
  END_HEADERS,
  END_STREAM,
  frame,
  HTTP2_START,
  headerBlock,
  openSocket,
  parseFrames,
} from "./socket.ts";
import { callRequest, methodPath, POST_WIRES } from "./wire.ts";

const { set, exists } = KeyValueBasicInterface.method;
const [JSON_HTTP1, , , , GRPC] = POST_WIRES;
const EXISTS = `${methodPath(exists)}?encoding=json&message=%7B%22key%22:%22a%22%7D`;
const HEADER_TIMEOUT_MS = 400;
const REQUEST_TIMEOUT_MS = 800;
const SECRET = "s3cret";

const fixture = useServer((config) => ({
  ...config,
  server: { ...config.server, headerTimeoutMs: HEADER_TIMEOUT_MS, requestTimeoutMs: REQUEST_TIMEOUT_MS },
  limits: { ...config.limits, maxHeaderBytes: 4096 },
}));

let seenBefore = 0;
/** This test's log lines that report a failure. */
const failures = () => fixture.server.log.slice(seenBefore).filter((line) => line.level !== 20);

beforeEach(() => {
  seenBefore = fixture.server.log.length;
});

/** After every test: one line without data, and all others are served. */
afterEach(async () => {
  await waitFor(() => expect(failures()).not.toEqual([]));
  for (const wire of [JSON_HTTP1, GRPC]) {
    await rawCall(fixture.server, callRequest(wire, exists, { key: "a" }));
    await expectService(fixture.on(wire), wire);
  }
  expect(failures()).toHaveLength(1);
  expect(JSON.stringify(failures())).not.toContain(SECRET);
});

const statusOf = (received: Buffer) => received.toString("latin1").split("\r\n")[0];

test.each([
  ["zeros", Buffer.alloc(64), 400],
  ["noise", Buffer.from("\u0001\u0002s3cret \u00ff\r\n\r\n", "latin1"), 400],
  ["another protocol", "EHLO s3cret\r\n\r\n", 400],
  ["half a preface, then something else", "PRI * HTTP/2.0\r\n\r\nSMXX", 400],
  ["HTTP/1.1 of no version", `GET ${EXISTS} HTTP/9.7\r\nHost: a\r\n\r\n`, 400],
  ["a header that is none", `GET ${EXISTS} HTTP/1.1\r\nHost: a\r\ns3cret\r\n\r\n`, 400],
  [
    "two lengths",
    `POST ${methodPath(set)} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n{} `,
    400,
  ],
  [
    "a length and chunks",
    `POST ${methodPath(set)} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
  ],
  ["no host", `GET ${EXISTS} HTTP/1.1\r\n\r\n`, 400],
  ["a host that is none", `GET ${EXISTS} HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n`, 400],
  ["a header too long", `GET ${EXISTS} HTTP/1.1\r\nHost: a\r\nX-A: ${"s3cret".repeat(800)}\r\n\r\n`, 431],
  ["a path too long", `GET /${"s3cret".repeat(800)} HTTP/1.1\r\nHost: a\r\n\r\n`, 431],
])("%s", async (_name, bytes, status) => {
  using socket = await openSocket(fixture.server);
  socket.write(bytes);
  const received = await socket.until((bytes) => bytes.includes("\r\n\r\n"));
  expect(statusOf(received)).toContain(`HTTP/1.1 ${status} `);
  socket.end();
  await socket.closed();
});

test("TLS on a plaintext port", async () => {
  const address = addressOf(fixture.server);
  const client = tls.connect({ ...address, rejectUnauthorized: false });
  const error = await new Promise<Error>((resolve) => client.once("error", resolve));
  expect(error.message).not.toBe("");
});

describe("silence", () => {
  test.each([
    ["from the start", "", ""],
    ["within the preface", "PRI * HTTP/2.0\r\n\r\nSM", ""],
    [
      "within the headers",
      `POST ${methodPath(set)} HTTP/1.1\r\nHost: a\r\nX-A: s3c`,
      "HTTP/1.1 408 Request Timeout",
    ],
  ])("%s", async (_name, bytes, answer) => {
    using socket = await openSocket(fixture.server);
    const since = performance.now();
    socket.write(bytes);
    const received = await socket.closed();
    expect(statusOf(received)).toBe(answer);
    expect(performance.now() - since).toBeGreaterThan(HEADER_TIMEOUT_MS * 0.9);
  });

  test("within the body", async () => {
    using socket = await openSocket(fixture.server);
    socket.write(
      `POST ${methodPath(set)} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{"key":"s3cret`,
    );
    const received = await socket.closed();
    expect(statusOf(received)).toBe("HTTP/1.1 408 Request Timeout");
    expect(received.toString("latin1").match(/HTTP\/1.1 /g)).toHaveLength(1);
  });

  test("within a message of gRPC", async () => {
    using socket = await openSocket(fixture.server);
    socket.write(
      Buffer.concat([HTTP2_START, grpcHeaders(1, 0), frame("DATA", 0, 1, Buffer.from([0, 0, 0, 0, 9, 1]))]),
    );
    const received = await socket.until((bytes) =>
      parseFrames(bytes).some(
        ({ type, flags, stream }) => type === "HEADERS" && stream === 1 && flags & END_STREAM,
      ),
    );
    expect(received.includes("4")).toBe(true);
    expect(failures()).toEqual([expect.objectContaining({ code: "deadline_exceeded", call: "Set" })]);
  });
});

describe("closed by the caller", () => {
  test("without a byte: nothing is waited for, and nothing told", async () => {
    const socket = await openSocket(fixture.server);
    socket.end();
    expect(await socket.closed()).toHaveLength(0);
    expect(failures()).toEqual([]);
    // Causes the line that every test here leaves.
    using other = await openSocket(fixture.server);
    other.write("PRI * HTTP");
    other.end();
    await other.closed();
  });

  test("within the preface", async () => {
    using socket = await openSocket(fixture.server);
    socket.write("PRI * HTTP");
    socket.end();
    expect(await socket.closed()).toHaveLength(0);
  });

  test.each([
    ["a length", "Content-Length: 40\r\n\r\n{}"],
    ["chunks", "Transfer-Encoding: chunked\r\n\r\n5\r\n{}"],
  ])("within a body of HTTP/1.1 with %s", async (_name, rest) => {
    const socket = await openSocket(fixture.server);
    socket.write(`POST ${methodPath(set)} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${rest}`);
    // After another call's answer this one has been seen.
    await rawCall(fixture.server, callRequest(JSON_HTTP1, exists, { key: "a" }));
    socket[Symbol.dispose]();
  });

  test("within a message of gRPC", async () => {
    const socket = await openSocket(fixture.server);
    socket.write(Buffer.concat([HTTP2_START, grpcHeaders(1, 0), frame("DATA", 0, 1, Buffer.from([0, 0]))]));
    await socket.until((bytes) =>
      parseFrames(bytes).some(({ type, flags }) => type === "SETTINGS" && flags === 1),
    );
    socket[Symbol.dispose]();
    await waitFor(() =>
      expect(failures()).toEqual([expect.objectContaining({ code: "canceled", call: "Set" })]),
    );
  });
});

describe("HTTP/2", () => {
  const NO_SETTINGS = HTTP2_START.subarray(0, 24);

  test.each([
    ["no SETTINGS first", Buffer.concat([NO_SETTINGS, frame("PING", 0, 0, Buffer.alloc(8))])],
    ["garbage after the preface", Buffer.concat([NO_SETTINGS, Buffer.alloc(64, 0xff)])],
    ["a frame too long", Buffer.concat([HTTP2_START, frame("DATA", 0, 1, Buffer.alloc(64), 0xffffff)])],
    ["SETTINGS of a wrong length", Buffer.concat([HTTP2_START, frame("SETTINGS", 0, 0, Buffer.alloc(5))])],
    ["PING of a wrong length", Buffer.concat([HTTP2_START, frame("PING", 0, 0, Buffer.alloc(3))])],
    ["DATA for no stream", Buffer.concat([HTTP2_START, frame("DATA", 0, 0, Buffer.from(SECRET))])],
    [
      "DATA for a stream that never was",
      Buffer.concat([HTTP2_START, frame("DATA", 0, 7, Buffer.from(SECRET))]),
    ],
    [
      "HEADERS that do not decode",
      Buffer.concat([HTTP2_START, frame("HEADERS", 5, 1, Buffer.alloc(9, 0xff))]),
    ],
    ["HEADERS for an even stream", Buffer.concat([HTTP2_START, grpcHeaders(2, 0)])],
    ["CONTINUATION of nothing", Buffer.concat([HTTP2_START, frame("CONTINUATION", 4, 1, Buffer.alloc(3))])],
    ["a window of no size", Buffer.concat([HTTP2_START, frame("WINDOW_UPDATE", 0, 0, Buffer.alloc(4))])],
  ])("%s", async (_name, bytes) => {
    using socket = await openSocket(fixture.server);
    socket.write(bytes);
    const received = await socket.closed();
    const goaway = parseFrames(received).findLast(({ type }) => type === "GOAWAY");
    expect(goaway?.payload.readUInt32BE(4)).toBeGreaterThan(0);
  });
});

function grpcHeaders(stream: number, flags: number): Buffer {
  const fields = {
    ":method": "POST",
    ":scheme": "http",
    ":path": methodPath(set),
    ":authority": "a",
    "content-type": "application/grpc",
    te: "trailers",
  };
  return frame("HEADERS", flags | END_HEADERS, stream, headerBlock(fields));
}
