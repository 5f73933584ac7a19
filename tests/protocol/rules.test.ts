/** A namespace's rules for values and times to live, over the wire, for every call with one. */
import type { DescMethod } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Reason } from "../../gen/prism/common/errors_pb.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueBatchInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { KeyValueCASInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_cas_pb.ts";
import { KeyValueCounterInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_counter_pb.ts";
import { KeyValueTransactionInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_transaction_pb.ts";
import { KeyValueTTLInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_ttl_pb.ts";
import { ListBasicInterface } from "../../gen/prism/interfaces/list/list_basic_pb.ts";
import { ListIndexingInterface } from "../../gen/prism/interfaces/list/list_indexing_pb.ts";
import { KeyValueService } from "../../gen/prism/keyvalue/v1/keyvalue_pb.ts";
import { NO_RULES, type TtlRules } from "../../server/namespaces/rules.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { waitFor } from "../helpers/until.ts";
import { rawCall } from "./raw.ts";
import { callRequest, POST_WIRES, readMessage } from "./wire.ts";

const { set } = KeyValueBasicInterface.method;
const { batchSet } = KeyValueBatchInterface.method;
const { compareAndSwap, setIfAbsent } = KeyValueCASInterface.method;
const { increment } = KeyValueCounterInterface.method;
const { expire, persist, getTTL } = KeyValueTTLInterface.method;
const { commit } = KeyValueTransactionInterface.method;
const { pushLeft, pushRight } = ListBasicInterface.method;
const records = KeyValueService.method;

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

const rule = (ttl: Partial<TtlRules>, maxValueBytes = 0) =>
  server.registry.setRules("default", {
    ...NO_RULES,
    limits: { ...NO_RULES.limits, maxValueBytes },
    ttl: { ...NO_RULES.ttl, ...ttl },
  });

const value = new Uint8Array(8);
const ttlSeconds = 5n;
const item = { key: value, value };
const absent = { kind: { case: "absent", value: {} } };
const mutation = (kind: string, of: object) => ({
  mutations: [{ key: "k", kind: { case: kind, value: of } }],
});

/** The calls that bring a value, each with the field that names it. */
const WITH_VALUE: readonly (readonly [DescMethod, object, string])[] = [
  [set, { key: "k", value }, "value"],
  [
    batchSet,
    {
      items: [
        { key: "k", value: new Uint8Array(1) },
        { key: "l", value },
      ],
    },
    "items[1].value",
  ],
  [compareAndSwap, { key: "k", value, expected: absent }, "value"],
  [setIfAbsent, { key: "k", value }, "value"],
  [commit, mutation("set", { value }), "mutations[0].set.value"],
  [commit, mutation("replace", { value }), "mutations[0].replace.value"],
  [pushLeft, { listKey: "l", value }, "value"],
  [pushRight, { listKey: "l", value }, "value"],
  [ListIndexingInterface.method.set, { listKey: "l", value }, "value"],
  [ListIndexingInterface.method.insert, { listKey: "l", value, pivot: value, side: 1 }, "value"],
  [records.put, { id: "r", items: [item] }, "items[0].value"],
  [records.putBatch, { requests: [{ id: "r", items: [item] }] }, "items[0].value"],
  [records.compareAndSwap, { id: "r", key: value, newValue: value }, "new_value"],
];

/** The calls that give a time to live, each with the field that names it. */
const WITH_TTL: readonly (readonly [DescMethod, object, string])[] = [
  [set, { key: "k", ttlSeconds }, "ttl_seconds"],
  [batchSet, { items: [{ key: "k" }, { key: "l", ttlSeconds }] }, "items[1].ttl_seconds"],
  [compareAndSwap, { key: "k", ttlSeconds, expected: absent }, "ttl_seconds"],
  [setIfAbsent, { key: "k", ttlSeconds }, "ttl_seconds"],
  [increment, { key: "k", delta: 1n, ttlSeconds }, "ttl_seconds"],
  [expire, { key: "k", ttlSeconds }, "ttl_seconds"],
  [commit, mutation("set", { ttlSeconds }), "mutations[0].set.ttl_seconds"],
  [commit, mutation("add", { ttlSeconds }), "mutations[0].add.ttl_seconds"],
  [commit, mutation("expire", { ttlSeconds }), "mutations[0].expire.ttl_seconds"],
  [
    records.put,
    { id: "r", items: [{ key: value, metadata: { ttlSeconds } }] },
    "items[0].metadata.ttl_seconds",
  ],
];

describe.each(POST_WIRES)("$name", (wire) => {
  const call = (method: DescMethod, message: object) =>
    rawCall(server, callRequest(wire, method, message as never));

  test("a value larger than the namespace takes", async () => {
    await rule({}, 7);
    for (const [method, message, field] of WITH_VALUE) {
      expect(await call(method, message)).toMatchObject({
        code: "resource_exhausted",
        message: 'the value has 8 bytes; the limit of namespace "default" is 7',
        details: [{ reason: Reason.VALUE_TOO_LARGE, retryable: false, fieldViolations: [{ field }] }],
      });
    }
    expect(await call(set, { key: "k", value: new Uint8Array(7) })).toMatchObject({ code: "ok" });
  });

  test("a time to live that is too short, too long or forbidden", async () => {
    const refused = async (ttl: Partial<TtlRules>, text: string) => {
      await rule(ttl);
      for (const [method, message, field] of WITH_TTL) {
        expect(await call(method, message)).toMatchObject({
          code: "invalid_argument",
          message: expect.stringContaining(text),
          details: [{ reason: Reason.INVALID_FIELD, fieldViolations: [{ field }] }],
        });
      }
    };
    await refused({ minSeconds: 10 }, 'must be at least 10 seconds in namespace "default", and 5 came');
    await refused({ forbidden: true }, 'namespace "default" takes no time to live');
    await rule({ maxSeconds: 4, defaultSeconds: 4 });
    expect(await call(expire, { key: "k", ttlSeconds })).toMatchObject({
      message: 'the time to live must be 1 to 4 seconds in namespace "default", and 5 came',
    });
  });

  test("with a longest time to live everything has one, and keeps one", async () => {
    await rule({ maxSeconds: 100 });
    for (const [method, message] of [
      [set, { key: "k" }],
      [increment, { key: "n", delta: 1n }],
    ] as const) {
      expect(await call(method, message)).toMatchObject({
        code: "invalid_argument",
        message: expect.stringContaining("and none came"),
      });
    }
    expect(await call(set, { key: "k", ttlSeconds: 100n })).toMatchObject({ code: "ok" });
    const never = {
      code: "invalid_argument",
      message: 'namespace "default" takes no entries that never expire',
    };
    expect(await call(persist, { key: "k" })).toMatchObject(never);
    expect(await call(commit, mutation("persist", {}))).toMatchObject(never);
    await rule({ maxSeconds: 100, defaultSeconds: 50 });
    expect(await call(set, { key: "k" })).toMatchObject({ code: "ok" });
    const left = readMessage(getTTL, wire, await call(getTTL, { key: "k" })).remainingMs;
    expect(left).toBeGreaterThan(0n);
    expect(left).toBeLessThanOrEqual(50_000n);
  });

  test("a namespace that is full takes overwrites and deletes, and nothing new", async () => {
    const full = { ...NO_RULES, limits: { ...NO_RULES.limits, maxEntries: 2 } };
    await rule({});
    for (const key of ["k", "n", "new"]) {
      await call(KeyValueBasicInterface.method.delete, { key });
    }
    await server.registry.setRules("default", full);
    expect(await call(set, { key: "k" })).toMatchObject({ code: "ok" });
    expect(await call(increment, { key: "n", delta: 1n })).toMatchObject({ code: "ok" });
    for (const [method, message] of [
      [set, { key: "new" }],
      [batchSet, { items: [{ key: "k" }, { key: "new" }] }],
      [setIfAbsent, { key: "new" }],
      [compareAndSwap, { key: "new", expected: absent }],
      [increment, { key: "new", delta: 1n }],
      [commit, { mutations: [{ key: "new", kind: { case: "replace", value: {} } }] }],
    ] as const) {
      expect(await call(method, message)).toMatchObject({
        code: "resource_exhausted",
        message: expect.stringContaining('namespace "default" may hold 2 entries'),
        details: [{ reason: Reason.QUOTA_EXCEEDED, retryable: false }],
      });
    }
    expect(await call(set, { key: "k", value })).toMatchObject({ code: "ok" });
    expect(await call(increment, { key: "n", delta: 1n })).toMatchObject({ code: "ok" });
    expect(await call(KeyValueBasicInterface.method.delete, { key: "k" })).toMatchObject({ code: "ok" });
    await waitFor(async () => expect(await call(set, { key: "new" })).toMatchObject({ code: "ok" }));
  });
});
