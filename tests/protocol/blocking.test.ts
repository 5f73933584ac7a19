/** Pops that wait: how they end over the wire, and what they refuse. */
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { ErrorSchema, Reason } from "../../gen/prism/common/errors_pb.ts";
import { ListBasicInterface } from "../../gen/prism/interfaces/list/list_basic_pb.ts";
import { ListBlockingInterface } from "../../gen/prism/interfaces/list/list_blocking_pb.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { waitFor } from "../helpers/until.ts";
import { expectFailure, type Failure } from "./expect.ts";
import { useServer } from "./fixture.ts";
import { callRequest, POST_WIRES } from "./wire.ts";

const { blockingPopLeft, blockingPopRight } = ListBlockingInterface.method;
const fixture = useServer();
const value = Buffer.from("value");
const invalid = (field: string): Failure => ({ code: "invalid_argument", reason: "INVALID_FIELD", field });

const CASES = [blockingPopLeft, blockingPopRight].flatMap((method) =>
  (
    [
      ["empty key", { listKey: "" }, invalid("list_key")],
      ["negative wait", { listKey: "a", waitMs: -1n }, invalid("wait_ms")],
      ["over-long wait", { listKey: "a", waitMs: 300_001n }, invalid("wait_ms")],
      [
        "unknown namespace",
        { listKey: "a", namespace: "no-such" },
        { code: "not_found", reason: "NAMESPACE_NOT_FOUND", namespace: "no-such" },
      ],
    ] as const
  ).map(([name, request, failure]) => ({ name: `${method.name}: ${name}`, method, request, failure })),
);

describe.each(POST_WIRES)("$name", (wire) => {
  test.each(CASES)("$name", async ({ method, request, failure }) => {
    await expectFailure(fixture.server, fixture.on(wire), callRequest(wire, method, request), failure, []);
  });
});

/** Clients of a server, in two protocols. */
const TRANSPORTS = [
  ["gRPC", (baseUrl: string) => createGrpcTransport({ baseUrl })],
  [
    "Connect JSON",
    (baseUrl: string) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
  ],
] as const;

function clientsOf(server: TestServer, transportTo: (typeof TRANSPORTS)[number][1]) {
  const transport = transportTo(server.baseUrl);
  return {
    lists: createClient(ListBasicInterface, transport),
    waits: createClient(ListBlockingInterface, transport),
  };
}

/** How a wait ended: its error's code and reason. */
async function failureOf(
  wait: Promise<unknown>,
): Promise<{ code: string | undefined; reason: Reason | undefined }> {
  const error = ConnectError.from(
    await wait.then(
      () => undefined,
      (thrown: unknown) => thrown,
    ),
  );
  const [detail] = error.findDetails(ErrorSchema);
  return { code: Code[error.code], reason: detail?.reason };
}

/** Resolves when a call waits: each of them holds the namespace. */
async function untilWaiting({ registry }: TestServer, calls = 1): Promise<void> {
  await waitFor(() => {
    const [namespace] = registry.namespaces;
    expect(Reflect.get(Object(namespace), "callsUnderWay")).toBe(calls);
  });
}

const pop = (waits: Client<typeof ListBlockingInterface>, signal?: AbortSignal) =>
  waits.blockingPopLeft({ listKey: "a" }, signal && { signal });

describe.each(TRANSPORTS)("over %s", (_, transportTo) => {
  test("a push wakes up the longest waiting; one who left takes nothing", async () => {
    await using server = await startTestServer();
    const { lists, waits } = clientsOf(server, transportTo);
    expect(await waits.blockingPopRight({ listKey: "a", waitMs: 1n })).toMatchObject({ found: false });
    const leaving = new AbortController();
    const left = pop(waits, leaving.signal);
    await untilWaiting(server, 1);
    const first = pop(waits);
    await untilWaiting(server, 2);
    leaving.abort();
    expect(await failureOf(left)).toMatchObject({ code: "Canceled" });
    await untilWaiting(server, 1);
    await lists.pushLeft({ listKey: "a", value });
    expect(await first).toMatchObject({ found: true, value: new Uint8Array(value) });
  });

  test("the shutdown ends waits at once, and not after the time for calls", async () => {
    const server = await startTestServer({
      adjust: (config) => ({ ...config, server: { ...config.server, shutdownGraceMs: 3_600_000 } }),
    });
    const { waits } = clientsOf(server, transportTo);
    const ended = failureOf(pop(waits));
    await untilWaiting(server);
    const stopped = server.stop();
    expect(await ended).toEqual({ code: "Unavailable", reason: Reason.SHUTTING_DOWN });
    await stopped;
  });

  test("a namespace that is drained ends its waits, and takes no others", async () => {
    await using server = await startTestServer();
    const { waits } = clientsOf(server, transportTo);
    const ended = failureOf(pop(waits));
    await untilWaiting(server);
    expect(await server.registry.drain("default", 60_000)).toBe(0);
    const drained = { code: "Unavailable", reason: Reason.STORE_UNAVAILABLE };
    expect(await ended).toEqual(drained);
    expect(await failureOf(pop(waits))).toEqual(drained);
  });
});
