import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { KeyValueService } from "../gen/prism/keyvalue/v1/keyvalue_pb.ts";
import { any, CLIENTS } from "../tests/helpers/clients.ts";
import { startTestServer, type TestServer } from "../tests/helpers/server.ts";
import { PrismClient } from "./client.ts";
import type { RecordItem } from "./records/item.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (value: Uint8Array) => new TextDecoder().decode(value);
const pairs = (items: readonly RecordItem[]) => items.map(({ key, value }) => [text(key), text(value)]);
const START_MS = Date.parse("2026-01-01T00:00:00Z");

/** Records over both clients. */
describe.each(CLIENTS)("the $kind client", ({ connect }) => {
  let server: TestServer;
  let client: PrismClient;
  let records: PrismClient["records"];
  let nowMs = START_MS;

  beforeAll(async () => {
    server = await startTestServer({ clock: { now: () => nowMs } });
    client = connect(server);
    records = client.records;
  });

  afterAll(async () => {
    await client.close();
    await server.stop();
  });

  beforeEach(async () => {
    await records.delete("id");
    await records.delete("other");
  });

  const put = (...keys: string[]) =>
    records.put(
      "id",
      keys.map((key) => ({ key, value: `of ${key}` })),
    );

  test("puts items, and gets them in order", async () => {
    await put("b", "a");
    await records.put("id", new Set([{ key: Uint8Array.of(0xff), value: new Uint8Array(0) }]));
    const items = await records.get("id");
    expect(items).toEqual([
      { key: bytes("a"), value: bytes("of a"), createdAtMs: nowMs, updatedAtMs: nowMs },
      { key: bytes("b"), value: bytes("of b"), createdAtMs: nowMs, updatedAtMs: nowMs },
      { key: Uint8Array.of(0xff), value: new Uint8Array(0), createdAtMs: nowMs, updatedAtMs: nowMs },
    ]);
    expect(items[0]?.key.constructor).toBe(Uint8Array);
    expect(await records.get("none")).toEqual([]);
  });

  test("tells the ids of the records that there are, page by page", async () => {
    await put("a");
    expect(await Array.fromAsync(records.ids())).toEqual(["id"]);
    const ids = Array.from({ length: 1500 }, (_, i) => `many/${String(i).padStart(4, "0")}`);
    const puts = ids.map((id) => ({ id, items: [{ key: "a", value: "1", ttlSeconds: 60 }] }));
    await records.putBatch(puts.slice(0, 1000));
    await records.putBatch(puts.slice(1000));
    const pages = await Array.fromAsync(records.idPages({ prefix: "many/" }));
    expect(pages.map(({ length }) => length)).toEqual([1024, 476]);
    expect(pages.flat()).toEqual(ids);
    expect(await Array.fromAsync(records.ids({ start: "many/0003", end: "many/0005" }))).toEqual(
      ids.slice(3, 5),
    );
    for await (const id of records.ids({ prefix: "many/" })) {
      expect(id).toBe("many/0000");
      break;
    }
    nowMs += 60_000;
    expect(await Array.fromAsync(records.ids())).toEqual(["id"]);
    await expect(records.ids({ end: any(null) }).next()).rejects.toThrow("end must be a string");
  });

  test("keeps what is said of an item, and ends it in time", async () => {
    const facts = {
      ttlSeconds: 60,
      compression: "zstd",
      encryption: { algorithm: "AES-256-GCM", keyId: "k1" },
      chunking: { totalChunks: 2, chunkSizeBytes: 5, hashAlgorithm: "SHA-256", hash: bytes("hash") },
    } as const;
    await records.put("id", [{ key: "a", value: "1", ...facts }]);
    const createdAtMs = nowMs;
    nowMs += 1000;
    await records.put("id", [{ key: "a", value: "2", ...facts }]);
    expect(await records.get("id")).toEqual([
      { key: bytes("a"), value: bytes("2"), createdAtMs, updatedAtMs: nowMs, ...facts },
    ]);
    nowMs += 60_000;
    expect(await records.get("id")).toEqual([]);
  });

  test("gets items by key or by range", async () => {
    await put("a", "b", "c", "d");
    const keys = async (options: Parameters<typeof records.get>[1]) =>
      pairs(await records.get("id", options)).map(([key]) => key);
    expect(await keys({ keys: ["d", bytes("a"), "none"] })).toEqual(["a", "d"]);
    expect(await keys({ start: "b", end: "d" })).toEqual(["b", "c"]);
    expect(await keys({ start: bytes("c") })).toEqual(["c", "d"]);
    expect(await keys({ end: "b" })).toEqual(["a"]);
  });

  test("makes several puts by priority", async () => {
    const made = await records.putBatch([
      { id: "id", items: [{ key: "a", value: "late" }], priority: 2 },
      { id: "id", items: [{ key: "a", value: "early" }], priority: 1n },
      { id: "other", items: [{ key: "b", value: "" }] },
    ]);
    expect(made).toEqual([true, true, true]);
    expect(pairs(await records.get("id"))).toEqual([["a", "late"]]);
    expect(pairs(await records.get("other"))).toEqual([["b", ""]]);
  });

  test("deletes items or all; no keys are none", async () => {
    await put("a", "b", "c");
    expect(await records.delete("id", { keys: [] })).toBe(0);
    expect(await records.delete("id", { keys: ["a", "none"] })).toBe(1);
    expect(pairs(await records.get("id")).length).toBe(2);
    expect(await records.delete("id")).toBe(2);
  });

  test("swaps the value of an item if it is as expected", async () => {
    expect(await records.compareAndSwap("id", "a", undefined, "1")).toEqual({ swapped: true });
    expect(await records.compareAndSwap("id", bytes("a"), undefined, "2")).toEqual({
      swapped: false,
      actual: bytes("1"),
    });
    expect(await records.compareAndSwap("id", "a", "1", "")).toEqual({ swapped: true });
    expect(await records.compareAndSwap("id", "a", "", "3")).toEqual({ swapped: true });
    expect(await records.compareAndSwap("id", "b", "", "3")).toEqual({ swapped: false, actual: undefined });
  });

  test("scans all items, and goes on from a cursor", async () => {
    await put("a", "b", "c");
    expect(pairs(await Array.fromAsync(records.scan("id")))).toEqual([
      ["a", "of a"],
      ["b", "of b"],
      ["c", "of c"],
    ]);
    const first = await Array.fromAsync(records.scan("id", { limit: 2 }));
    const cursor = first.at(-1)?.cursor;
    const rest = await Array.fromAsync(records.scan("id", { cursor }));
    expect(pairs(rest)).toEqual([["c", "of c"]]);
    expect(rest[0]?.cursor).toBeUndefined();
    const foreign = Array.fromAsync(records.scan("other", { cursor }));
    await expect(foreign).rejects.toMatchObject({ reason: "invalid_field" });
    expect(await Array.fromAsync(records.scan("none"))).toEqual([]);
  });

  test("refuses wrong arguments before it sends anything", async () => {
    const sent = server.log.length;
    const noIds = [undefined, null, 5, "\ud800"];
    const noBytes = [undefined, null, 5, [1], {}, "\udc00"];
    const item = (facts: object) => records.put("id", [any({ key: "a", value: "", ...facts })]);
    const calls: [message: RegExp, made: Promise<unknown>[]][] = [
      [
        /^id /,
        noIds.flatMap((id) => [
          records.put(any(id), []),
          records.putBatch([{ id: any(id), items: [] }]),
          records.get(any(id)),
          records.delete(any(id)),
          Array.fromAsync(records.scan(any(id))),
          records.compareAndSwap(any(id), "a", "", ""),
        ]),
      ],
      [
        /^items must be /,
        ["ab", null, 5, {}, [null], ["a"], [["a", "1"]]].map((v) => records.put("id", any(v))),
      ],
      [/^puts must be /, ["ab", null, {}, [null], [["id", []]]].map((v) => records.putBatch(any(v)))],
      [
        /^key /,
        noBytes.flatMap((key) => [
          item({ key }),
          records.get("id", { keys: [any(key)] }),
          records.delete("id", { keys: [any(key)] }),
          records.compareAndSwap("id", any(key), "", ""),
        ]),
      ],
      [
        /^value /,
        noBytes.flatMap((value) => [item({ value }), records.compareAndSwap("id", "a", "", any(value))]),
      ],
      [/^expected /, [null, 5, {}].map((value) => records.compareAndSwap("id", "a", any(value), ""))],
      [
        /^keys (must be|cannot be given with) /,
        [
          ...[null, "a", bytes("a"), 5].flatMap((keys) => [
            records.get("id", any({ keys })),
            records.delete("id", any({ keys })),
          ]),
          records.get("id", { keys: ["a"], start: "a" }),
          records.delete("id", any({ keys: undefined })),
        ],
      ],
      [
        /^(start|end) /,
        [null, 5].flatMap((v) => [records.get("id", any({ start: v })), records.get("id", any({ end: v }))]),
      ],
      [/^priority /, [records.putBatch([{ id: "id", items: [], priority: any("1") }])]],
      [/^ttlSeconds /, [-1, 1.5, "5", null].map((ttlSeconds) => item({ ttlSeconds }))],
      [
        /^compression must be one of none, lz4, /,
        ["LZ4", 1, null].map((compression) => item({ compression })),
      ],
      [
        /^(algorithm|keyId) /,
        [item({ encryption: { algorithm: 5 } }), item({ encryption: { keyId: null } })],
      ],
      [/^(totalChunks|hash) /, [item({ chunking: { totalChunks: -1 } }), item({ chunking: { hash: 5 } })]],
      [/^limit /, [null, -1, "5"].map((limit) => Array.fromAsync(records.scan("id", any({ limit }))))],
      [/^cursor /, [null, "c", {}].map((cursor) => Array.fromAsync(records.scan("id", any({ cursor }))))],
      [
        /^there is no option (ttl|key|prefix|token), but /,
        [
          item({ ttl: 5 }),
          records.get("id", any({ key: "a" })),
          records.delete("id", any({ key: "a" })),
          Array.fromAsync(records.scan("id", any({ prefix: "a" }))),
          records.putBatch([any({ id: "id", items: [], token: 1 })]),
        ],
      ],
    ];
    for (const [message, made] of calls) {
      for (const outcome of await Promise.allSettled(made)) {
        expect(outcome).toMatchObject({
          status: "rejected",
          reason: { reason: "invalid_field", code: 3, message: expect.stringMatching(message) },
        });
      }
    }
    expect(server.log.length).toBe(sent);
  });
});

test("a scan goes on when a call breaks or reaches the gateway's time limit", async () => {
  const cut = new ConnectError("cut", Code.Unavailable);
  const failures = [cut, new ConnectError("late", Code.DeadlineExceeded), cut];
  const requests: unknown[] = [];
  await using client = new PrismClient(
    createRouterTransport(({ service }) => {
      service(KeyValueService, {
        async *scan({ cursor, limit }) {
          requests.push([limit, cursor && text(cursor.token)]);
          const page = requests.length;
          const items = [{ key: bytes(`${page}a`) }, { key: bytes(`${page}b`) }];
          const failure = failures[page - 1];
          yield page === 3 ? { items } : { items, nextCursor: { token: bytes(`after ${page}`) } };
          throw failure;
        },
      });
    }),
  );
  const items = await Array.fromAsync(client.records.scan("id", { limit: 7 }));
  expect(items.map(({ key, cursor }) => [text(key), cursor && text(cursor)])).toEqual([
    ["1a", undefined],
    ["1b", "after 1"],
    ["2a", undefined],
    ["2b", "after 2"],
    ["3a", undefined],
    ["3b", undefined],
  ]);
  expect(requests).toEqual([
    [7, undefined],
    [5, "after 1"],
    [3, "after 2"],
  ]);
});
