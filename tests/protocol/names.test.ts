/** Which lists and records there are, over the wire: bounds, pages and tokens. */
import { Code, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, test } from "vitest";
import { ListNamesInterface } from "../../gen/prism/interfaces/list/list_names_pb.ts";
import { RecordIdsService } from "../../gen/prism/keyvalue/v1/record_ids_pb.ts";
import { createCall } from "../../server/backend/contract.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";

const TRANSPORTS: readonly (readonly [string, (baseUrl: string) => Transport])[] = [
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
  [
    "Connect, JSON",
    (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
  ],
];

interface Query {
  readonly namespace?: string;
  readonly start?: string;
  readonly end?: string;
  readonly prefix?: string;
  readonly limit?: number;
  readonly pageToken?: Uint8Array;
}

type ReadPage = (query: Query) => Promise<{
  readonly names: readonly string[];
  readonly nextPageToken: Uint8Array;
}>;

/** Both calls, which take and answer the same. */
function readers(transport: Transport): readonly ReadPage[] {
  const lists = createClient(ListNamesInterface, transport);
  const records = createClient(RecordIdsService, transport);
  return [
    async (query) => {
      const { listKeys: names, nextPageToken } = await lists.readNames(query);
      return { names, nextPageToken };
    },
    async (query) => {
      const { ids: names, nextPageToken } = await records.readIds(query);
      return { names, nextPageToken };
    },
  ];
}

/** A server with these lists and these records, in namespaces "default" and "other". */
async function start(names: readonly string[]): Promise<TestServer> {
  const server = await startTestServer({
    adjust: (config) => ({
      ...config,
      namespaces: ["default", "other"].flatMap((name) =>
        config.namespaces.map((namespace) => ({ ...namespace, name })),
      ),
    }),
  });
  onTestFinished(server.stop);
  const value = Buffer.from("1");
  const lists = server.registry.route("lists", "default", createCall());
  const records = server.registry.route("records", "default", createCall());
  const pushes = names.map((key) => ({ key, end: "left" as const, value }));
  const item = { key: value, value, metadata: Buffer.alloc(0), ttlMs: 0 };
  await lists.store.push("default", pushes, createCall());
  const puts = names.map((id) => ({ id, items: [item] }));
  await records.store.putItems("default", puts, createCall());
  return server;
}

describe.each(TRANSPORTS)("%s", (_, toTransport) => {
  test("a range, page by page, in byte order", async () => {
    const names = ["a", "b/1", "b/2", "b/\u{ffff}", "b/😀", "c"];
    const server = await start(names.toReversed());
    for (const read of readers(toTransport(server.baseUrl))) {
      expect(await read({})).toEqual({ names, nextPageToken: new Uint8Array(0) });
      expect((await read({ prefix: "b/", start: "b/2" })).names).toEqual(names.slice(2, 5));
      expect((await read({ start: "b", end: "b/\u{ffff}" })).names).toEqual(["b/1", "b/2"]);
      expect((await read({ start: "b", end: "b" })).names).toEqual([]);
      const found: string[] = [];
      let pageToken: Uint8Array = new Uint8Array(0);
      do {
        const page = await read({ prefix: "b/", limit: 3, pageToken });
        found.push(...page.names);
        pageToken = page.nextPageToken;
      } while (pageToken.length > 0);
      expect(found).toEqual(names.slice(1, 5));
    }
  });

  test("a page has at most 1,024, whatever the limit", async () => {
    const names = Array.from({ length: 1500 }, (_, i) => String(i).padStart(4, "0"));
    const server = await start(names);
    for (const read of readers(toTransport(server.baseUrl))) {
      const first = await read({ limit: 2_147_483_647 });
      expect(first.names).toEqual(names.slice(0, 1024));
      expect(await read({ pageToken: first.nextPageToken })).toEqual({
        names: names.slice(1024),
        nextPageToken: new Uint8Array(0),
      });
    }
  });
});

test("a token is for its namespace, call and range only, unchanged", async () => {
  const server = await start(["a", "b", "c"]);
  const [readLists, readRecords] = readers(createGrpcTransport({ baseUrl: server.baseUrl }));
  if (readLists === undefined || readRecords === undefined) {
    throw new Error("no readers");
  }
  const range = { start: "a", end: "z", limit: 1 };
  const { nextPageToken: pageToken } = await readLists(range);
  const same = { ...range, namespace: "default", limit: 9, pageToken };
  expect((await readLists(same)).names).toEqual(["b", "c"]);
  const others: Query[] = [
    { namespace: "other" },
    { start: "" },
    { end: "" },
    { prefix: "b" },
    { pageToken: pageToken.subarray(1) },
    { pageToken: pageToken.subarray(0, -1) },
  ];
  const refused = [
    ...others.map((other) => readLists({ ...same, ...other })),
    readRecords(same), // a token of the other call
  ];
  for (const result of await Promise.allSettled(refused)) {
    expect(result).toMatchObject({ status: "rejected", reason: { code: Code.InvalidArgument } });
  }
});
