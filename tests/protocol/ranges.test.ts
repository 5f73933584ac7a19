/** Ranges over the wire: both directions, limits, folders, and how a call goes on. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, test } from "vitest";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import {
  KeyValueRangeInterface,
  type ReadKeysResponse,
} from "../../gen/prism/interfaces/keyvalue/keyvalue_range_pb.ts";
import { createCall } from "../../server/backend/contract.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";

const { readRange } = KeyValueRangeInterface.method;
const INVALID = { code: Code.InvalidArgument };

type Client = ReturnType<typeof createClient<typeof KeyValueRangeInterface>>;
type RangeInit = Omit<MessageInitShape<(typeof readRange)["input"]>, "$typeName" | "$unknown">;

const TRANSPORTS: readonly (readonly [string, (baseUrl: string) => Transport])[] = [
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
  [
    "Connect, JSON",
    (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
  ],
];

async function start(options: Parameters<typeof startTestServer>[0] = {}): Promise<TestServer> {
  const server = await startTestServer(options);
  onTestFinished(server.stop);
  return server;
}

/** A server with namespaces "default" and "other" on one memory store. */
const startTwo = () =>
  start({
    adjust: (config) => ({
      ...config,
      namespaces: ["default", "other"].flatMap((name) =>
        config.namespaces.map((namespace) => ({ ...namespace, name })),
      ),
    }),
  });

const ranges = (server: TestServer, toTransport = TRANSPORTS[0]?.[1] ?? expect.fail()): Client =>
  createClient(KeyValueRangeInterface, toTransport(server.baseUrl));

/** Writes entries whose values are their keys. */
async function fill(server: TestServer, keys: readonly string[]): Promise<void> {
  const { store, namespace } = server.registry.route("entries", "default", createCall());
  const writes = keys.map((key) => ({ key, value: Buffer.from(key), ttlMs: 0 }));
  await store.set(namespace, writes, createCall());
}

const told = ({ key, commonPrefix }: { readonly key: string; readonly commonPrefix: string }) =>
  key + commonPrefix;

/** Reads keys in calls of `limit` messages, each with the token of the last. */
async function keysByCalls(client: Client, range: RangeInit, limit: number): Promise<string[]> {
  const found: string[] = [];
  for (let pageToken = new Uint8Array(0), calls = 0; ; calls++) {
    expect(calls).toBeLessThan(10_000);
    const part = await Array.fromAsync(client.readKeys({ ...range, limit, pageToken }));
    expect(part.length).toBeLessThanOrEqual(limit);
    found.push(...part.map(told));
    const last = part.at(-1);
    if (last === undefined || last.pageToken.length === 0) {
      return found;
    }
    pageToken = Buffer.from(last.pageToken);
  }
}

/** Reads keys, and leaves after so many messages. */
async function keysUntil(client: Client, range: RangeInit, messages: number): Promise<ReadKeysResponse[]> {
  const read: ReadKeysResponse[] = [];
  for await (const message of client.readKeys(range)) {
    if (read.push(message) === messages) {
      break;
    }
  }
  return read;
}

const FILES = ["a", "dir", "dir/1", "dir/2", "dir/sub/1", "dir/sub/2", "e/1", "z"];

describe.each(TRANSPORTS)("%s", (_name, toTransport) => {
  test("ReadRange and ReadKeys: bounds, direction and limit", async () => {
    const server = await start();
    await fill(server, FILES);
    const client = ranges(server, toTransport);
    const cases: [range: RangeInit, wanted: string[]][] = [
      [{}, FILES],
      [{ reverse: true }, FILES.toReversed()],
      [{ start: "dir/1", end: "e/1" }, ["dir/1", "dir/2", "dir/sub/1", "dir/sub/2"]],
      [{ start: "dir/1", end: "e/1", reverse: true }, ["dir/sub/2", "dir/sub/1", "dir/2", "dir/1"]],
      [{ start: "dir/1", end: "e/1", reverse: true, limit: 1 }, ["dir/sub/2"]],
      [{ prefix: "dir/", start: "dir/2", limit: 2 }, ["dir/2", "dir/sub/1"]],
      [{ start: "e", end: "e" }, []],
      [{ prefix: "e", start: "f" }, []],
    ];
    for (const [range, wanted] of cases) {
      const entries = await Array.fromAsync(client.readRange(range));
      expect(entries.map(({ key }) => key)).toEqual(wanted);
      expect(entries.map(({ value }) => Buffer.from(value).toString())).toEqual(wanted);
      expect((await Array.fromAsync(client.readKeys(range))).map(({ key }) => key)).toEqual(wanted);
    }
  });

  test("a delimiter folds keys into common prefixes", async () => {
    const server = await start();
    await fill(server, FILES);
    const client = ranges(server, toTransport);
    const top = ["a", "dir", "dir/", "e/", "z"];
    const cases: [range: RangeInit, wanted: string[]][] = [
      [{ delimiter: "/" }, top],
      [{ delimiter: "/", reverse: true }, top.toReversed()],
      [{ delimiter: "/", prefix: "dir/" }, ["dir/1", "dir/2", "dir/sub/"]],
      [{ delimiter: "/", prefix: "dir/", reverse: true, limit: 2 }, ["dir/sub/", "dir/2"]],
      [{ delimiter: "/", start: "dir/2", end: "z" }, ["dir/", "e/"]],
      [{ delimiter: "sub" }, ["a", "dir", "dir/1", "dir/2", "dir/sub", "e/1", "z"]],
    ];
    for (const [range, wanted] of cases) {
      const entries = await Array.fromAsync(client.readRange(range));
      expect(entries.map(told)).toEqual(wanted);
      const { delimiter = "", prefix = "" } = range;
      for (const { key, value, commonPrefix } of entries) {
        const isCommon = key === "";
        expect(commonPrefix.slice(prefix.length).includes(delimiter)).toBe(isCommon);
        expect(Buffer.from(value).toString()).toBe(isCommon ? "" : key);
      }
      expect((await Array.fromAsync(client.readKeys(range))).map(told)).toEqual(wanted);
      expect(await keysByCalls(client, range, 1)).toEqual(
        "limit" in range ? ["dir/sub/", "dir/2", "dir/1"] : wanted,
      );
    }
  });

  test("a call that broke goes on from its last token: none is missing, and each but a few come once", async () => {
    const server = await start();
    const keys = Array.from({ length: 5000 }, (_, i) => `k${String(i).padStart(4, "0")}`);
    await fill(server, keys);
    const client = ranges(server, toTransport);
    for (const reverse of [false, true]) {
      const range = { prefix: "k", start: "k0100", end: "k4900", reverse };
      const wanted = reverse ? keys.slice(100, 4900).toReversed() : keys.slice(100, 4900);
      const broken = await keysUntil(client, range, 3000);
      expect(broken.map(({ key }) => key)).toEqual(wanted.slice(0, 3000));
      const at = broken.findLastIndex(({ pageToken }) => pageToken.length > 0);
      expect(at).toBeGreaterThanOrEqual(3000 - 1025);
      const pageToken = broken[at]?.pageToken ?? expect.fail();
      const rest = await Array.fromAsync(client.readKeys({ ...range, pageToken }));
      expect(rest.map(({ key }) => key)).toEqual(wanted.slice(at + 1));
      expect(rest.at(-1)?.pageToken).toHaveLength(0);
    }
  });
});

test.each(TRANSPORTS)("ReadPage over %s: bounds, times to live and tokens", async (_, toTransport) => {
  const server = await start();
  await fill(server, FILES);
  const { store, namespace } = server.registry.route("entries", "default", createCall());
  const value = Buffer.alloc(200_000, 1);
  const large = ["big/1", "big/2", "big/3"].map((key) => ({ key, value, ttlMs: 0 }));
  await store.set(namespace, large, createCall());
  await store.set(namespace, [{ key: "dir/1", value: Buffer.of(255), ttlMs: 90_000 }], createCall());
  const client = ranges(server, toTransport);
  const page = await client.readPage({ start: "dir", end: "e", limit: 3 });
  expect(page.entries.map(({ key }) => key)).toEqual(["dir", "dir/1", "dir/2"]);
  expect(page.entries.map(({ remainingMs }) => remainingMs !== undefined)).toEqual([false, true, false]);
  expect(Buffer.from(page.entries[1]?.value ?? [])).toEqual(Buffer.of(255));
  expect(Number(page.entries[1]?.remainingMs)).toBeLessThanOrEqual(90_000);
  expect(Number(page.entries[1]?.remainingMs)).toBeGreaterThan(1000);
  const { nextPageToken: pageToken } = page;
  const rest = await client.readPage({ start: "dir", end: "e", pageToken });
  expect(rest.entries.map(({ key }) => key)).toEqual(["dir/sub/1", "dir/sub/2"]);
  expect(rest.nextPageToken).toHaveLength(0);
  await expect(client.readPage({ start: "dir", end: "f", pageToken })).rejects.toMatchObject(INVALID);
  // The second large value brings the page to 256 KiB.
  const first = await client.readPage({ prefix: "big/" });
  expect(first.entries.map(({ key }) => key)).toEqual(["big/1", "big/2"]);
  expect((await client.readPage({ prefix: "none" })).entries).toEqual([]);
});

test("calls of every length go on where the last one ended, while keys come and go", async () => {
  const server = await start();
  const keys = Array.from({ length: 40 }, (_, i) => `${String.fromCharCode(97 + (i % 5))}/${i}`).sort();
  await fill(server, keys);
  const client = ranges(server);
  for (const reverse of [false, true]) {
    const inOrder = reverse ? keys.toReversed() : keys;
    const folders = [...new Set(inOrder.map((key) => key.slice(0, 2)))];
    for (const limit of [1, 2, 3, 7, 40, 41]) {
      expect(await keysByCalls(client, { reverse }, limit)).toEqual(inOrder);
      expect(await keysByCalls(client, { reverse, delimiter: "/" }, limit)).toEqual(folders);
    }
  }
  const [first] = await Array.fromAsync(client.readKeys({ limit: 1 }));
  const entries = createClient(KeyValueBasicInterface, createGrpcTransport({ baseUrl: server.baseUrl }));
  await entries.delete({ key: keys[0] ?? "" });
  await entries.delete({ key: keys[1] ?? "" });
  const pageToken = first?.pageToken ?? expect.fail();
  const rest = await Array.fromAsync(client.readKeys({ pageToken }));
  expect(rest.map(({ key }) => key)).toEqual(keys.slice(2));
});

test("a token is for its namespace, call and range only, unchanged", async () => {
  const server = await startTwo();
  await fill(server, FILES);
  const client = ranges(server);
  const range = { start: "a", end: "zz", prefix: "", reverse: false, delimiter: "/", limit: 1 };
  const [message] = await Array.fromAsync(client.readKeys(range));
  const pageToken = message?.pageToken ?? expect.fail();
  const same = { ...range, namespace: "default", limit: 3, pageToken };
  expect((await Array.fromAsync(client.readKeys(same))).map(told)).toEqual(["dir", "dir/", "e/"]);
  const others: RangeInit[] = [
    { namespace: "other" },
    { start: "" },
    { start: "b" },
    { end: "" },
    { prefix: "d" },
    { reverse: true },
    { delimiter: "" },
    { delimiter: "i" },
    { pageToken: pageToken.subarray(1) },
    { pageToken: pageToken.subarray(0, -1) },
    { pageToken: Buffer.from("forged") },
  ];
  for (const other of others) {
    const refused = Array.fromAsync(client.readKeys({ ...same, ...other }));
    await expect(refused, JSON.stringify(other)).rejects.toMatchObject({
      ...INVALID,
      message: expect.stringContaining("page_token"),
    });
  }
  await expect(Array.fromAsync(client.readRange(same))).rejects.toMatchObject(INVALID);
});

test("a token outlives the gateway", async () => {
  const directory = mkdtempSync(join(tmpdir(), "prism-ranges-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const startOnFile = () =>
    start({
      adjust: (config) => ({
        ...config,
        backends: { file: { type: "sqlite", path: join(directory, "prism.db") } },
        namespaces: [{ name: "default", pattern: "keyvalue", backend: "file" }],
      }),
    });
  const before = await startOnFile();
  await fill(before, FILES);
  for (const reverse of [false, true]) {
    const range = { start: "a", reverse };
    const running = reverse ? await startOnFile() : before;
    const [first] = await Array.fromAsync(ranges(running).readRange({ ...range, limit: 1 }));
    await running.stop();
    const after = await startOnFile();
    const pageToken = first?.pageToken ?? expect.fail();
    const rest = await Array.fromAsync(ranges(after).readRange({ ...range, pageToken }));
    const wanted = reverse ? FILES.toReversed() : FILES;
    expect(rest.map(({ key }) => key)).toEqual(wanted.slice(1));
    await after.stop();
  }
});
