/** A plane alone, with a test's own services, for what no method of Prism does. */
import {
  create,
  createFileRegistry,
  type DescFile,
  type DescMessage,
  type DescService,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import {
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  type MethodDescriptorProtoSchema,
} from "@bufbuild/protobuf/wkt";
import { pino } from "pino";
import { LISTEN_BACKLOG, PING_TIMEOUT_MS, STALL_TIMEOUT_MS } from "../../server/limits.ts";
import { createPlane, type PlaneOptions, type ServiceGroup } from "../../server/plane.ts";

/** A service `test.Service` whose methods all take `input` and answer `output`. */
export function describeService(
  input: DescMessage,
  output: DescMessage,
  methods: readonly MessageInitShape<typeof MethodDescriptorProtoSchema>[],
): DescService {
  const file = create(FileDescriptorProtoSchema, {
    name: "test.proto",
    package: "test",
    syntax: "proto3",
    dependency: [...new Set([input, output].map((desc) => `${desc.file.name}.proto`))],
    service: [
      {
        name: "Service",
        method: methods.map((method) => ({
          ...method,
          inputType: `.${input.typeName}`,
          outputType: `.${output.typeName}`,
        })),
      },
    ],
  });
  const imported = [...filesOf(input.file), ...filesOf(output.file)].map(({ proto }) => proto);
  const byName = new Map([...imported, file].map((each) => [each.name, each]));
  const set = create(FileDescriptorSetSchema, { file: [...byName.values()] });
  const service = createFileRegistry(set).getService("test.Service");
  if (service === undefined) {
    throw new TypeError("the service is not described");
  }
  return service;
}

/** The file after its imports. */
function filesOf(file: DescFile): DescFile[] {
  return [...file.dependencies.flatMap(filesOf), file];
}

/** A plane that listens on a free port of loopback. */
export async function startPlane({
  services,
  policies = () => [],
  ...given
}: Pick<ServiceGroup, "services"> &
  Partial<Pick<ServiceGroup, "policies">> &
  Partial<Omit<PlaneOptions, "groups" | "port">> & { readonly port?: Partial<PlaneOptions["port"]> }) {
  const plane = await createPlane({
    groups: [{ services, policies }],
    log: pino({ level: "silent" }),
    http2: "engine",
    jsonUnknownFields: "reject",
    corsOrigins: [],
    maxValueBytes: 1024,
    maxReceivingBytes: 1024 * 1024,
    maxUnsentBytes: 1024 * 1024,
    maxTimeoutMs: 0,
    directPath: true,
    ...given,
    port: {
      tls: undefined,
      maxConnections: 100,
      maxConnectionsPerPeer: 0,
      maxConcurrentStreams: 10,
      maxHeaderBytes: 4096,
      headerTimeoutMs: 10_000,
      requestTimeoutMs: 60_000,
      idleTimeoutMs: 60_000,
      pingTimeoutMs: PING_TIMEOUT_MS,
      stallTimeoutMs: STALL_TIMEOUT_MS,
      backlog: LISTEN_BACKLOG,
      ...given.port,
    },
  });
  const { address: host, port } = await plane.listen("127.0.0.1", 0);
  return {
    host,
    port,
    baseUrl: `${given.port?.tls === undefined ? "http" : "https"}://${host}:${port}`,
    [Symbol.asyncDispose]: () => plane.close(0),
  };
}
