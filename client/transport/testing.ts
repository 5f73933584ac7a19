/**
 * Servers for the transport's tests: one of grpc-js with calls of every kind, and one that answers
 * with any bytes.
 */
import net, { type AddressInfo } from "node:net";
import {
  create,
  createFileRegistry,
  type DescMethod,
  fromBinary,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import type { GenService } from "@bufbuild/protobuf/codegenv2";
import {
  FileDescriptorSetSchema,
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
} from "@bufbuild/protobuf/wkt";
import grpc from "@grpc/grpc-js";
import { onTestFinished } from "vitest";
import {
  type ConnectionOptions,
  createServerConnection,
  type ServerConnection,
  type Stream,
} from "../../http2/index.ts";

/** Asks for `count` answers of `data`, or for a failure with `code`. */
export type Ping = Message<"t.Ping"> & { data: Uint8Array; count: number; code: number };
type PingDesc = import("@bufbuild/protobuf/codegenv2").GenMessage<Ping>;

/** t.Echo: one method of each kind. */
export type EchoService = GenService<{
  unary: { methodKind: "unary"; input: PingDesc; output: PingDesc };
  server: { methodKind: "server_streaming"; input: PingDesc; output: PingDesc };
  client: { methodKind: "client_streaming"; input: PingDesc; output: PingDesc };
  bidi: { methodKind: "bidi_streaming"; input: PingDesc; output: PingDesc };
}>;

function defineEcho(): EchoService {
  const field = (name: string, number: number, type: Type) => ({ name, number, type, label: Label.OPTIONAL });
  const method = (name: string, clientStreaming: boolean, serverStreaming: boolean) => ({
    name,
    inputType: ".t.Ping",
    outputType: ".t.Ping",
    clientStreaming,
    serverStreaming,
  });
  const set = create(FileDescriptorSetSchema, {
    file: [
      {
        name: "t.proto",
        package: "t",
        syntax: "proto3",
        messageType: [
          {
            name: "Ping",
            field: [
              field("data", 1, Type.BYTES),
              field("count", 2, Type.INT32),
              field("code", 3, Type.INT32),
            ],
          },
        ],
        service: [
          {
            name: "Echo",
            method: [
              method("Unary", false, false),
              method("Server", false, true),
              method("Client", true, false),
              method("Bidi", true, true),
            ],
          },
        ],
      },
    ],
  });
  return createFileRegistry(set).getService("t.Echo") as EchoService;
}

export const Echo = defineEcho();

/** What the grpc-js server saw. */
export interface EchoServer {
  readonly address: string;
  /** Messages that streams have written, and whether their calls were canceled. */
  readonly written: number;
  readonly canceled: number;
  readonly runs: number;
  /** The metadata of the last call. */
  readonly metadata: grpc.Metadata;
  /** Closes every connection at once. */
  stop(): Promise<void>;
}

/**
 * Starts grpc-js's server on `port` (0 = any free one) of loopback; it stops when the test is over.
 */
export async function startGrpcJs(port = 0, options: grpc.ServerOptions = {}): Promise<EchoServer> {
  const state = { written: 0, canceled: 0, runs: 0, metadata: new grpc.Metadata() };
  const server = new grpc.Server(options);
  const definition = (method: DescMethod, requestStream: boolean, responseStream: boolean) => ({
    path: `/t.Echo/${method.name}`,
    requestStream,
    responseStream,
    requestSerialize: (message: Ping) => Buffer.from(toBinary(method.input, message)),
    requestDeserialize: (bytes: Buffer) => fromBinary(method.input, bytes) as Ping,
    responseSerialize: (message: Ping) => Buffer.from(toBinary(method.output, message)),
    responseDeserialize: (bytes: Buffer) => fromBinary(method.output, bytes) as Ping,
  });
  const { unary, server: serverStream, client, bidi } = Echo.method;
  const enter = (call: {
    metadata: grpc.Metadata;
    on(event: "cancelled", listener: () => void): unknown;
  }) => {
    state.runs++;
    state.metadata = call.metadata;
    call.on("cancelled", () => state.canceled++);
  };
  const failure = (code: number) => {
    const metadata = new grpc.Metadata();
    metadata.set("why", "because");
    return Object.assign(new Error("no, thank you: ü"), { code, details: "no, thank you: ü", metadata });
  };
  server.addService(
    {
      unary: definition(unary, false, false),
      server: definition(serverStream, false, true),
      client: definition(client, true, false),
      bidi: definition(bidi, true, true),
    },
    {
      unary(call: grpc.ServerUnaryCall<Ping, Ping>, done: grpc.sendUnaryData<Ping>) {
        enter(call);
        const { count, code } = call.request;
        if (count < 0) {
          return;
        }
        const header = new grpc.Metadata();
        header.set("x-answer", "42");
        call.sendMetadata(header);
        const trailer = new grpc.Metadata();
        trailer.set("x-trailer-bin", Buffer.from([0, 1, 255]));
        if (code === 0) {
          done(null, call.request, trailer);
        } else {
          done(failure(code));
        }
      },
      async server(call: grpc.ServerWritableStream<Ping, Ping>) {
        enter(call);
        const { count, code } = call.request;
        const canceled = new Promise<void>((resolve) => call.once("cancelled", resolve));
        for (let i = 0; (count < 0 || i < count) && !call.cancelled; i++) {
          const room = call.write({ ...call.request, count: i });
          state.written++;
          if (!room) {
            await Promise.race([new Promise<void>((resolve) => call.once("drain", resolve)), canceled]);
          }
        }
        if (code === 0) {
          call.end();
        } else {
          call.emit("error", failure(code));
        }
      },
      client(call: grpc.ServerReadableStream<Ping, Ping>, done: grpc.sendUnaryData<Ping>) {
        enter(call);
        let count = 0;
        call.on("data", () => count++);
        call.on("end", () => done(null, create(unary.output, { count }) as Ping));
      },
      bidi(call: grpc.ServerDuplexStream<Ping, Ping>) {
        enter(call);
        call.on("data", (message: Ping) => call.write(message));
        call.on("end", () => call.end());
      },
    },
  );
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, chosen) =>
      error === null ? resolve(chosen) : reject(error),
    ),
  );
  onTestFinished(() => server.forceShutdown());
  return Object.assign(state, {
    address: `127.0.0.1:${bound}`,
    stop: async () => server.forceShutdown(),
  });
}

/** Starts a server on `port` (0 = any free one) whose every stream goes to `onStream`. */
export async function startRaw(
  onStream: (stream: Stream) => void,
  port = 0,
  options: ConnectionOptions = {},
) {
  const connections: ServerConnection[] = [];
  const server = net.createServer((socket) =>
    connections.push(createServerConnection(socket, options, onStream)),
  );
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  const stop = () => {
    server.close();
    for (const connection of connections) {
      connection.destroy();
    }
  };
  onTestFinished(stop);
  return { address: `127.0.0.1:${(server.address() as AddressInfo).port}`, connections, stop };
}
