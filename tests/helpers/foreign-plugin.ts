import {
  create,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import grpc from "@grpc/grpc-js";
import { onTestFinished } from "vitest";

type Unary = grpc.ServerUnaryCall<Message, Message>;
type Streaming = grpc.ServerWritableStream<Message, Message>;

/** Handlers by method name, such as `Get`. A method without a handler never answers. */
export type ForeignHandlers = Readonly<
  Record<
    string,
    (
      call: Unary & Streaming,
      answer: (fields: Record<string, unknown>) => void,
      fail: (code: number) => void,
    ) => void
  >
>;

/**
 * Starts a plugin that shares only the schema with Prism: a grpc-js server with only these
 * services, without reflection and health. Answers its address. It stops when the test is over.
 */
export async function startForeignPlugin(
  services: readonly DescService[],
  handlers: ForeignHandlers,
): Promise<string> {
  const server = new grpc.Server();
  for (const service of services) {
    const definition: Record<string, grpc.MethodDefinition<Message, Message>> = {};
    const implementation: Record<string, grpc.UntypedHandleCall> = {};
    for (const method of service.methods) {
      definition[method.name] = definitionOf(method);
      const handler = handlers[method.name];
      implementation[method.name] = (call: Unary & Streaming, done?: grpc.sendUnaryData<Message>) => {
        const fail = (code: number) => {
          const error = Object.assign(new Error("at /opt/plugin/secret.go:7"), { code });
          if (done === undefined) {
            call.emit("error", error);
          } else {
            done(error);
          }
        };
        handler?.(call, (fields) => done?.(null, create(method.output, fields)), fail);
      };
    }
    server.addService(definition, implementation);
  }
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  onTestFinished(() => server.forceShutdown());
  return `127.0.0.1:${port}`;
}

function definitionOf(method: DescMethod): grpc.MethodDefinition<Message, Message> {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    requestStream: false,
    responseStream: method.methodKind === "server_streaming",
    requestSerialize: (message) => Buffer.from(toBinary(method.input, message)),
    requestDeserialize: (bytes) => fromBinary(method.input, bytes),
    responseSerialize: (message) => Buffer.from(toBinary(method.output, message)),
    responseDeserialize: (bytes) => fromBinary(method.output, bytes),
  };
}
