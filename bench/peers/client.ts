/**
 * A client that makes Gets for a second: `client.ts NAME PORT IN_FLIGHT`. Prints its rate and its
 * CPU time for a call.
 */
import { createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport as createConnectNodeTransport } from "@connectrpc/connect-node";
import { Client, credentials } from "@grpc/grpc-js";
import { loadSync, type MethodDefinition } from "@grpc/proto-loader";
import { createGrpcTransport, PrismClient } from "../../client/node.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { pinThisProcess } from "../harness/process.ts";

const WARM_UP_SECONDS = 0.7;
const SECONDS = 1;

function overTransport(transport: Transport): () => Promise<unknown> {
  const client = createClient(KeyValueBasicInterface, transport);
  return () => client.get({ key: "small" });
}

function overGrpcJs(address: string): () => Promise<unknown> {
  const folder = new URL("../../server/protocol/seed-protos", import.meta.url).pathname;
  const { "prism.interfaces.keyvalue.KeyValueBasicInterface": service } = loadSync("keyvalue_basic.proto", {
    includeDirs: [folder],
  });
  const { Get } = service as unknown as Record<string, MethodDefinition<object, object>>;
  if (Get === undefined) {
    throw new TypeError("no Get");
  }
  const client = new Client(address, credentials.createInsecure());
  return () =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        Get.path,
        Get.requestSerialize,
        Get.responseDeserialize,
        { key: "small" },
        (error, response) => (error === null ? resolve(response) : reject(error)),
      );
    });
}

function makeCall(name: string, address: string): () => Promise<unknown> {
  const baseUrl = `http://${address}`;
  switch (name) {
    case "prism":
      return overTransport(createGrpcTransport({ baseUrl }));
    case "prism-client": {
      const client = new PrismClient(address);
      return () => client.keyvalue.get("small");
    }
    case "grpc-js":
      return overGrpcJs(address);
    case "connect-node":
      return overTransport(createConnectNodeTransport({ baseUrl, acceptCompression: [] }));
    default:
      throw new TypeError(`no client ${name}`);
  }
}

pinThisProcess();
const [, , name = "", port = "", inFlight = "1"] = process.argv;
const call = makeCall(name, `127.0.0.1:${port}`);

async function load(seconds: number): Promise<number> {
  const endMs = performance.now() + seconds * 1000;
  let calls = 0;
  const lane = async () => {
    while (performance.now() < endMs) {
      await call();
      calls++;
    }
  };
  await Promise.all(Array.from({ length: Number(inFlight) }, lane));
  return calls;
}

await load(WARM_UP_SECONDS);
const cpuBefore = process.cpuUsage();
const startedAtMs = performance.now();
const calls = await load(SECONDS);
const seconds = (performance.now() - startedAtMs) / 1000;
const { user, system } = process.cpuUsage(cpuBefore);
console.log(JSON.stringify({ rate: calls / seconds, cpuMicros: (user + system) / calls }));
process.exit(0);
