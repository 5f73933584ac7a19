/**
 * Requests with many items, and conditional writes, that ask for something forbidden. In every
 * protocol: the same code, reason and path of the field, and nothing is written.
 */
import type { DescMethod, MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueBatchInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { KeyValueCASInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_cas_pb.ts";
import { KeyValueCounterInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_counter_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import {
  type CommitRequestSchema,
  KeyValueTransactionInterface,
} from "../../gen/prism/interfaces/keyvalue/keyvalue_transaction_pb.ts";
import { KeyValueTTLInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_ttl_pb.ts";
import { expectFailure, type Failure } from "./expect.ts";
import { MAX_VALUE_BYTES, useServer } from "./fixture.ts";
import { callRequest, POST_WIRES, type RawRequest, readMessage, type Wire } from "./wire.ts";

const { set } = KeyValueBasicInterface.method;
const { count } = KeyValueScanInterface.method;
const { batchGet, batchSet, batchDelete } = KeyValueBatchInterface.method;
const { expire, getTTL, persist } = KeyValueTTLInterface.method;
const { compareAndSwap, compareAndDelete, setIfAbsent } = KeyValueCASInterface.method;
const { increment } = KeyValueCounterInterface.method;
const { read, commit } = KeyValueTransactionInterface.method;

/** In the keys and values of every case; it must not be in the log. */
const SECRET = "s3cret";
const key = SECRET;
const value = Buffer.from(SECRET);
const large = Buffer.alloc(MAX_VALUE_BYTES + 1, SECRET);
const tooMany = Array.from({ length: 1001 }, (_, i) => `${SECRET}${i}`);

type Commit = MessageInitShape<typeof CommitRequestSchema>;
const absent = { case: "absent", value: {} } as const;
const setTo = (kind: { value?: Uint8Array; ttlSeconds?: bigint }) =>
  ({ key, kind: { case: "set", value: kind } }) as const;
const checked = (...checks: NonNullable<Commit["checks"]>): Commit => ({
  checks,
  mutations: [setTo({ value })],
});
const mutated = (...mutations: NonNullable<Commit["mutations"]>): Commit => ({
  mutations: [setTo({ value }), ...mutations],
});

interface Case {
  readonly name: string;
  readonly request: (wire: Wire) => RawRequest;
  readonly failure: Failure;
}

function bad<M extends DescMethod>(
  name: string,
  method: M,
  init: MessageInitShape<M["input"]>,
  failure: Failure,
): Case {
  return { name: `${method.name}: ${name}`, request: (wire) => callRequest(wire, method, init), failure };
}

const invalid = (field: string): Failure => ({ code: "invalid_argument", reason: "INVALID_FIELD", field });
const tooLarge = (field: string): Failure => ({
  code: "resource_exhausted",
  reason: "VALUE_TOO_LARGE",
  field,
});
const missing: Failure = { code: "not_found", reason: "KEY_NOT_FOUND", namespace: "default" };

const CASES: readonly Case[] = [
  ...[batchGet, batchDelete, read].flatMap((method) => [
    bad("no keys", method, {}, invalid("keys")),
    bad("1,001 keys", method, { keys: tooMany }, invalid("keys")),
    bad("an empty key", method, { keys: [key, ""] }, invalid("keys[1]")),
    bad("an over-long key", method, { keys: ["k".repeat(1025), ""] }, invalid("keys[0]")),
  ]),
  bad("no items", batchSet, {}, invalid("items")),
  bad("1,001 items", batchSet, { items: tooMany.map((key) => ({ key })) }, invalid("items")),
  bad("an empty key", batchSet, { items: [{ key, value }, { value }] }, invalid("items[1].key")),
  bad("an over-large value", batchSet, { items: [{ key, value: large }] }, tooLarge("items[0].value")),
  bad("a negative ttl", batchSet, { items: [{ key, ttlSeconds: -1n }] }, invalid("items[0].ttl_seconds")),
  ...[expire, getTTL, persist, compareAndSwap, compareAndDelete, setIfAbsent, increment].map((method) =>
    bad("an empty key", method, {}, invalid("key")),
  ),
  ...[0n, -1n, 3_155_760_001n].map((ttlSeconds) =>
    bad(`a ttl of ${ttlSeconds}`, expire, { key, ttlSeconds }, invalid("ttl_seconds")),
  ),
  ...[getTTL, persist].map((method) => bad("a missing key", method, { key }, missing)),
  bad("a missing key", expire, { key, ttlSeconds: 1n }, missing),
  bad("no expectation", compareAndSwap, { key, value }, invalid("expected")),
  bad("a blank expectation", compareAndSwap, { key, value, expected: {} }, invalid("expected")),
  bad(
    "version 0",
    compareAndSwap,
    { key, value, expected: { kind: { case: "version", value: 0n } } },
    invalid("expected.version"),
  ),
  bad("a large value", compareAndSwap, { key, value: large, expected: { kind: absent } }, tooLarge("value")),
  bad("no expectation", compareAndDelete, { key }, invalid("expected")),
  bad("an absent entry", compareAndDelete, { key, expected: { kind: absent } }, invalid("expected")),
  bad("a large value", setIfAbsent, { key, value: large }, tooLarge("value")),
  bad("a negative ttl", setIfAbsent, { key, value, ttlSeconds: -1n }, invalid("ttl_seconds")),
  bad("a negative ttl", increment, { key, delta: 1n, ttlSeconds: -1n }, invalid("ttl_seconds")),
  bad("nothing", commit, {}, invalid("mutations")),
  bad("101 checks", commit, checked(...new Array(101).fill({ key, kind: absent })), invalid("checks")),
  bad("1,001 mutations", commit, mutated(...new Array(1000).fill(setTo({}))), invalid("mutations")),
  bad("a check of nothing", commit, checked({ key, kind: absent }, { key }), invalid("checks[1]")),
  bad("a check without a key", commit, checked({ kind: absent }), invalid("checks[0].key")),
  bad(
    "version -1",
    commit,
    checked({ key, kind: { case: "version", value: -1n } }),
    invalid("checks[0].version"),
  ),
  bad("a blank mutation", commit, mutated({ key }), invalid("mutations[1]")),
  bad("no key", commit, mutated({ kind: { case: "delete", value: {} } }), invalid("mutations[1].key")),
  bad("a large value", commit, mutated(setTo({ value: large })), tooLarge("mutations[1].set.value")),
  bad("a ttl", commit, mutated(setTo({ ttlSeconds: -1n })), invalid("mutations[1].set.ttl_seconds")),
  bad(
    "a ttl of 0",
    commit,
    mutated({ key, kind: { case: "expire", value: {} } }),
    invalid("mutations[1].expire.ttl_seconds"),
  ),
  bad("return_actual", commit, { ...mutated(), returnActual: true }, invalid("return_actual")),
  bad("text as a counter", commit, mutated({ key, kind: { case: "add", value: { delta: 1n } } }), {
    code: "failed_precondition",
    reason: "NOT_A_COUNTER",
    field: "mutations[1].key",
  }),
];

const fixture = useServer();

describe.each(POST_WIRES)("$name", (wire) => {
  test.each(CASES)("$name", async ({ request, failure }) => {
    const connection = fixture.on(wire);
    const failed = await expectFailure(fixture.server, connection, request(wire), failure, [SECRET]);
    expect(failed.message).not.toContain(SECRET);
    const left = await connection.call(callRequest(wire, count, { prefix: SECRET }));
    expect(readMessage(count, wire, left).count).toBe(0n);
  });

  test("a counter: what is none, and what is full, stays", async () => {
    const connection = fixture.on(wire);
    const texts = [
      ["not a number", "failed_precondition", "NOT_A_COUNTER"],
      ["9223372036854775807", "out_of_range", "COUNTER_OVERFLOW"],
    ] as const;
    for (const [text, code, reason] of texts) {
      const held = Buffer.from(text);
      await connection.call(callRequest(wire, set, { key: "counter", value: held }));
      const request = callRequest(wire, increment, { key: "counter", delta: 1n });
      await expectFailure(fixture.server, connection, request, { code, reason, field: "key" });
      const left = await connection.call(callRequest(wire, batchGet, { keys: ["counter"] }));
      const [result] = readMessage(batchGet, wire, left).results;
      expect(Buffer.from(result?.value ?? []).toString()).toBe(text);
    }
  });

  test("many values: more together than one may have are refused", async () => {
    const connection = fixture.on(wire);
    const half = Buffer.alloc(MAX_VALUE_BYTES / 2, "x");
    for (const key of ["half", "half2"]) {
      await connection.call(callRequest(wire, set, { key, value: half }));
    }
    const just = callRequest(wire, batchGet, { keys: ["half", "none", "half2"] });
    expect((await connection.call(just)).code).toBe("ok");
    for (const method of [batchGet, read]) {
      const more = callRequest(wire, method, { keys: ["half", "half2", "half"] });
      await expectFailure(fixture.server, connection, more, tooLarge("keys"));
    }
  });
});
