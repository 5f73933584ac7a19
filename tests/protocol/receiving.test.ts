/** Requests that have not arrived: what ends them, and how much memory all of them may take. */
import { expect, test } from "vitest";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { startTestServer } from "../helpers/server.ts";
import { waitFor } from "../helpers/until.ts";
import { expectFailure, expectService, linesOf, nextRequestId, withId } from "./expect.ts";
import { connect, type RawConnection } from "./raw.ts";
import { openSocket } from "./socket.ts";
import { callRequest, methodPath, POST_WIRES, type Wire } from "./wire.ts";

const { set } = KeyValueBasicInterface.method;
const [JSON_HTTP1, JSON_HTTP2, , , GRPC] = POST_WIRES;
const SOME_WIRES = [JSON_HTTP1, JSON_HTTP2, GRPC];
const NEVER = new Promise<never>(() => {});

/** The same connection, but no request is sent to its end. */
function halving(connection: RawConnection): RawConnection {
  return { ...connection, call: (request) => connection.call(request, NEVER) };
}

test.each(POST_WIRES)("$name: the caller's deadline does not wait for them", async (wire) => {
  await using server = await startTestServer();
  using connection = connect(server, wire.http);
  const timeout = wire.protocol === "connect" ? { "connect-timeout-ms": "50" } : { "grpc-timeout": "50m" };
  await expectFailure(server, halving(connection), callRequest(wire, set, { key: "a" }, timeout), {
    code: "deadline_exceeded",
    reason: "DEADLINE_EXCEEDED",
  });
});

test.each(POST_WIRES)("$name: nor does the end of the server", async (wire) => {
  await using server = await startTestServer({
    adjust: (config) => ({ ...config, server: { ...config.server, shutdownGraceMs: 50 } }),
  });
  using connection = connect(server, wire.http);
  await expectService(connection, wire);
  const failed = expectFailure(server, halving(connection), callRequest(wire, set, { key: "a" }), {
    code: "unavailable",
    reason: "SHUTTING_DOWN",
  });
  using other = connect(server, wire.http);
  // After this answer the request before it has been seen.
  await expectService(other, wire);
  await server.stop();
  await failed;
});

/** A request for Connect's own handlers, and one for the direct path. */
const PATHS: readonly (readonly [name: string, headers: (wire: Wire) => Record<string, string>])[] = [
  ["read here", () => ({})],
  [
    "read by Connect",
    ({ protocol }) => (protocol === "connect" ? { "content-encoding": "gzip" } : { "grpc-encoding": "gzip" }),
  ],
];

test.each(PATHS.flatMap(([path, headers]) => SOME_WIRES.map((wire) => ({ path, headers, wire }))))(
  "$wire.name, $path: all together they have max_receiving_bytes",
  async ({ headers, wire }) => {
    await using server = await startTestServer({
      adjust: (config) => ({
        ...config,
        limits: { ...config.limits, maxValueBytes: 65_536, maxReceivingBytes: 1024 * 1024 },
      }),
    });
    const request = callRequest(wire, set, { key: "a", value: new Uint8Array(65_536) }, headers(wire));
    const connections = Array.from({ length: 60 }, () => connect(server, wire.http));
    const answers = connections.map((each) => each.call(withId(request), NEVER).catch(() => undefined));
    const first = await Promise.race(answers);
    expect(first).toMatchObject({
      code: "resource_exhausted",
      details: [{ retryable: true, retryAfterMs: 100 }],
    });
    // Requests in one piece need none of this memory.
    using connection = connect(server, wire.http);
    await expectService(connection, wire);
    const refused = () => server.log.filter(({ reason }) => reason === "overloaded").length;
    await waitFor(() => expect(refused()).toBeGreaterThan(60 - 32));
    expect(refused()).toBeLessThan(60 - 4);

    for (const each of connections) {
      each[Symbol.dispose]();
    }
    await Promise.all(answers);
    await waitFor(() =>
      expect(server.log.filter(({ reason }) => reason === "canceled").length + refused()).toBe(60),
    );
    const stored = await connection.call(
      callRequest(wire, set, { key: "a", value: new Uint8Array(60_000) }),
      Promise.resolve(),
    );
    expect(stored.code).toBe("ok");
  },
);

test("HTTP/1.1: a request behind another, left in the middle, ends nothing but itself", async () => {
  await using server = await startTestServer();
  const reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
  // Reflection needs HTTP/2: its answer closes the connection, and what follows is not run.
  for (const [path, run] of [
    [reflection, 1],
    [methodPath(set), 2],
  ] as const) {
    const ids = [nextRequestId(), nextRequestId()];
    const head = (id: string | undefined, length: number) =>
      `POST ${path} HTTP/1.1\r\nHost: a\r\nX-Request-Id: ${id}\r\nContent-Type: application/grpc-web\r\nContent-Length: ${length}\r\n\r\nabc`;
    const socket = await openSocket(server);
    socket.write(head(ids[0], 3) + head(ids[1], 100));
    await socket.until((bytes) => bytes.includes("\r\n\r\n"));
    socket[Symbol.dispose]();
    for (const id of ids.slice(0, run)) {
      await waitFor(() => expect(linesOf(server, id ?? "")).toHaveLength(1));
    }
  }
  using connection = connect(server, 1);
  await expectService(connection, JSON_HTTP1);
});
