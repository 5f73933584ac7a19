/** RFC-026's integration tests with JavaScript's clients. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import * as web from "@connectrpc/connect-web";
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { loadSync, type MethodDefinition } from "@grpc/proto-loader";
import { afterAll, beforeAll, describe } from "vitest";
import * as prism from "../../client/node.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { ListBasicInterface } from "../../gen/prism/interfaces/list/list_basic_pb.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { createTestClock, type IntegrationClient, testIntegration } from "./integration.ts";

const clock = createTestClock();
let server: TestServer;

beforeAll(async () => {
  server = await startTestServer({ clock });
});

afterAll(() => server.stop());

describe.each<[string, (baseUrl: string) => Transport]>([
  ["Prism's own transport", (baseUrl) => prism.createGrpcTransport({ baseUrl })],
  ["connect-node, gRPC", (baseUrl) => node.createGrpcTransport({ baseUrl })],
  [
    "connect-node, gRPC, gzip",
    (baseUrl) =>
      node.createGrpcTransport({ baseUrl, sendCompression: node.compressionGzip, compressMinBytes: 1 }),
  ],
  [
    "connect-node, gRPC-Web, HTTP/1.1",
    (baseUrl) => node.createGrpcWebTransport({ baseUrl, httpVersion: "1.1" }),
  ],
  ["connect-node, gRPC-Web, HTTP/2", (baseUrl) => node.createGrpcWebTransport({ baseUrl, httpVersion: "2" })],
  [
    "connect-node, Connect, HTTP/1.1",
    (baseUrl) => node.createConnectTransport({ baseUrl, httpVersion: "1.1" }),
  ],
  [
    "connect-node, Connect, HTTP/2, JSON, GET",
    (baseUrl) =>
      node.createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false, useHttpGet: true }),
  ],
  ["connect-web, Connect, JSON", (baseUrl) => web.createConnectTransport({ baseUrl })],
  [
    "connect-web, Connect, GET",
    (baseUrl) => web.createConnectTransport({ baseUrl, useBinaryFormat: true, useHttpGet: true }),
  ],
  ["connect-web, gRPC-Web", (baseUrl) => web.createGrpcWebTransport({ baseUrl })],
])("%s", (_name, createTransport) => {
  let client: IntegrationClient;
  beforeAll(() => {
    client = overTransport(createTransport(server.baseUrl));
  });
  testIntegration(() => client, clock.pass);
});

function overTransport(transport: Transport): IntegrationClient {
  const keyvalue = createClient(KeyValueBasicInterface, transport);
  const scans = createClient(KeyValueScanInterface, transport);
  const list = createClient(ListBasicInterface, transport);
  return {
    async set(key, value, ttlSeconds) {
      await keyvalue.set({ key, value, ...(ttlSeconds !== undefined && { ttlSeconds: BigInt(ttlSeconds) }) });
    },
    get: (key) =>
      keyvalue.get({ key }).then(
        ({ value }) => Buffer.from(value),
        (error: unknown) => {
          if (ConnectError.from(error).code === Code.NotFound) {
            return undefined;
          }
          throw error;
        },
      ),
    delete: async (key) => (await keyvalue.delete({ key })).found,
    exists: async (key) => (await keyvalue.exists({ key })).exists,
    scan: (prefix) =>
      Array.fromAsync(scans.scan({ prefix }), ({ key, value }) => [key, Buffer.from(value)] as const),
    count: async (prefix) => Number((await scans.count({ prefix })).count),
    push: async (end, listKey, value) => Number((await list[`push${end}`]({ listKey, value })).newLength),
    async pop(end, listKey) {
      const { found, value } = await list[`pop${end}`]({ listKey });
      return found ? Buffer.from(value) : undefined;
    },
    length: async (listKey) => Number((await list.length({ listKey })).length),
  };
}

describe("@grpc/grpc-js, from the seed's own .proto text", () => {
  let channel: Client;
  beforeAll(() => {
    channel = new Client(server.address, credentials.createInsecure());
  });
  afterAll(() => channel.close());
  testIntegration(() => overGrpcJs(channel), clock.pass);
});

const SEED_PROTOS = join(import.meta.dirname, "seed-protos");
const seed = loadSync(readdirSync(SEED_PROTOS), {
  includeDirs: [SEED_PROTOS],
  keepCase: true,
  longs: Number,
  defaults: true,
});

function overGrpcJs(channel: Client): IntegrationClient {
  const unary = <T>(path: string, request: object): Promise<T> => {
    const { requestSerialize, responseDeserialize } = seedMethod(path);
    return new Promise((resolve, reject) => {
      channel.makeUnaryRequest(
        path,
        requestSerialize,
        (bytes) => responseDeserialize(bytes) as T,
        request,
        (error, response) => (error === null && response !== undefined ? resolve(response) : reject(error)),
      );
    });
  };
  const keyvalue = "/prism.interfaces.keyvalue.KeyValueBasicInterface";
  const scans = "/prism.interfaces.keyvalue.KeyValueScanInterface";
  const list = "/prism.interfaces.list.ListBasicInterface";
  return {
    async set(key, value, ttl_seconds) {
      await unary(`${keyvalue}/Set`, { key, value, ...(ttl_seconds !== undefined && { ttl_seconds }) });
    },
    get: (key) =>
      unary<{ value: Buffer }>(`${keyvalue}/Get`, { key }).then(
        ({ value }) => value,
        (error: ServiceError) => {
          if (error.code === status.NOT_FOUND) {
            return undefined;
          }
          throw error;
        },
      ),
    delete: async (key) => (await unary<{ found: boolean }>(`${keyvalue}/Delete`, { key })).found,
    exists: async (key) => (await unary<{ exists: boolean }>(`${keyvalue}/Exists`, { key })).exists,
    async scan(prefix) {
      const path = `${scans}/Scan`;
      const { requestSerialize, responseDeserialize } = seedMethod(path);
      const entries: AsyncIterable<{ key: string; value: Buffer }> = channel.makeServerStreamRequest(
        path,
        requestSerialize,
        (bytes) => responseDeserialize(bytes) as { key: string; value: Buffer },
        { prefix },
      );
      return Array.fromAsync(entries, ({ key, value }) => [key, value] as const);
    },
    count: async (prefix) => (await unary<{ count: number }>(`${scans}/Count`, { prefix })).count,
    push: async (end, list_key, value) =>
      (await unary<{ new_length: number }>(`${list}/Push${end}`, { list_key, value })).new_length,
    async pop(end, list_key) {
      const { found, value } = await unary<{ found: boolean; value: Buffer }>(`${list}/Pop${end}`, {
        list_key,
      });
      return found ? value : undefined;
    },
    length: async (list_key) => (await unary<{ length: number }>(`${list}/Length`, { list_key })).length,
  };
}

function seedMethod(path: string): MethodDefinition<object, object> {
  const [, service = "", name = ""] = path.split("/");
  const methods = seed[service] as Record<string, MethodDefinition<object, object>> | undefined;
  const method = methods?.[name];
  if (method === undefined) {
    throw new Error(`the seed has no ${path}`);
  }
  return method;
}
