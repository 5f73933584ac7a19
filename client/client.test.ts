import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { startTestServer, type TestServer } from "../server/testing/server.ts";
import type { PrismClient } from "./client.ts";
import { KeyNotFoundError, NamespaceNotFoundError, PrismError } from "./errors.ts";
import { PrismClient as NodeClient } from "./node.ts";
import { PrismClient as WebClient } from "./web.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const START_MS = Date.parse("2026-01-01T00:00:00Z");

/** Every client against a whole server: gRPC over HTTP/2 from Node, Connect over HTTP/1.1 as a browser does. */
describe.each([
  { kind: "node", connect: (server: TestServer): PrismClient => new NodeClient(server.address) },
  { kind: "web", connect: (server: TestServer): PrismClient => new WebClient(server.baseUrl) },
])("the $kind client", ({ connect }) => {
  let server: TestServer;
  let client: PrismClient;
  let nowMs = START_MS;

  beforeAll(async () => {
    server = await startTestServer({ clock: { now: () => nowMs } });
    client = connect(server);
  });

  afterAll(async () => {
    await client.close();
    await server.stop();
  });

  beforeEach(async () => {
    for await (const key of client.keyvalue.scanKeys()) {
      await client.keyvalue.delete(key);
    }
  });

  describe("RFC-026's integration tests", () => {
    test("test_set_get", async () => {
      await client.keyvalue.set("test-key", "test-value");
      expect(await client.keyvalue.get("test-key")).toEqual(bytes("test-value"));
    });

    test("test_delete", async () => {
      await client.keyvalue.set("delete-me", "data");
      expect(await client.keyvalue.delete("delete-me")).toBe(true);
      await expect(client.keyvalue.get("delete-me")).rejects.toThrow(KeyNotFoundError);
    });

    test("test_ttl", async () => {
      await client.keyvalue.set("expires", "soon", { ttlSeconds: 1 });
      expect(await client.keyvalue.exists("expires")).toBe(true);
      nowMs += 1500;
      expect(await client.keyvalue.exists("expires")).toBe(false);
    });

    test("test_scan", async () => {
      await client.keyvalue.set("user:1", "alice");
      await client.keyvalue.set("user:2", "bob");
      await client.keyvalue.set("post:1", "hello");
      expect(await Array.fromAsync(client.keyvalue.scan("user:"))).toEqual([
        ["user:1", bytes("alice")],
        ["user:2", bytes("bob")],
      ]);
    });

    test("test_list_fifo", async () => {
      expect(await client.list.pushRight("queue", "first")).toBe(1);
      expect(await client.list.pushRight("queue", "second")).toBe(2);
      expect(await client.list.pushRight("queue", "third")).toBe(3);
      expect(await client.list.length("queue")).toBe(3);
      expect(await client.list.popLeft("queue")).toEqual(bytes("first"));
      expect(await client.list.popLeft("queue")).toEqual(bytes("second"));
      expect(await client.list.popLeft("queue")).toEqual(bytes("third"));
      expect(await client.list.popLeft("queue")).toBeUndefined();
    });

    test("test_list_stack", async () => {
      await client.list.pushRight("stack", "first");
      await client.list.pushRight("stack", "second");
      await client.list.pushRight("stack", "third");
      expect(await client.list.popRight("stack")).toEqual(bytes("third"));
      expect(await client.list.popRight("stack")).toEqual(bytes("second"));
      expect(await client.list.popRight("stack")).toEqual(bytes("first"));
    });
  });

  test("keeps any bytes, the empty value, and answers with plain Uint8Arrays", async () => {
    const all = Uint8Array.from({ length: 256 }, (_, i) => i);
    await client.keyvalue.set("all", all);
    await client.keyvalue.set("empty", new Uint8Array(0));
    const value = await client.keyvalue.get("all");
    expect(value).toEqual(all);
    expect(value.constructor).toBe(Uint8Array);
    expect(await client.keyvalue.get("empty")).toEqual(new Uint8Array(0));
    expect(await client.list.pushLeft("bytes", all)).toBe(1);
    expect(await client.list.popLeft("bytes")).toEqual(all);
  });

  test("counts, lists and limits by prefix", async () => {
    for (const key of ["a\0", "a:2", "a:1", "b", "\u{1F600}", "\u{FFFD}"]) {
      await client.keyvalue.set(key, key);
    }
    expect(await client.keyvalue.count("a:")).toBe(2);
    expect(await client.keyvalue.count()).toBe(6);
    // U+FFFD before U+1F600: the order of UTF-8 bytes, not of JavaScript's strings.
    const keys = ["a\0", "a:1", "a:2", "b", "\u{FFFD}", "\u{1F600}"];
    expect(await Array.fromAsync(client.keyvalue.scanKeys())).toEqual(keys);
    expect(await Array.fromAsync(client.keyvalue.scanKeys("a", { limit: 2 }))).toEqual(["a\0", "a:1"]);
    expect(await Array.fromAsync(client.keyvalue.scan("none"))).toEqual([]);
  });

  test("tells a missing key from an unknown namespace", async () => {
    await expect(client.keyvalue.get("nothing")).rejects.toMatchObject({
      name: "KeyNotFoundError",
      reason: "key_not_found",
      key: "nothing",
      namespace: "default",
      retryable: false,
      requestId: expect.stringMatching(/./),
    });
    const unknown = client.keyvalue.get("nothing", { namespace: "nowhere" });
    await expect(unknown).rejects.toThrow(NamespaceNotFoundError);
    await expect(unknown).rejects.not.toThrow(KeyNotFoundError);
    const scan = Array.fromAsync(client.keyvalue.scan("", { namespace: "nowhere" }));
    await expect(scan).rejects.toThrow(NamespaceNotFoundError);
  });

  test("refuses what the wire cannot carry, before it is sent", async () => {
    const { keyvalue, list } = client;
    const calls = [
      keyvalue.get("\ud800"),
      keyvalue.set("key", "\udc00"),
      keyvalue.set("key", "value", { ttlSeconds: 1.5 }),
      keyvalue.get("key", { timeoutMs: -1 }),
      list.length("\ud800"),
      Array.fromAsync(keyvalue.scan("", { limit: 2 ** 31 })),
    ];
    for (const call of calls) {
      await expect(call).rejects.toMatchObject({ reason: "invalid_field", requestId: undefined });
    }
  });

  test("hands on what the gateway refuses", async () => {
    const { keyvalue } = client;
    const negative = keyvalue.set("key", "value", { ttlSeconds: -1 });
    await expect(negative).rejects.toMatchObject({ reason: "invalid_field", namespace: "default" });
    await expect(keyvalue.exists("")).rejects.toThrow(PrismError);
    const tooLarge = client.list.pushLeft("list", new Uint8Array(4 * 1024 * 1024 + 1));
    await expect(tooLarge).rejects.toMatchObject({ reason: "value_too_large" });
  });

  test("ends a call by its signal", async () => {
    const signal = AbortSignal.abort();
    await expect(client.keyvalue.get("key", { signal })).rejects.toMatchObject({ reason: "canceled" });

    await client.keyvalue.set("1", "");
    await client.keyvalue.set("2", "");
    const leaving = new AbortController();
    const scan = client.keyvalue.scan("", { signal: leaving.signal })[Symbol.asyncIterator]();
    await scan.next();
    leaving.abort();
    await expect(scan.next().then(() => scan.next())).rejects.toMatchObject({ reason: "canceled" });
  });

  test("after close, refuses calls and ends those in flight", async () => {
    const closing = connect(server);
    await closing.keyvalue.set("1", "");
    const scan = closing.keyvalue.scan()[Symbol.asyncIterator]();
    await scan.next();
    await closing.close();
    await closing.close();
    const closed = { reason: "canceled", message: "the client is closed" };
    await expect(scan.next()).rejects.toMatchObject(closed);
    await expect(closing.keyvalue.get("1")).rejects.toMatchObject(closed);
    await expect(Array.fromAsync(closing.keyvalue.scan())).rejects.toMatchObject(closed);
  });

  test("fails with Unavailable where nobody listens", async () => {
    const other = await startTestServer();
    const client = connect(other);
    await client.keyvalue.set("key", "value");
    await other.stop();
    const failed = { reason: "unspecified", code: 14, requestId: undefined };
    await expect(client.keyvalue.get("key")).rejects.toMatchObject({ ...failed, retryable: true });
    await expect(client.list.popLeft("key")).rejects.toMatchObject({ ...failed, retryable: false });
  });
});

test("namespace and timeout of a client hold for calls that name none", async () => {
  await using server = await startTestServer();
  await using lost = new NodeClient(server.address, { namespace: "nowhere" });
  await expect(lost.keyvalue.get("key")).rejects.toThrow(NamespaceNotFoundError);
  await expect(lost.keyvalue.exists("key", { namespace: "default" })).resolves.toBe(false);
});

test("a web client takes the origin of its page", async () => {
  expect(() => new WebClient()).toThrow(TypeError);
  await using server = await startTestServer();
  vi.stubGlobal("location", { origin: server.baseUrl });
  try {
    await using client = new WebClient();
    expect(await client.keyvalue.exists("key")).toBe(false);
  } finally {
    vi.unstubAllGlobals();
  }
});
