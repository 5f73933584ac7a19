import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { createRouterTransport } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { any, CLIENTS } from "../tests/helpers/clients.ts";
import { startTestServer, type TestServer } from "../tests/helpers/server.ts";
import type { PrismClient } from "./client.ts";
import type { Value } from "./convert.ts";
import { KeyNotFoundError, NamespaceNotFoundError, PrismError } from "./errors.ts";
import { PrismClient as NodeClient } from "./node.ts";
import { PrismClient as WebClient } from "./web.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const START_MS = Date.parse("2026-01-01T00:00:00Z");

/** Every client against a whole server. */
describe.each(CLIENTS)("the $kind client", ({ connect }) => {
  let server: TestServer;
  let client: PrismClient;
  let nowMs = START_MS;

  beforeAll(async () => {
    server = await startTestServer({
      clock: { now: () => nowMs },
      adjust: (config) => ({
        ...config,
        namespaces: ["default", "other"].map((name) => ({ name, pattern: "keyvalue", backend: "database" })),
      }),
    });
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

  test("a pop waits for its value, longer than other calls", async () => {
    const short = connect(server, 20);
    expect(await client.list.blockingPopRight("waits", { waitMs: 1 })).toBeUndefined();
    expect(await short.list.blockingPopLeft("waits", { waitMs: 100, timeoutMs: 30_000 })).toBeUndefined();
    const waits = short.list.blockingPopLeft("waits");
    await client.list.pushRight("waits", "first");
    expect(await waits).toEqual(bytes("first"));
    await expect(client.list.blockingPopLeft("waits", { waitMs: 1.5 })).rejects.toMatchObject({
      reason: "invalid_field",
    });
    await short.close();
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

  test("finds what is there, and answers undefined for a key that is not", async () => {
    await client.keyvalue.set("empty", "");
    expect(await client.keyvalue.find("empty")).toEqual(new Uint8Array(0));
    expect(await client.keyvalue.find("nothing")).toBeUndefined();
    const unknown = client.keyvalue.find("nothing", { namespace: "nowhere" });
    await expect(unknown).rejects.toThrow(NamespaceNotFoundError);
    await expect(client.keyvalue.find(any(5))).rejects.toMatchObject({ reason: "invalid_field" });
  });

  test("has a view of another namespace, which ends with it", async () => {
    const viewing = connect(server);
    const other = viewing.namespace("other");
    await other.keyvalue.set("key", "there");
    await other.list.pushLeft("list", "there");
    await other.records.put("id", [{ key: "item", value: "there" }]);
    expect(await viewing.keyvalue.exists("key")).toBe(false);
    expect(await viewing.keyvalue.get("key", { namespace: "other" })).toEqual(bytes("there"));
    expect(await other.keyvalue.exists("key", { namespace: "default" })).toBe(false);
    expect(await Array.fromAsync(other.keyvalue.scanKeys())).toEqual(["key"]);
    expect(await viewing.list.length("list", { namespace: "other" })).toBe(1);
    expect(await viewing.records.get("id")).toEqual([]);
    const nowhere = viewing.namespace("nowhere").keyvalue.find("key");
    await expect(nowhere).rejects.toThrow(NamespaceNotFoundError);
    expect(() => viewing.namespace(any(5))).toThrow(/^namespace must be a string/);
    await viewing.close();
    await expect(other.keyvalue.get("key")).rejects.toMatchObject({ reason: "canceled" });
  });

  test("refuses values of wrong types, and what the wire cannot carry, before it sends anything", async () => {
    const { keyvalue, list } = client;
    const sent = server.log.length;
    const transferred = new Uint8Array([1]);
    structuredClone(transferred.buffer, { transfer: [transferred.buffer] });
    const noValues = [
      undefined,
      null,
      5,
      5n,
      true,
      [1, 2, 300],
      { 0: 1, length: 1 },
      new Date(),
      transferred,
    ];
    const noKeys = [undefined, null, 5, ["key"], { key: "key" }, new Uint8Array(1), "\ud800"];
    const noNumbers = [null, "5", Number.NaN, -1, 1.5, Number.POSITIVE_INFINITY, 5n, { seconds: 5 }];
    const calls: [message: RegExp, make: () => Promise<unknown>[]][] = [
      [
        /^value /,
        () => [
          keyvalue.set("key", "\udc00"),
          ...noValues.flatMap((value) => [
            keyvalue.set("key", any(value)),
            list.pushLeft("list", any(value)),
            list.pushRight("list", any(value)),
          ]),
        ],
      ],
      [
        /^key /,
        () =>
          noKeys.flatMap((key) => [
            keyvalue.set(any(key), "value"),
            keyvalue.get(any(key)),
            keyvalue.find(any(key)),
            keyvalue.delete(any(key)),
            keyvalue.exists(any(key)),
          ]),
      ],
      [
        /^prefix /,
        () =>
          noKeys
            .filter((prefix) => prefix !== undefined)
            .flatMap((prefix) => [
              Array.fromAsync(keyvalue.scan(any(prefix))),
              Array.fromAsync(keyvalue.scanKeys(any(prefix))),
              keyvalue.count(any(prefix)),
            ]),
      ],
      [
        /^listKey /,
        () =>
          noKeys.flatMap((key) => [
            list.pushLeft(any(key), "value"),
            list.pushRight(any(key), "value"),
            list.popLeft(any(key)),
            list.popRight(any(key)),
            list.length(any(key)),
          ]),
      ],
      [
        /^ttlSeconds /,
        () => noNumbers.map((ttlSeconds) => keyvalue.set("key", "value", any({ ttlSeconds }))),
      ],
      [
        /^limit /,
        () => [...noNumbers, 2 ** 31].map((limit) => Array.fromAsync(keyvalue.scanKeys("", any({ limit })))),
      ],
      [
        /^timeoutMs /,
        () =>
          noNumbers.flatMap((timeoutMs) => [
            keyvalue.get("key", any({ timeoutMs })),
            Array.fromAsync(keyvalue.scan("", any({ timeoutMs }))),
          ]),
      ],
      [
        /^namespace /,
        () => [null, 5, {}, "\ud800"].map((namespace) => list.length("list", any({ namespace }))),
      ],
      [/^signal /, () => [5, null, {}].map((signal) => keyvalue.exists("key", any({ signal })))],
      [/^options /, () => [null, 5, "", []].map((options) => keyvalue.get("key", any(options)))],
      [
        /^there is no option (ttl|prefix|limit), but /,
        () => [
          keyvalue.set("key", "value", any({ ttl: 5 })),
          keyvalue.count("", any({ limit: 5 })),
          Array.fromAsync(keyvalue.scan("", any({ prefix: "a" }))),
        ],
      ],
    ];
    for (const [message, make] of calls) {
      for (const outcome of await Promise.allSettled(make())) {
        expect(outcome).toMatchObject({
          status: "rejected",
          reason: {
            reason: "invalid_field",
            code: 3,
            retryable: false,
            requestId: undefined,
            message: expect.stringMatching(message),
          },
        });
      }
    }
    expect(server.log.length).toBe(sent);
  });

  test("takes whatever is bytes as its bytes", async () => {
    const all = Uint8Array.from({ length: 16 }, (_, i) => i + 1);
    const shared = new SharedArrayBuffer(16);
    new Uint8Array(shared).set(all);
    const values: [Value, Uint8Array][] = [
      [all.buffer, all],
      [all.subarray(3, 5), Uint8Array.of(4, 5)],
      [new DataView(all.buffer, 1, 2), Uint8Array.of(2, 3)],
      [new Float64Array(all.buffer, 8, 1), all.subarray(8)],
      [new Uint16Array(all.buffer, 2, 1), Uint8Array.of(3, 4)],
      [Buffer.from("text"), bytes("text")],
      [shared, all],
      [new Uint8Array(shared, 1, 1), Uint8Array.of(2)],
      [new ArrayBuffer(0), new Uint8Array(0)],
    ];
    for (const [value, stored] of values) {
      await client.keyvalue.set("bytes", value);
      expect(await client.keyvalue.get("bytes")).toEqual(stored);
    }
    // The web's own functions take the result: this has to compile.
    const response = new Response(await client.keyvalue.get("bytes"));
    expect((await response.arrayBuffer()).byteLength).toBe(0);
  });

  test("hands on what the gateway refuses", async () => {
    const { keyvalue } = client;
    await expect(keyvalue.exists("")).rejects.toThrow(PrismError);
    const tooLong = keyvalue.set("key", "value", { ttlSeconds: Number.MAX_SAFE_INTEGER });
    await expect(tooLong).rejects.toMatchObject({ reason: "invalid_field", namespace: "default" });
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

  test("a signal of time is a deadline", async () => {
    const signal = AbortSignal.timeout(1);
    await once(signal, "abort");
    await expect(client.keyvalue.get("key", { signal })).rejects.toMatchObject({
      reason: "deadline_exceeded",
      code: 4,
    });
  });

  test("keeps nothing of a call: no listener stays with a signal that lives on", async () => {
    const { signal } = new AbortController();
    const add = vi.spyOn(signal, "addEventListener");
    const remove = vi.spyOn(signal, "removeEventListener");
    await client.keyvalue.set("key", "value", { signal });
    expect(await Array.fromAsync(client.keyvalue.scanKeys("", { signal }))).toEqual(["key"]);
    await expect(client.keyvalue.get("other", { signal })).rejects.toThrow(KeyNotFoundError);
    for await (const _key of client.keyvalue.scanKeys("", { signal })) {
      break;
    }
    expect(add).toHaveBeenCalledTimes(4);
    expect(remove.mock.calls).toEqual(add.mock.calls);
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
    // Both say where, why, and what to check.
    const message = expect.stringMatching(
      new RegExp(`^no (connection to|answer from) (http://)?${other.address}: (?=.*ECONNREFUSED).*check `),
    );
    const failed = { reason: "unspecified", code: 14, requestId: undefined, message };
    await expect(client.keyvalue.get("key")).rejects.toMatchObject({ ...failed, retryable: true });
    // It surely did not run.
    await expect(client.list.popLeft("key")).rejects.toMatchObject({ ...failed, retryable: true });
  });
});

test("namespace and timeout of a client hold for calls that name none", async () => {
  await using server = await startTestServer();
  await using lost = new NodeClient(server.address, { namespace: "nowhere" });
  await expect(lost.keyvalue.get("key")).rejects.toThrow(NamespaceNotFoundError);
  await expect(lost.keyvalue.exists("key", { namespace: "default" })).resolves.toBe(false);
});

describe.each([
  { kind: "node", Client: NodeClient, server: () => http2.createServer() },
  { kind: "web", Client: WebClient, server: () => http.createServer() },
])("a $kind client can be given", ({ Client, server }) => {
  test("headers and interceptors, which every call has", async () => {
    const seen: (string | null)[] = [];
    const baseUrl = await startHeaderGateway(server(), (header) =>
      seen.push(header.get("x-tenant"), header.get("x-turn")),
    );
    let turn = 0;
    const client = new Client(baseUrl, {
      headers: { "X-Tenant": "blue" },
      interceptors: [
        (next) => (request) => {
          request.header.set("x-turn", String(++turn));
          return next(request);
        },
      ],
    });
    expect(await client.keyvalue.exists("key")).toBe(true);
    expect(await Array.fromAsync(client.keyvalue.scanKeys())).toEqual(["key"]);
    expect(seen).toEqual(["blue", "1", "blue", "2"]);
    await client.close();
  });

  test("a transport of one's own, which it does not close", async () => {
    const transport = createRouterTransport(({ service }) => {
      service(KeyValueBasicInterface, {
        exists: (_request, { requestHeader }) => ({ exists: requestHeader.get("x-tenant") === "blue" }),
      });
    });
    const client = new Client(transport, { headers: [["x-tenant", "blue"]], namespace: "orders" });
    expect(await client.keyvalue.exists("key")).toBe(true);
    await client.close();
    await expect(client.keyvalue.exists("key")).rejects.toMatchObject({ reason: "canceled" });
    expect(await new Client(transport).keyvalue.exists("key")).toBe(false);
  });

  test.each([
    { namspace: "orders" },
    { namespace: 5 },
    { timeoutMs: -1 },
    { headers: { "no name": "x" } },
    null,
  ])("nothing else: %j", (options) => {
    expect(() => new Client("http://127.0.0.1:8980", options as never)).toThrow(PrismError);
  });

  test.each([undefined, null, 5, {}, "", "a b", "ftp://host", "http://"])(
    "no address but a string that is one: %j",
    (address) => {
      expect(() => new Client(address as never)).toThrow(TypeError);
    },
  );
});

test.each(["localhost:8980", "127.0.0.1:8980", "gateway", "/behind", "//host"])(
  "%s is no URL for a web client",
  (url) => {
    expect(() => new WebClient(url)).toThrow(/^not a URL: ".*"; give http:\/\//);
  },
);

/** A gateway that has every key, and that records what it was sent. */
async function startHeaderGateway(
  server: http.Server | http2.Http2Server,
  onHeader: (header: Headers) => void,
) {
  const handler = connectNodeAdapter({
    routes: ({ service }) => {
      service(KeyValueBasicInterface, {
        exists(_request, { requestHeader }) {
          onHeader(requestHeader);
          return { exists: true };
        },
      });
      service(KeyValueScanInterface, {
        async *scanKeys(_request, { requestHeader }) {
          onHeader(requestHeader);
          yield { key: "key" };
        },
      });
    },
  });
  server.on("request", handler);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("a web client takes the origin of its page", async () => {
  await using server = await startTestServer();
  vi.stubGlobal("location", { origin: server.baseUrl });
  try {
    await using client = new WebClient();
    expect(await client.keyvalue.exists("key")).toBe(false);
    await using behind = new WebClient("/");
    expect(await behind.keyvalue.exists("key")).toBe(false);
  } finally {
    vi.unstubAllGlobals();
  }
});
