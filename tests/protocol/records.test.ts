/** prism.keyvalue.v1.KeyValueService over gRPC and JSON, and ADR-011's own command. */
import { join } from "node:path";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ErrorSchema, Reason } from "../../gen/prism/common/errors_pb.ts";
import { CompressionType } from "../../gen/prism/common/metadata_pb.ts";
import { type Item, KeyValueService } from "../../gen/prism/keyvalue/v1/keyvalue_pb.ts";
import { present } from "../../server/backend/conformance/harness.ts";
import { createManualClock } from "../../server/backend/conformance/manual-clock.ts";
import type { BackendConfig } from "../../server/backend/rooms.ts";
import { sqliteSchema } from "../../server/backend/sqlite/config.ts";
import { temporaryFolder } from "../helpers/process.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";

/** Small, so that an answer is soon too large. */
const MAX_VALUE_BYTES = 64 * 1024;

const NAMESPACES = ["default", "test"];

function start(database: BackendConfig = { type: "memory" }, clock = createManualClock()) {
  return startTestServer({
    clock,
    adjust: (config) => ({
      ...config,
      limits: { ...config.limits, maxValueBytes: MAX_VALUE_BYTES },
      backends: { database },
      namespaces: NAMESPACES.map((name) => ({ name, pattern: "keyvalue", backend: "database" })),
    }),
  });
}

const bytes = (text: string) => Uint8Array.from(Buffer.from(text, "latin1"));
const text = (value: Uint8Array | undefined) => value && Buffer.from(value).toString("latin1");
const item = (key: string, value = "v") => ({ key: bytes(key), value: bytes(value) });
const textsOf = (items: readonly Item[]) => items.map(({ key, value }) => `${text(key)}=${text(value)}`);

const WIRES: readonly [string, (baseUrl: string) => Transport][] = [
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
  ["JSON", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false })],
];

describe.each(WIRES)("KeyValueService over %s", (_, connect) => {
  const clock = createManualClock();
  let server: TestServer;
  let records: Client<typeof KeyValueService>;
  let ids = 0;
  /** A record of the test's own. */
  let id = "";

  beforeAll(async () => {
    server = await start(undefined, clock);
    records = createClient(KeyValueService, connect(server.baseUrl));
  });
  afterAll(() => server.stop());
  const fresh = () => {
    id = `record\0${++ids}`;
    return id;
  };

  /** All pages of a scan. */
  const scan = (request: { limit?: number; cursor?: { token: Uint8Array }; id?: string }) =>
    Array.fromAsync(records.scan({ id, ...request }));
  const all = async () => textsOf((await records.get({ id })).items);

  test("Put and Get: all items, by keys, by range", async () => {
    await records.put({ id: fresh(), items: ["b", "a", "\xff", "c\0"].map((key) => item(key)) });
    expect(await records.put({ id, items: [item("b", "2")] })).toMatchObject({ success: true });
    const get = async (predicate: NonNullable<Parameters<typeof records.get>[0]["predicate"]>) =>
      textsOf((await records.get({ id, predicate })).items);
    const whole = ["a=v", "b=2", "c\0=v", "\xff=v"];
    expect(await all()).toEqual(whole);
    expect(await get({})).toEqual(whole);
    expect(await get({ predicate: { case: "matchAll", value: {} } })).toEqual(whole);
    const keys = ["c\0", "a", "x", "a"].map(bytes);
    expect(await get({ predicate: { case: "matchKeys", value: { keys } } })).toEqual(["a=v", "c\0=v"]);
    const range = (startKey?: string, endKey?: string) =>
      get({
        predicate: {
          case: "matchRange",
          value: {
            ...(startKey !== undefined && { startKey: bytes(startKey) }),
            ...(endKey !== undefined && { endKey: bytes(endKey) }),
          },
        },
      });
    expect(await range("b", "c\0")).toEqual(["b=2"]);
    expect(await range("b")).toEqual(["b=2", "c\0=v", "\xff=v"]);
    expect(await range(undefined, "b")).toEqual(["a=v"]);
    expect(await range("b", "b")).toEqual([]);
    expect(await range()).toEqual(whole);
  });

  test("an absent record has no items, and is no error", async () => {
    fresh();
    expect(await all()).toEqual([]);
    expect(await scan({})).toEqual([]);
    expect(await records.delete({ id })).toMatchObject({ success: true, deletedCount: 0 });
  });

  test("metadata comes back as it came; times and the time to live are the server's", async () => {
    const metadata = {
      compression: CompressionType.ZSTD,
      encryption: { algorithm: "AES-256-GCM", keyId: "k1" },
      chunking: { totalChunks: 3, chunkSizeBytes: 1000, hashAlgorithm: "SHA-256", hash: bytes("\0\xff") },
      ttlSeconds: 60n,
      createdAtMillis: 5n,
      updatedAtMillis: 5n,
    };
    await records.put({ id: fresh(), items: [{ ...item("a"), metadata }, item("b")] });
    const createdAtMillis = BigInt(clock.now());
    clock.advance(2000);
    const [a, b] = (await records.get({ id })).items;
    const times = { createdAtMillis, updatedAtMillis: createdAtMillis };
    expect(a?.metadata).toMatchObject({ ...metadata, ...times });
    expect(b?.metadata).toMatchObject({ compression: 0, ttlSeconds: 0n, ...times });
    expect(b?.metadata).not.toHaveProperty("encryption");
    const updatedAtMillis = BigInt(clock.now());
    await records.put({ id, items: [{ ...item("a"), metadata: { ttlSeconds: 1n } }] });
    const [again] = (await records.get({ id })).items;
    expect(again?.metadata).toMatchObject({ ttlSeconds: 1n, createdAtMillis, updatedAtMillis });
    clock.advance(1000);
    expect(await all()).toEqual(["b=v"]);
  });

  test("PutBatch: the larger token wins, whatever the order; each put is answered", async () => {
    fresh();
    const request = (token: bigint, value: string, key = "a") => ({
      id,
      items: [item(key, value)],
      itemPriorityToken: token,
    });
    const requests = [
      request(7n, "late"),
      request(-5n, "first"),
      request(7n, "last"),
      request(3n, "other", "b"),
      request(0n, "zero"),
    ];
    const { responses } = await records.putBatch({ requests });
    expect(responses.map(({ success }) => success)).toEqual(requests.map(() => true));
    expect(await all()).toEqual(["a=last", "b=other"]);
    const named = [{ ...request(0n, "x"), namespace: "default" }];
    await expect(records.putBatch({ requests: named })).resolves.toMatchObject({ responses: { length: 1 } });
  });

  test("Delete: keys, and a whole record larger than one step", async () => {
    fresh();
    await records.put({ id, items: ["a", "b", "c"].map((key) => item(key)) });
    const keys = ["a", "x", "a"].map(bytes);
    expect(await records.delete({ id, keys })).toMatchObject({ success: true, deletedCount: 1 });
    for (let part = 0; part < 3; part++) {
      const items = Array.from({ length: 1000 }, (_, i) => item(`${part}:${i}`));
      await records.put({ id, items });
    }
    expect(await records.delete({ id })).toMatchObject({ success: true, deletedCount: 3002 });
    expect(await all()).toEqual([]);
  });

  test("Scan: pages in order, which a cursor goes on from", async () => {
    fresh();
    const keys = Array.from({ length: 3000 }, (_, i) => String(i).padStart(5, "0"));
    for (let from = 0; from < keys.length; from += 1000) {
      await records.put({ id, items: keys.slice(from, from + 1000).map((key) => item(key)) });
    }
    const pages = await scan({});
    expect(pages.length).toBeGreaterThan(1);
    expect(pages.flatMap(({ items }) => items.map(({ key }) => text(key)))).toEqual(keys);
    expect(pages.at(-1)?.nextCursor).toBe(undefined);
    // From every page on the rest is the same.
    for (const [i, { nextCursor }] of pages.slice(0, -1).entries()) {
      const rest = await scan({ cursor: present(nextCursor) });
      expect(textsOf(rest.flatMap(({ items }) => items))).toEqual(
        textsOf(pages.slice(i + 1).flatMap(({ items }) => items)),
      );
    }
    const [first] = await scan({ limit: 10 });
    expect(first?.items).toHaveLength(10);
    const [second] = await scan({ limit: 10, cursor: present(first?.nextCursor) });
    expect(text(second?.items[0]?.key)).toBe("00010");
    expect(await scan({ limit: 10, cursor: { token: new Uint8Array(0) } })).toMatchObject([
      { items: { length: 10 } },
    ]);
  });

  test("CompareAndSwap: absent, equal and other values", async () => {
    fresh();
    const swap = async (oldValue: string | undefined, newValue: string) => {
      const { success, actualValue } = await records.compareAndSwap({
        id,
        key: bytes("k"),
        newValue: bytes(newValue),
        ...(oldValue !== undefined && { oldValue: bytes(oldValue) }),
      });
      return [success, text(actualValue)];
    };
    expect(await swap("x", "1")).toEqual([false, undefined]);
    expect(await swap(undefined, "")).toEqual([true, undefined]);
    expect(await swap(undefined, "1")).toEqual([false, ""]);
    expect(await swap("", "2")).toEqual([true, undefined]);
    expect(await swap("1", "3")).toEqual([false, "2"]);
    expect(await all()).toEqual(["k=2"]);
  });

  test("Get of more than an answer holds is refused, and Scan reads it", async () => {
    fresh();
    const value = "x".repeat(MAX_VALUE_BYTES);
    await records.put({ id, items: [item("a", value)] });
    // The largest item fits an answer.
    expect((await records.get({ id })).items).toHaveLength(1);
    await records.put({ id, items: [item("b", value)] });
    const keys = ["a", "b"].map(bytes);
    const predicate = { predicate: { case: "matchKeys" as const, value: { keys } } };
    for (const request of [{ id }, { id, predicate }]) {
      const error = await failure(records.get(request));
      expect([error.code, error.reason]).toEqual([Code.ResourceExhausted, Reason.VALUE_TOO_LARGE]);
      expect(error.message).toMatch(/scan/i);
    }
    expect((await scan({})).flatMap(({ items }) => items)).toHaveLength(2);
  });

  describe("bad input writes nothing and names the field", () => {
    const long = new Uint8Array(1025);
    const good = item("a");
    const put = (items: readonly object[], more: object = {}) =>
      records.put({ id, items: items as Item[], ...more });
    const many = (count: number) => Array.from({ length: count }, (_, i) => item(String(i)));
    const match = (matchCase: "matchKeys" | "matchRange", value: object) =>
      records.get({ id, predicate: { predicate: { case: matchCase, value } } as never });

    test.each<[string, () => Promise<unknown>]>([
      ["id", () => put([good], { id: "" })],
      ["id", () => records.get({ id: "x".repeat(1025) })],
      ["id", () => records.delete({ id: "" })],
      ["id", () => scan({ id: "" })],
      ["id", () => records.compareAndSwap({ key: bytes("a") })],
      ["namespace", () => put([good], { namespace: "No Name" })],
      ["items", () => put([])],
      ["items", () => put(many(1001))],
      ["items[1].key", () => put([good, item("")])],
      ["items[2].key", () => put([good, good, { key: long }])],
      ["items[0].metadata.ttl_seconds", () => put([{ ...good, metadata: { ttlSeconds: -1n } }])],
      ["items[0].metadata", () => put([{ ...good, metadata: { encryption: { keyId: "k".repeat(1025) } } }])],
      ["requests", () => records.putBatch({ requests: [] })],
      [
        "requests",
        () => records.putBatch({ requests: [many(500), many(501)].map((items) => ({ id, items })) }),
      ],
      ["requests[1].id", () => records.putBatch({ requests: [{ id, items: [good] }, { items: [good] }] })],
      ["requests[0].items", () => records.putBatch({ requests: [{ id }] })],
      [
        "requests[1].items[0].key",
        () =>
          records.putBatch({
            requests: [
              { id, items: [good] },
              { id, items: [item("")] },
            ],
          }),
      ],
      [
        "requests[0].namespace",
        () => records.putBatch({ requests: [{ id, items: [good], namespace: "test" }] }),
      ],
      ["predicate.match_keys.keys", () => match("matchKeys", { keys: [] })],
      ["predicate.match_keys.keys[1]", () => match("matchKeys", { keys: [bytes("a"), bytes("")] })],
      ["predicate.match_range.start_key", () => match("matchRange", { startKey: long })],
      ["predicate.match_range.end_key", () => match("matchRange", { endKey: bytes("") })],
      [
        "predicate.match_range.end_key",
        () => match("matchRange", { startKey: bytes("b"), endKey: bytes("a") }),
      ],
      ["keys[0]", () => records.delete({ id, keys: [long] })],
      ["keys", () => records.delete({ id, keys: many(1001).map(({ key }) => key) })],
      ["limit", () => scan({ limit: -1 })],
      ["cursor", () => scan({ cursor: { token: bytes("forged") } })],
      ["key", () => records.compareAndSwap({ id, key: long })],
    ])("%s", async (field, call) => {
      fresh();
      const error = await failure(call());
      expect([error.code, error.reason, error.field]).toEqual([
        Code.InvalidArgument,
        Reason.INVALID_FIELD,
        field,
      ]);
      expect(error.message.startsWith(field)).toBe(true);
      expect(await all()).toEqual([]);
    });

    test("a value that is too large", async () => {
      fresh();
      const large = item("b", "x".repeat(MAX_VALUE_BYTES + 1));
      for (const [field, call] of [
        ["items[1].value", () => put([good, large])],
        ["new_value", () => records.compareAndSwap({ id, key: large.key, newValue: large.value })],
      ] as const) {
        const error = await failure(call());
        expect([error.code, error.field]).toEqual([Code.ResourceExhausted, field]);
      }
      expect(await all()).toEqual([]);
    });

    test("a cursor of another record, namespace or place", async () => {
      await records.put({ id: fresh(), items: ["a", "b"].map((key) => item(key)) });
      const [page] = await scan({ limit: 1 });
      const { token } = present(page?.nextCursor);
      expect(await scan({ cursor: { token } })).toHaveLength(1);
      const changed = Uint8Array.from(token);
      changed[changed.length - 1] = 0x7a;
      for (const request of [
        { id: `${id}x`, cursor: { token } },
        { id, namespace: "test", cursor: { token } },
        { id, cursor: { token: changed } },
        { id, cursor: { token: token.subarray(0, -1) } },
      ]) {
        expect((await failure(scan(request))).field).toBe("cursor");
      }
    });
  });
});

test("ADR-011's own command: put, read back, restart, read again", async () => {
  await using folder = await temporaryFolder();
  const database = sqliteSchema.parse({ type: "sqlite", path: join(folder.path, "prism.db") });
  const post = async ({ baseUrl }: TestServer, method: string, body: string) => {
    const answer = await fetch(`${baseUrl}/prism.keyvalue.v1.KeyValueService/${method}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body,
    });
    return await answer.json();
  };
  const request = '{"namespace":"test","id":"1","items":[{"key":"aGVsbG8=","value":"d29ybGQ="}]}';
  const readBack = (server: TestServer) => post(server, "Get", '{"namespace":"test","id":"1"}');

  const first = await start(database);
  expect(await post(first, "Put", request)).toEqual({ success: true });
  const found = await readBack(first);
  expect(found).toMatchObject({ items: [{ key: "aGVsbG8=", value: "d29ybGQ=" }] });
  await first.stop();
  await using second = await start(database);
  expect(await readBack(second)).toEqual(found);
});

/** What a failed call tells. */
async function failure(call: Promise<unknown>) {
  const error = await call.then(
    () => {
      throw new Error("the call succeeded");
    },
    (thrown: unknown) => ConnectError.from(thrown),
  );
  const [detail] = error.findDetails(ErrorSchema);
  return {
    code: error.code,
    message: error.rawMessage,
    reason: detail?.reason,
    field: detail?.fieldViolations[0]?.field,
  };
}
