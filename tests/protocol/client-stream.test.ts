/** A stream of requests over HTTP/1.1. Prism has no method of that kind, so the data plane is given one. */
import { create, createFileRegistry, type DescService } from "@bufbuild/protobuf";
import { EmptySchema, FileDescriptorProtoSchema, file_google_protobuf_empty } from "@bufbuild/protobuf/wkt";
import { pino } from "pino";
import { expect, test } from "vitest";
import { implement } from "../../server/calls/implement.ts";
import { createDataPlane } from "../../server/data-plane.ts";
import { LISTEN_BACKLOG, PING_TIMEOUT_MS, STALL_TIMEOUT_MS } from "../../server/limits.ts";
import { openSocket } from "./socket.ts";
import { envelope } from "./wire.ts";

const file = create(FileDescriptorProtoSchema, {
  name: "test.proto",
  package: "test",
  syntax: "proto3",
  dependency: [file_google_protobuf_empty.name.concat(".proto")],
  service: [
    {
      name: "Sink",
      method: [
        {
          name: "Take",
          inputType: `.${EmptySchema.typeName}`,
          outputType: `.${EmptySchema.typeName}`,
          clientStreaming: true,
        },
      ],
    },
  ],
});
const registry = createFileRegistry(file, (name) =>
  name.startsWith(file_google_protobuf_empty.name) ? file_google_protobuf_empty.proto : undefined,
);

function sink(): DescService {
  const service = registry.getService("test.Sink");
  if (service === undefined) {
    throw new Error("test.Sink is not described");
  }
  return service;
}

async function startSink(directPath: boolean) {
  const dataPlane = await createDataPlane({
    services(policy) {
      const take = async (requests: AsyncIterable<unknown>) => {
        for await (const _request of requests) {
          // Only counts as read.
        }
        return {};
      };
      return [implement(sink(), { take } as never, policy)];
    },
    log: pino({ level: "silent" }),
    port: {
      tls: undefined,
      maxConnections: 10,
      maxConnectionsPerPeer: 0,
      maxConcurrentStreams: 10,
      maxHeaderBytes: 4096,
      headerTimeoutMs: 10_000,
      requestTimeoutMs: 60_000,
      idleTimeoutMs: 60_000,
      pingTimeoutMs: PING_TIMEOUT_MS,
      stallTimeoutMs: STALL_TIMEOUT_MS,
      backlog: LISTEN_BACKLOG,
    },
    http2: "engine",
    jsonUnknownFields: "reject",
    corsOrigins: [],
    maxValueBytes: 1024,
    maxReceivingBytes: 1024 * 1024,
    maxUnsentBytes: 1024 * 1024,
    maxTimeoutMs: 0,
    adminPort: () => 0,
    directPath,
  });
  const { port } = await dataPlane.listen("127.0.0.1", 0);
  return {
    baseUrl: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => dataPlane.close(0),
  };
}

test.each([true, false])(
  "the connection of one that is too large is read on (direct path: %s)",
  async (directPath) => {
    await using server = await startSink(directPath);
    using socket = await openSocket(server);
    const body = envelope(Buffer.alloc(400_000));
    const head = (length: number) =>
      `POST /test.Sink/Take HTTP/1.1\r\nHost: a\r\nContent-Type: application/connect+proto\r\nContent-Length: ${length}\r\n\r\n`;
    const answers = (bytes: Buffer) => bytes.toString("latin1").split("HTTP/1.1 200 OK").length - 1;
    socket.write(head(body.length));
    socket.write(body.subarray(0, 100_000));
    expect(String(await socket.until((bytes) => bytes.includes("\r\n0\r\n\r\n")))).toContain(
      "resource_exhausted",
    );
    socket.write(body.subarray(100_000));
    const small = envelope(Buffer.alloc(0));
    socket.write(head(small.length));
    socket.write(small);
    await socket.until((bytes) => answers(bytes) === 2);
  },
);
