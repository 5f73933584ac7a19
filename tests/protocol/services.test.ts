/** What tools ask of a server: its health and its services. */
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionV1Alpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { ADMIN_PATHS } from "../../server/admin-plane.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { openSocket } from "./socket.ts";
import { methodPath } from "./wire.ts";

const SERVICES = [
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
  "prism.interfaces.keyvalue.KeyValueBasicInterface",
  "prism.interfaces.keyvalue.KeyValueBatchInterface",
  "prism.interfaces.keyvalue.KeyValueCASInterface",
  "prism.interfaces.keyvalue.KeyValueCounterInterface",
  "prism.interfaces.keyvalue.KeyValueRangeInterface",
  "prism.interfaces.keyvalue.KeyValueScanInterface",
  "prism.interfaces.keyvalue.KeyValueTTLInterface",
  "prism.interfaces.keyvalue.KeyValueTransactionInterface",
  "prism.interfaces.list.ListBasicInterface",
  "prism.interfaces.list.ListBlockingInterface",
  "prism.interfaces.list.ListIndexingInterface",
  "prism.interfaces.list.ListMoveInterface",
  "prism.interfaces.list.ListNamesInterface",
  "prism.interfaces.list.ListRangeInterface",
  "prism.keyvalue.v1.KeyValueService",
  "prism.keyvalue.v1.RecordIdsService",
  "prism.timeseries.v1.TimeSeriesService",
];

const overGrpc = ({ baseUrl }: TestServer): Transport => createGrpcTransport({ baseUrl });

describe("grpc.health.v1.Health", () => {
  test("Check and List: the server and each of its services", async () => {
    await using server = await startTestServer();
    const health = createClient(Health, overGrpc(server));
    for (const service of ["", ...SERVICES]) {
      expect(await health.check({ service })).toMatchObject({ status: Status.SERVING });
    }
    const { statuses } = await health.list({});
    expect(Object.keys(statuses).sort()).toEqual(["", ...SERVICES]);
    const unknown = health.check({ service: "no.Such" });
    await expect(unknown).rejects.toMatchObject({ code: Code.NotFound });
  });

  test.each(["", "prism.interfaces.list.ListBasicInterface"])(
    "Watch %j: serving, then not",
    async (service) => {
      const server = await startTestServer();
      const statuses: Status[] = [];
      const failure = await (async () => {
        for await (const { status } of createClient(Health, overGrpc(server)).watch({ service })) {
          statuses.push(status);
          void server.stop();
        }
      })().catch((error: unknown) => error);
      expect(statuses).toEqual([Status.SERVING, Status.NOT_SERVING]);
      expect(ConnectError.from(failure).code).toBe(Code.Unavailable);
      await server.stop();
    },
  );

  test("Watch of an unknown service: says so, and stays open", async () => {
    await using server = await startTestServer();
    const leave = new AbortController();
    const watch = createClient(Health, overGrpc(server)).watch(
      { service: "no.Such" },
      { signal: leave.signal },
    );
    const statuses = watch[Symbol.asyncIterator]();
    expect(await statuses.next()).toMatchObject({ value: { status: Status.SERVICE_UNKNOWN } });
    const next = statuses.next().catch((error: unknown) => ConnectError.from(error).code);
    // The server has answered another call, and still no change came.
    await createClient(Health, overGrpc(server)).check({});
    leave.abort();
    expect(await next).toBe(Code.Canceled);
  });
});

test("GET /health of the admin plane", async () => {
  const server = await startTestServer({
    adjust: (config) => ({ ...config, server: { ...config.server, shutdownGraceMs: 60_000 } }),
  });
  const url = `${server.adminUrl}/health`;
  const well = await fetch(url);
  expect(well.status).toBe(200);
  expect(await well.json()).toEqual({
    status: "serving",
    namespaces: { default: { backend: "memory", status: "serving" } },
  });

  for (const route of ADMIN_PATHS) {
    const path = route.replace(":name", "orders");
    const there = await fetch(`${server.adminUrl}${path}`);
    // The route is there, also where what it asks for is not.
    expect(await there.text()).not.toContain("no method");
    const here = await fetch(`${server.baseUrl}${path}`);
    expect(here.status).toBe(404);
    expect(await here.json()).toEqual({
      code: "unimplemented",
      message: `no method ${path}: it is on the admin port, which is ${new URL(url).port}`,
    });
  }
  const nowhere = await fetch(`${server.baseUrl}/health/x`);
  expect(await nowhere.json()).toMatchObject({ message: "no method /health/x" });

  // A call under way holds up the end.
  using socket = await openSocket(server);
  socket.write(
    `POST ${methodPath(KeyValueBasicInterface.method.exists)} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n`,
  );
  await socket.until((bytes) => bytes.includes("100 Continue"));
  const stopped = server.stop();
  const unwell = await fetch(url);
  expect(unwell.status).toBe(503);
  expect(await unwell.json()).toMatchObject({ status: "not_serving" });
  socket.write('{"key":"a"}');
  await socket.until((bytes) => bytes.includes('{"exists":false}'));
  await stopped;
  await expect(fetch(url)).rejects.toThrow();
});

describe.each([
  ["v1", ServerReflection],
  ["v1alpha", ServerReflectionV1Alpha],
] as const)("reflection %s", (_version, service) => {
  type Question = Parameters<
    ReturnType<typeof createClient<typeof ServerReflection>>["serverReflectionInfo"]
  >[0];

  /** Asks on one stream and answers the replies in order. */
  async function ask(transport: Transport, questions: Question) {
    const client = createClient(service as typeof ServerReflection, transport);
    return await Array.fromAsync(
      client.serverReflectionInfo(questions),
      ({ messageResponse }) => messageResponse,
    );
  }

  async function* each<T>(...items: T[]) {
    yield* items;
  }

  const symbol = (value: string) => ({ messageRequest: { case: "fileContainingSymbol", value } }) as const;
  const file = (value: string) => ({ messageRequest: { case: "fileByFilename", value } }) as const;
  const extension = (extensionNumber: number) =>
    ({
      messageRequest: {
        case: "fileContainingExtension",
        value: { containingType: "google.protobuf.MethodOptions", extensionNumber },
      },
    }) as const;
  const numbers = (value: string) =>
    ({ messageRequest: { case: "allExtensionNumbersOfType", value } }) as const;

  test("lists the services", async () => {
    await using server = await startTestServer();
    const transports = [
      overGrpc(server),
      createConnectTransport({ baseUrl: server.baseUrl, httpVersion: "2" }),
    ];
    for (const transport of transports) {
      const [answer] = await ask(
        transport,
        each({ messageRequest: { case: "listServices", value: "" } } as const),
      );
      const listed = answer?.case === "listServicesResponse" ? answer.value.service : [];
      expect(listed.map(({ name }) => name).sort()).toEqual(SERVICES);
    }
  });

  test("finds files by name, symbol and extension, with all that they import", async () => {
    await using server = await startTestServer();
    const keyvalue = "prism/interfaces/keyvalue/keyvalue_basic.proto";
    const prefix = "prism.interfaces.keyvalue";
    const wanted: readonly [Parameters<typeof each>[0], string][] = [
      [file(keyvalue), keyvalue],
      [file("prism/common/errors.proto"), "prism/common/errors.proto"],
      [symbol(`${prefix}.KeyValueBasicInterface`), keyvalue],
      [symbol(`${prefix}.KeyValueBasicInterface.Set`), keyvalue],
      [symbol(`${prefix}.SetRequest`), keyvalue],
      [symbol(`${prefix}.SetRequest.ttl_seconds`), keyvalue],
      [symbol("prism.timeout_ms"), "prism/options.proto"],
      [symbol("grpc.health.v1.HealthCheckResponse.ServingStatus"), "grpc/health/v1/health.proto"],
      [symbol("prism.common.Error"), "prism/common/errors.proto"],
      [extension(50301), "prism/options.proto"],
    ];
    const answers = await ask(overGrpc(server), each(...wanted.map(([question]) => question)) as Question);
    expect(answers).toHaveLength(wanted.length);
    for (const [i, [, name]] of wanted.entries()) {
      const answer = answers[i];
      const files = answer?.case === "fileDescriptorResponse" ? answer.value.fileDescriptorProto : [];
      const parsed = files.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
      expect(parsed[0]?.name).toBe(name);
      const names = new Set(parsed.map((each) => each.name));
      expect(parsed.flatMap(({ dependency }) => dependency).filter((each) => !names.has(each))).toEqual([]);
    }
  });

  test("knows the numbers of extensions", async () => {
    await using server = await startTestServer();
    const [options, none] = await ask(
      overGrpc(server),
      each(numbers("google.protobuf.MethodOptions"), numbers("prism.common.Error")),
    );
    expect(options).toMatchObject({
      case: "allExtensionNumbersResponse",
      value: { extensionNumber: [50300, 50301, 50302, 50303, 50304, 50305, 50306, 50307] },
    });
    expect(none).toMatchObject({ case: "allExtensionNumbersResponse", value: { extensionNumber: [] } });
  });

  test("says what it does not know, and goes on", async () => {
    await using server = await startTestServer();
    const questions = [
      file("no/such.proto"),
      symbol("no.Such"),
      symbol(""),
      symbol("prism.interfaces.keyvalue.KeyValueBasicInterface.Nope"),
      symbol("prism.interfaces.keyvalue.SetRequest.nope"),
      extension(1),
      numbers("no.Such"),
    ];
    const answers = await ask(
      overGrpc(server),
      each<unknown>(...questions, {}, file("prism/options.proto")) as Question,
    );
    for (const answer of answers.slice(0, questions.length)) {
      expect(answer).toMatchObject({ case: "errorResponse", value: { errorCode: Code.NotFound } });
    }
    expect(answers.at(-2)).toMatchObject({
      case: "errorResponse",
      value: { errorCode: Code.InvalidArgument },
    });
    expect(answers.at(-1)?.case).toBe("fileDescriptorResponse");
  });
});
