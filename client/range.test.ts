import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  KeyValueRangeInterface,
  type ReadKeysRequest,
} from "../gen/prism/interfaces/keyvalue/keyvalue_range_pb.ts";
import { any, CLIENTS } from "../tests/helpers/clients.ts";
import { startTestServer, type TestServer } from "../tests/helpers/server.ts";
import { startTcpProxy } from "../tests/helpers/tcp-proxy.ts";
import { PrismClient } from "./client.ts";
import { PrismClient as NodeClient } from "./node.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const KEYS = ["a", "log/1", "log/2/x", "log/2/y", "log/3", "z", "\u{FFFD}", "\u{1F600}"];

/** Ranges over both clients. */
describe.each(CLIENTS)("the $kind client", ({ connect }) => {
  let server: TestServer;
  let client: PrismClient;
  let keyvalue: PrismClient["keyvalue"];

  beforeAll(async () => {
    server = await startTestServer();
    client = connect(server);
    keyvalue = client.keyvalue;
    await keyvalue.setMany(KEYS.map((key) => [key, `of ${key}`]));
  });

  afterAll(async () => {
    await client.close();
    await server.stop();
  });

  test("reads entries and keys in both directions", async () => {
    const all = await Array.fromAsync(keyvalue.range());
    expect(all).toEqual(KEYS.map((key) => ({ key, value: bytes(`of ${key}`), pageToken: undefined })));
    expect(all[0]?.value.constructor).toBe(Uint8Array);
    const reverse = await Array.fromAsync(keyvalue.rangeKeys({ reverse: true }));
    expect(reverse).toEqual(KEYS.toReversed().map((key) => ({ key, pageToken: undefined })));
    const some = await Array.fromAsync(keyvalue.rangeKeys({ start: "log/2", end: "z", prefix: "log/" }));
    expect(some.map(({ key }) => key)).toEqual(["log/2/x", "log/2/y", "log/3"]);
    expect(await Array.fromAsync(keyvalue.range({ prefix: "none" }))).toEqual([]);
  });

  test("tells what begins alike up to a delimiter once", async () => {
    const top = await Array.fromAsync(keyvalue.range({ delimiter: "/", end: "z" }));
    expect(top).toEqual([
      { key: "a", value: bytes("of a"), pageToken: undefined },
      { commonPrefix: "log/", pageToken: undefined },
    ]);
    const logs = await Array.fromAsync(keyvalue.rangeKeys({ prefix: "log/", delimiter: "/", reverse: true }));
    expect(logs.map(({ key, commonPrefix }) => commonPrefix ?? key)).toEqual(["log/3", "log/2/", "log/1"]);
  });

  test("goes on behind a page, to the end", async () => {
    const read: string[] = [];
    let pageToken: Uint8Array | undefined;
    let pages = 0;
    do {
      const page = await Array.fromAsync(keyvalue.rangeKeys({ reverse: true, limit: 3, pageToken }));
      read.push(...page.map(({ key }) => key));
      pageToken = page.at(-1)?.pageToken;
      pages++;
    } while (pageToken !== undefined);
    expect(read).toEqual(KEYS.toReversed());
    expect(pages).toBe(3);
    const [first] = await Array.fromAsync(keyvalue.rangeKeys({ limit: 1 }));
    const other = keyvalue.range({ limit: 1, pageToken: first?.pageToken });
    await expect(Array.fromAsync(other)).rejects.toMatchObject({ reason: "invalid_field" });
  });

  test("reads entries with their times to live in pages", async () => {
    const large = Array.from({ length: 5 }, (_, i): [string, Uint8Array] => [
      `page/${i}`,
      new Uint8Array(200_000),
    ]);
    await keyvalue.setMany([...large, ["page/5", "x", 100], ["page/6", "y"]]);
    const pages = await Array.fromAsync(keyvalue.pages({ prefix: "page/", start: "page/1" }));
    expect(pages.length).toBeGreaterThan(1);
    const entries = pages.flat();
    expect(entries.map(({ key }) => key)).toEqual([1, 2, 3, 4, 5, 6].map((i) => `page/${i}`));
    expect(entries[0]?.value.constructor).toBe(Uint8Array);
    expect(entries[0]?.value).toHaveLength(200_000);
    expect(entries[4]?.ttlMs).toBeGreaterThan(1000);
    expect(entries[5]).toEqual({ key: "page/6", value: bytes("y"), ttlMs: undefined });
    const wrong = Array.fromAsync(keyvalue.pages(any({ limit: 1 })));
    await expect(wrong).rejects.toMatchObject({ reason: "invalid_field" });
    await keyvalue.deletePrefix("page/");
  });

  test("refuses wrong arguments before it sends anything", async () => {
    const sent = server.log.length;
    const read = (options: unknown) => [
      Array.fromAsync(keyvalue.range(any(options))),
      Array.fromAsync(keyvalue.rangeKeys(any(options))),
    ];
    const noTexts = [null, 5, ["a"], new Uint8Array(1), "\ud800"];
    const calls: [message: RegExp, made: Promise<unknown>[]][] = [
      ...(["start", "end", "prefix", "delimiter"] as const).map((name): [RegExp, Promise<unknown>[]] => [
        new RegExp(`^${name} `),
        noTexts.flatMap((text) => read({ [name]: text })),
      ]),
      [/^reverse /, [null, 1, "true"].flatMap((reverse) => read({ reverse }))],
      [/^limit /, [null, -1, 1.5, "5", 2 ** 31].flatMap((limit) => read({ limit }))],
      [/^pageToken /, [null, "token", [1]].flatMap((pageToken) => read({ pageToken }))],
      [/^timeoutMs /, [null, -1, "5"].flatMap((timeoutMs) => read({ timeoutMs }))],
      [/^options /, [null, 5, "", []].flatMap(read)],
      [/^there is no option after, but start, /, read({ after: "a" })],
    ];
    for (const [message, made] of calls) {
      for (const outcome of await Promise.allSettled(made)) {
        expect(outcome).toMatchObject({
          status: "rejected",
          reason: { reason: "invalid_field", message: expect.stringMatching(message) },
        });
      }
    }
    expect(server.log.length).toBe(sent);
  });
});

test("a range goes on when its connection breaks: each key once, in order", async () => {
  await using server = await startTestServer({ logLevel: "info" });
  await using proxy = await startTcpProxy(Number(server.address.split(":")[1]));
  await using client = new NodeClient(`127.0.0.1:${proxy.port}`);
  const keys = Array.from({ length: 6000 }, (_, i) => `${String(i).padStart(6, "0")}${"x".repeat(500)}`);
  await client.keyvalue.setMany(keys.map((key) => [key, ""]));
  proxy.slow(4_000_000);
  const read: string[] = [];
  let cuts = 0;
  for await (const { key } of client.keyvalue.rangeKeys({ reverse: true, limit: 5999 })) {
    read.push(key);
    if (read.length % 2000 === 100) {
      proxy.cut();
      cuts++;
    }
  }
  expect(cuts).toBe(3);
  expect(read).toEqual(keys.toReversed().slice(0, 5999));
});

describe("a range whose call breaks", () => {
  const broken = () => new ConnectError("the connection broke", Code.Unavailable);
  const message = (key: string, token = "") => ({ key, pageToken: bytes(token) });

  /** A client, and the requests that it makes. Each is answered by the next of `calls`. */
  function connect(...calls: (() => Generator<ReturnType<typeof message>>)[]) {
    const requests: ReadKeysRequest[] = [];
    const limitsMs: (number | undefined)[] = [];
    const transport = createRouterTransport(({ service }) => {
      service(KeyValueRangeInterface, {
        async *readKeys(request, { timeoutMs }) {
          limitsMs.push(timeoutMs());
          requests.push(request);
          yield* calls[requests.length - 1]?.() ?? [];
        },
      });
    });
    return { client: new PrismClient(transport), requests, limitsMs };
  }

  test("goes on from the last token with what is left of limit and time", async () => {
    const { client, requests, limitsMs } = connect(
      function* () {
        yield message("a");
        yield message("b", "behind b");
        yield message("c");
        throw broken();
      },
      function* () {
        yield message("b2");
        yield message("c", "behind c");
        throw broken();
      },
      function* () {
        yield message("d");
      },
    );
    const range = client.keyvalue.rangeKeys({ prefix: "", reverse: true, limit: 5, timeoutMs: 600_000 });
    expect(await Array.fromAsync(range)).toEqual([
      { key: "a", pageToken: undefined },
      { key: "b", pageToken: bytes("behind b") },
      { key: "b2", pageToken: undefined },
      { key: "c", pageToken: bytes("behind c") },
      { key: "d", pageToken: undefined },
    ]);
    expect(requests.map(({ limit, pageToken, reverse }) => [limit, pageToken, reverse])).toEqual([
      [5, bytes(""), true],
      [3, bytes("behind b"), true],
      [1, bytes("behind c"), true],
    ]);
    for (const limitMs of limitsMs) {
      expect(limitMs).toBeGreaterThan(0);
      expect(limitMs).toBeLessThanOrEqual(600_000);
    }
  });

  test("is at its end if all that was asked for is read", async () => {
    const { client, requests } = connect(function* () {
      yield message("a", "behind a");
      throw broken();
    });
    expect(await Array.fromAsync(client.keyvalue.rangeKeys({ limit: 1 }))).toHaveLength(1);
    expect(requests).toHaveLength(1);
  });

  test("fails if it gets no further, or for another reason", async () => {
    const stuck = connect(
      function* () {
        yield message("a", "behind a");
        throw broken();
      },
      function* () {
        yield message("b");
        throw broken();
      },
    );
    const read: string[] = [];
    const reading = (async () => {
      for await (const { key } of stuck.client.keyvalue.rangeKeys()) {
        read.push(key);
      }
    })();
    await expect(reading).rejects.toMatchObject({ code: Code.Unavailable, retryable: true });
    expect(read).toEqual(["a"]);
    expect(stuck.requests).toHaveLength(2);

    const lost = connect(function* () {
      yield message("a", "behind a");
      throw new ConnectError("damaged", Code.DataLoss);
    });
    await expect(Array.fromAsync(lost.client.keyvalue.rangeKeys())).rejects.toMatchObject({
      code: Code.DataLoss,
    });
    expect(lost.requests).toHaveLength(1);
  });

  test("holds no more than a gateway may send without a token", async () => {
    const { client } = connect(function* () {
      for (;;) {
        yield message("a");
      }
    });
    await expect(Array.fromAsync(client.keyvalue.rangeKeys())).rejects.toMatchObject({ reason: "internal" });
  });
});
