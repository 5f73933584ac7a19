/**
 * Calls that end early leave no timer: one with a far deadline would keep the process alive for
 * weeks.
 */
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { waitFor } from "../helpers/until.ts";
import { connect } from "./raw.ts";
import { bodyRequest, callRequest, GET_WIRES, POST_WIRES, type RawRequest, type Wire } from "./wire.ts";

const { get, set, exists } = KeyValueBasicInterface.method;
const { scan } = KeyValueScanInterface.method;

/** For each kind: more than the timers that this process's clients use meanwhile. */
const CALLS = 20;
const SPARE_TIMERS = 8;
const WEEKS = { "connect-timeout-ms": "2000000000", "grpc-timeout": "550H" };

let server: TestServer;

beforeAll(async () => {
  server = await startTestServer();
});

afterAll(() => server.stop());

const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;

async function expectNoTimers(request: RawRequest): Promise<void> {
  using connection = connect(server, request.wire.http);
  await connection.call(callRequest(request.wire, exists, { key: "a" }));
  const before = timers();
  for (let i = 0; i < CALLS; i++) {
    await connection.call(request);
  }
  await waitFor(() => expect(timers()).toBeLessThan(before + SPARE_TIMERS));
}

const methodOf = (wire: Wire) => (wire.protocol === "connect-get" ? get : set);

describe.each([...POST_WIRES, ...GET_WIRES])("$name", (wire) => {
  test("answered", () => expectNoTimers(callRequest(wire, methodOf(wire), { key: "a" }, WEEKS)));

  test("a stream, answered", () =>
    wire.protocol === "connect-get" ? undefined : expectNoTimers(callRequest(wire, scan, {}, WEEKS)));

  test.each([get, set, scan])("compressed in a way that is unknown: $name", (method) =>
    expectNoTimers(
      callRequest(
        wire,
        method,
        {},
        {
          ...WEEKS,
          "content-encoding": "br",
          "grpc-encoding": "br",
          "connect-content-encoding": "br",
        },
      ),
    ),
  );

  test("a key that is too long", () =>
    expectNoTimers(callRequest(wire, methodOf(wire), { key: "a".repeat(2000) }, WEEKS)));

  test("compressed badly", () =>
    expectNoTimers(
      callRequest(
        wire,
        methodOf(wire),
        { key: "a" },
        { ...WEEKS, "content-encoding": "gzip", "grpc-encoding": "gzip" },
      ),
    ));

  test("compressed", () => {
    const { body, ...request } = callRequest(
      wire,
      methodOf(wire),
      { key: "a" },
      {
        ...WEEKS,
        "content-encoding": "gzip",
      },
    );
    return expectNoTimers({ ...request, body: body && gzipSync(body) });
  });

  test.each([
    ["of another HTTP method", { httpMethod: "PUT" }, {}],
    ["of an unknown type", {}, { "content-type": "text/plain" }],
    ["to an unknown method", { path: "/prism.interfaces.keyvalue.KeyValueBasicInterface/Nothing" }, {}],
  ])("%s", (_name, change, headers) =>
    expectNoTimers({ ...bodyRequest(wire, set, Buffer.from("{}"), { ...WEEKS, ...headers }), ...change }),
  );

  test("with a body that is none", () =>
    wire.protocol === "connect-get"
      ? undefined
      : expectNoTimers(bodyRequest(wire, set, Buffer.from([0xff, 1, 2]), WEEKS)));
});
