/** A server of @grpc/grpc-js with a Map: a Node service without Prism. */
import grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { listening, scanEntries, VALUES } from "./store.ts";

interface Request {
  readonly key: string;
  readonly value: Buffer;
}

const folder = new URL("../../server/protocol/seed-protos", import.meta.url).pathname;
const definition = loadSync(["keyvalue_basic.proto", "keyvalue_scan.proto"], { includeDirs: [folder] });
const service = (name: string) => {
  const found = definition[`prism.interfaces.keyvalue.${name}`];
  if (found === undefined) {
    throw new TypeError(`no service ${name}`);
  }
  return found as unknown as grpc.ServiceDefinition;
};

const server = new grpc.Server();
server.addService(service("KeyValueBasicInterface"), {
  set({ request }: grpc.ServerUnaryCall<Request, object>, done: grpc.sendUnaryData<object>) {
    VALUES.set(request.key, request.value);
    done(null, { success: true });
  },
  get({ request }: grpc.ServerUnaryCall<Request, object>, done: grpc.sendUnaryData<object>) {
    const value = VALUES.get(request.key);
    done(value === undefined ? { code: grpc.status.NOT_FOUND } : null, { value });
  },
});
server.addService(service("KeyValueScanInterface"), {
  async scan(call: grpc.ServerWritableStream<object, object>) {
    for (const entry of scanEntries()) {
      if (!call.write(entry)) {
        await new Promise<void>((resolve) => call.once("drain", resolve));
      }
    }
    call.end();
  },
});
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) {
    throw error;
  }
  listening({ address: "127.0.0.1", family: "IPv4", port });
});
