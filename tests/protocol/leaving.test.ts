/**
 * Callers that leave during an answer from Connect's own handlers: one log line, and nothing on
 * standard error.
 */
import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { startTestServer } from "../helpers/server.ts";
import { waitFor } from "../helpers/until.ts";
import { expectService, linesOf, nextRequestId } from "./expect.ts";
import { connect } from "./raw.ts";
import { openSocket } from "./socket.ts";
import { callRequest, envelope, methodPath, POST_WIRES } from "./wire.ts";

const { scan } = KeyValueScanInterface.method;
const { set } = KeyValueBasicInterface.method;
const [JSON_HTTP1] = POST_WIRES;

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});

afterEach(() => {
  expect(console.error).not.toHaveBeenCalled();
  vi.restoreAllMocks();
});

test("HTTP/1.1: a scan", async () => {
  await using server = await startTestServer();
  using connection = connect(server, 1);
  for (let i = 0; i < 16; i++) {
    await connection.call(callRequest(JSON_HTTP1, set, { key: `k${i}`, value: randomBytes(1_000_000) }));
  }
  // The direct path takes no compressed requests.
  const body = envelope(gzipSync("{}"), 1);
  for (let i = 0; i < 5; i++) {
    const id = nextRequestId();
    const socket = await openSocket(server);
    socket.write(
      `POST ${methodPath(scan)} HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+json\r\nConnect-Content-Encoding: gzip\r\nX-Request-Id: ${id}\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    socket.write(body);
    await socket.until((bytes) => bytes.length > 100_000);
    socket[Symbol.dispose]();
    await waitFor(() => expect(linesOf(server, id)).not.toEqual([]));
    expect(linesOf(server, id)).toEqual([expect.objectContaining({ code: "canceled", call: "Scan" })]);
  }
  await expectService(connection, JSON_HTTP1);
  expect(server.log.filter(({ level }) => level === 50)).toEqual([]);
});
