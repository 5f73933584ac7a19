/**
 * Callers that may touch some keys only, over the wire: every method of every service, and streams
 * that go on.
 */
import type { DescMethod, MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, onTestFinished, test } from "vitest";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueBatchInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { KeyValueCASInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_cas_pb.ts";
import { KeyValueCounterInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_counter_pb.ts";
import { KeyValueRangeInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_range_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { KeyValueTransactionInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_transaction_pb.ts";
import { KeyValueTTLInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_ttl_pb.ts";
import { ListBasicInterface } from "../../gen/prism/interfaces/list/list_basic_pb.ts";
import { ListBlockingInterface } from "../../gen/prism/interfaces/list/list_blocking_pb.ts";
import { InsertSide, ListIndexingInterface } from "../../gen/prism/interfaces/list/list_indexing_pb.ts";
import { ListEnd, ListMoveInterface } from "../../gen/prism/interfaces/list/list_move_pb.ts";
import { ListNamesInterface } from "../../gen/prism/interfaces/list/list_names_pb.ts";
import { ListRangeInterface } from "../../gen/prism/interfaces/list/list_range_pb.ts";
import { KeyValueService } from "../../gen/prism/keyvalue/v1/keyvalue_pb.ts";
import { RecordIdsService } from "../../gen/prism/keyvalue/v1/record_ids_pb.ts";
import { TimeSeriesService } from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { bytes, CALL } from "../../server/backend/conformance/harness.ts";
import type { Backend } from "../../server/backend/contract.ts";
import { createBackend } from "../../server/backend/factory.ts";
import type { Policy } from "../../server/calls/policies/policy.ts";
import type { CallScope } from "../../server/calls/scope.ts";
import { createHealthState } from "../../server/services/health.ts";
import { createServices, SERVICES } from "../../server/services/services.ts";
import { startPlane } from "../helpers/plane.ts";
import { routerOn } from "../helpers/router.ts";
import { connect, type RawConnection } from "./raw.ts";
import { callRequest, POST_WIRES, readMessage, type Wire } from "./wire.ts";

/** Stands for the policy that knows the caller: it takes the prefixes from a header. */
const narrowing: Policy = {
  on: () => ({
    begin(record, call) {
      const prefixes = record.header("x-prefixes");
      (call as CallScope).keyPrefixes = prefixes === undefined ? undefined : JSON.parse(prefixes);
      return undefined;
    },
  }),
};

/** The data services on a memory store, with that policy. */
async function start() {
  const backend = await createBackend({ type: "memory" });
  await backend.open();
  const router = await routerOn(backend, ["default"]);
  const limits = { maxValueBytes: 1024 };
  const server = await startPlane({
    policies: () => [narrowing],
    services: (calls) => createServices({ router, health: createHealthState([]), limits, calls }),
  });
  const connections = { 1: connect(server, 1), 2: connect(server, 2) };
  onTestFinished(async () => {
    connections[1][Symbol.dispose]();
    connections[2][Symbol.dispose]();
    await server[Symbol.asyncDispose]();
    await backend.close();
  });
  return { backend, on: (wire: Wire) => connections[wire.http] };
}

const value = bytes("1");
const basic = KeyValueBasicInterface.method;
const batch = KeyValueBatchInterface.method;
const cas = KeyValueCASInterface.method;
const ttl = KeyValueTTLInterface.method;
const transaction = KeyValueTransactionInterface.method;
const scans = KeyValueScanInterface.method;
const ranges = KeyValueRangeInterface.method;
const lists = ListBasicInterface.method;
const indexes = ListIndexingInterface.method;
const waits = ListBlockingInterface.method;
const records = KeyValueService.method;
const series = TimeSeriesService.method;

interface Case {
  readonly method: DescMethod;
  /** A request about keys; the last one is always among them. */
  readonly request: (keys: readonly string[]) => never;
}

const cases: Case[] = [];

/** Adds a method. `make` gets the first key, the last key and all of them. */
function add<M extends DescMethod>(
  method: M,
  make: (last: string, first: string, all: string[]) => MessageInitShape<M["input"]>,
): void {
  const request = (keys: readonly string[]) => make(keys.at(-1) ?? "", keys[0] ?? "", [...keys]) as never;
  cases.push({ method, request });
}

const ofKey = (key: string) => ({ key });
const ofList = (listKey: string) => ({ listKey });
const expected = { kind: { case: "value", value } } as const;
const ofStream = (stream: string) => ({ stream });
const item = { key: value, value };

add(basic.get, ofKey);
add(basic.set, (key) => ({ key, value }));
add(basic.delete, ofKey);
add(basic.exists, ofKey);
add(batch.batchGet, (_, __, keys) => ({ keys }));
add(batch.batchSet, (_, __, keys) => ({ items: keys.map((key) => ({ key, value })) }));
add(batch.batchDelete, (_, __, keys) => ({ keys }));
add(cas.compareAndSwap, (key) => ({ key, expected, value }));
add(cas.compareAndDelete, (key) => ({ key, expected }));
add(cas.setIfAbsent, (key) => ({ key, value }));
add(KeyValueCounterInterface.method.increment, (key) => ({ key, delta: 1n }));
add(ttl.expire, (key) => ({ key, ttlSeconds: 100n }));
add(ttl.getTTL, ofKey);
add(ttl.persist, ofKey);
add(transaction.read, (_, __, keys) => ({ keys }));
add(transaction.commit, (last, first) => ({
  checks: [{ key: last, ...expected }],
  mutations: [{ key: first, kind: { case: "set" as const, value: { value: bytes("2") } } }],
}));
add(scans.scan, (prefix) => ({ prefix }));
add(scans.scanKeys, (prefix) => ({ prefix }));
add(scans.count, (prefix) => ({ prefix }));
add(ranges.readRange, (start) => ({ start, end: `${start}\0` }));
add(ranges.readKeys, (prefix) => ({ prefix, delimiter: "/", reverse: true }));
add(ranges.readPage, (prefix) => ({ prefix }));
add(lists.pushLeft, (listKey) => ({ listKey, value }));
add(lists.pushRight, (listKey) => ({ listKey, value }));
add(lists.popLeft, ofList);
add(lists.popRight, ofList);
add(lists.length, ofList);
add(ListRangeInterface.method.getRange, ofList);
add(ListRangeInterface.method.trim, ofList);
add(indexes.get, ofList);
add(indexes.set, (listKey) => ({ listKey, value }));
add(indexes.insert, (listKey) => ({ listKey, side: InsertSide.BEFORE, pivot: value, value }));
add(indexes.remove, (listKey) => ({ listKey, value }));
add(ListMoveInterface.method.move, (last, first) => ({
  sourceKey: first,
  destinationKey: last,
  sourceEnd: ListEnd.LEFT,
  destinationEnd: ListEnd.RIGHT,
}));
add(waits.blockingPopLeft, (listKey) => ({ listKey, waitMs: 1n }));
add(waits.blockingPopRight, (listKey) => ({ listKey, waitMs: 1n }));
add(ListNamesInterface.method.readNames, (prefix) => ({ prefix }));
add(RecordIdsService.method.readIds, (start) => ({ start, end: `${start}\0` }));
add(records.put, (id) => ({ id, items: [item] }));
add(records.putBatch, (_, __, ids) => ({ requests: ids.map((id) => ({ id, items: [item] })) }));
add(records.get, (id) => ({ id }));
add(records.delete, (id) => ({ id }));
add(records.scan, (id) => ({ id }));
add(records.compareAndSwap, (id) => ({ id, key: value, newValue: value }));
add(series.append, (stream) => ({ stream, event: { payload: value } }));
add(series.appendBatch, (stream) => ({ stream, events: [{ payload: value }] }));
add(series.query, ofStream);
add(series.tail, (stream) => ({ stream, untilEnd: true }));
add(series.createStream, (stream) => ({ stream, config: { retentionDays: 1 } }));
add(series.deleteStream, ofStream);
add(series.describeStream, ofStream);
add(series.listStreams, (prefix) => ({ prefix }));
add(series.aggregate, ofStream);

test("the table has every method that is about keys", () => {
  const methods = SERVICES.flatMap((service) =>
    service.typeName.startsWith("grpc.")
      ? []
      : service.methods.map((method) => method.parent.typeName + method.name),
  );
  expect(cases.map(({ method }) => method.parent.typeName + method.name).sort()).toEqual(methods.sort());
});

const KEYS = ["u/1", "u/7", "u/7/a", "u/7/b", "u/70", "v"];

/** Puts an entry, a list, a record and a stream at each key. */
async function fill({ entries, lists: of, records: items, streams }: Backend): Promise<void> {
  const record = { ...item, metadata: new Uint8Array(0), ttlMs: 0 };
  await entries?.set(
    "default",
    KEYS.map((key) => ({ key, value, ttlMs: 0 })),
    CALL,
  );
  await of?.push(
    "default",
    KEYS.map((key) => ({ key, end: "left", value })),
    CALL,
  );
  await items?.putItems(
    "default",
    KEYS.map((id) => ({ id, items: [record] })),
    CALL,
  );
  const events = [{ timestampMs: 1, payload: value, tags: {} }];
  await streams?.appendEvents(
    "default",
    KEYS.map((stream) => ({ stream, events, retentionMs: 0, refusesExpired: false })),
    CALL,
  );
}

/** All that the store has at some keys, with the versions of entries. */
async function contentOf({ commits, listRanges, records: items, streams }: Backend, keys: readonly string[]) {
  const all = { start: 0, stop: -1, maxEntries: 10, maxBytes: 1000 };
  const range = { start: undefined, end: undefined, after: undefined, maxItems: 10, maxBytes: 1000 };
  const pages = await listRanges?.slice(
    "default",
    keys.map((key) => ({ ...all, key })),
    CALL,
  );
  return [
    await commits?.read(
      "default",
      keys.map((key) => ({ keys: [key], values: true, maxBytes: 1000 })),
      CALL,
    ),
    pages?.map((page) => ("values" in page ? [...page.values] : page)),
    await items?.pageItems(
      "default",
      keys.map((id) => ({ ...range, id })),
      CALL,
    ),
    await streams?.describeStream("default", keys, CALL),
  ];
}

const narrowed = (...prefixes: string[]) => ({ "x-prefixes": JSON.stringify(prefixes) });

describe.each(cases.map((each) => [each.method.parent.name, each.method.name, each] as const))(
  "%s.%s",
  (_service, _method, { method, request }) => {
    test("keys inside are served; with one outside there is no effect, over every protocol", async () => {
      const { backend, on } = await start();
      await fill(backend);
      const before = await contentOf(backend, KEYS);
      for (const wire of POST_WIRES) {
        for (const keys of [["u/1"], ["u/7"], ["u/70"], ["none"], ["u/7/a", "u/70"]]) {
          const answer = await on(wire).call(callRequest(wire, method, request(keys), narrowed("u/7/")));
          expect(answer, `${wire.name} ${keys}`).toMatchObject({
            code: "permission_denied",
            messages: [],
          });
          // The same, whether there is such a key or not.
          expect(answer.message).toMatch(/^the caller may use only keys that start with "u\/7\/"/);
        }
      }
      expect(await contentOf(backend, KEYS)).toEqual(before);
      for (const wire of POST_WIRES) {
        const answer = await on(wire).call(callRequest(wire, method, request(["u/7/a"]), narrowed("u/7/")));
        expect(["ok", "not_found"]).toContain(answer.code);
        const wide = await on(wire).call(callRequest(wire, method, request(["u/70"])));
        expect(["ok", "not_found"]).toContain(wide.code);
      }
      const others = ["u/1", "u/7", "v"];
      expect(await contentOf(backend, others)).toEqual(
        before.map((part) => others.map((key) => part?.[KEYS.indexOf(key)])),
      );
    });
  },
);

describe("ranges that go on", () => {
  const [, , , , GRPC] = POST_WIRES;

  async function read(
    connection: RawConnection,
    init: MessageInitShape<typeof ranges.readKeys.input>,
    headers: Readonly<Record<string, string>> = {},
  ) {
    const answer = await connection.call(callRequest(GRPC, ranges.readKeys, init, headers));
    const found = answer.messages.map((message) =>
      readMessage(ranges.readKeys, GRPC, { ...answer, messages: [message] }),
    );
    return {
      code: answer.code,
      keys: found.map(({ key, commonPrefix }) => key || commonPrefix),
      token: found.at(-1)?.pageToken ?? new Uint8Array(0),
    };
  }

  test("the token of a wider caller reads nothing outside", async () => {
    const { backend, on } = await start();
    await fill(backend);
    const connection = on(GRPC);
    for (const reverse of [false, true]) {
      const wide = { prefix: "", limit: 1, reverse };
      const { token } = await read(connection, wide);
      expect(token).not.toHaveLength(0);
      const goOn = { ...wide, limit: 0, pageToken: token };
      expect(await read(connection, goOn, narrowed("u/7/"))).toMatchObject({
        code: "permission_denied",
        keys: [],
      });
      // Nor does it fit the narrower range.
      expect(await read(connection, { ...goOn, prefix: "u/7/" }, narrowed("u/7/"))).toMatchObject({
        code: "invalid_argument",
        keys: [],
      });
    }
    const inside = { prefix: "u/7/", limit: 1 };
    const { keys, token } = await read(connection, inside, narrowed("u/7/"));
    expect(keys).toEqual(["u/7/a"]);
    expect(await read(connection, { ...inside, limit: 0, pageToken: token }, narrowed("u/7/"))).toMatchObject(
      {
        code: "ok",
        keys: ["u/7/b"],
      },
    );
    // A caller with other rights cannot go on with it.
    expect(await read(connection, { ...inside, pageToken: token }, narrowed("v"))).toMatchObject({
      code: "permission_denied",
    });
  });

  test("folders tell of no key outside", async () => {
    const { backend, on } = await start();
    await fill(backend);
    const connection = on(GRPC);
    const folders = { delimiter: "/" };
    expect((await read(connection, folders)).keys).toEqual(["u/", "v"]);
    expect(await read(connection, folders, narrowed("u/7/"))).toMatchObject({ code: "permission_denied" });
    expect(await read(connection, { ...folders, prefix: "u/" }, narrowed("u/7/"))).toMatchObject({
      code: "permission_denied",
    });
    expect((await read(connection, { ...folders, prefix: "u/7/" }, narrowed("u/7/"))).keys).toEqual([
      "u/7/a",
      "u/7/b",
    ]);
    const within = { ...folders, start: "u/7/", end: "u/70" };
    expect((await read(connection, within, narrowed("u/7/"))).keys).toEqual(["u/"]);
    expect(await read(connection, { ...within, end: "u/70\0" }, narrowed("u/7/"))).toMatchObject({
      code: "permission_denied",
    });
  });

  test("an allowed scan has what lies within, and nothing else", async () => {
    const { backend, on } = await start();
    await fill(backend);
    for (const wire of POST_WIRES) {
      const prefixes = narrowed("u/7/", "v");
      const answer = await on(wire).call(callRequest(wire, scans.count, { prefix: "u/7/" }, prefixes));
      expect(readMessage(scans.count, wire, answer).count).toBe(2n);
      const keys = await on(wire).call(callRequest(wire, scans.scanKeys, { prefix: "v" }, prefixes));
      expect(keys.messages).toHaveLength(1);
    }
  });
});
