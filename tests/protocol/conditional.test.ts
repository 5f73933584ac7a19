/** Batches, times to live, compare-and-swap, counters and transactions, in every protocol. */
import type { DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueBatchInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { KeyValueCASInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_cas_pb.ts";
import { KeyValueCounterInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_counter_pb.ts";
import {
  Before,
  KeyValueTransactionInterface,
} from "../../gen/prism/interfaces/keyvalue/keyvalue_transaction_pb.ts";
import { KeyValueTTLInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_ttl_pb.ts";
import { createManualClock } from "../../server/backend/conformance/manual-clock.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";
import { connect, type RawConnection } from "./raw.ts";
import { callRequest, methodPath, POST_WIRES, readMessage, type Wire } from "./wire.ts";

const { get, set } = KeyValueBasicInterface.method;
const { batchGet, batchSet, batchDelete } = KeyValueBatchInterface.method;
const { expire, getTTL, persist } = KeyValueTTLInterface.method;
const { compareAndSwap, compareAndDelete, setIfAbsent } = KeyValueCASInterface.method;
const { increment } = KeyValueCounterInterface.method;
const { read, commit } = KeyValueTransactionInterface.method;

const clock = createManualClock();
let server: TestServer;
const connections: Partial<Record<1 | 2, RawConnection>> = {};

beforeAll(async () => {
  server = await startTestServer({ clock });
  connections[1] = connect(server, 1);
  connections[2] = connect(server, 2);
});
afterAll(async () => {
  connections[1]?.[Symbol.dispose]();
  connections[2]?.[Symbol.dispose]();
  await server.stop();
});

const bytes = (text: string) => new Uint8Array(Buffer.from(text));

describe.each(POST_WIRES)("$name", (wire: Wire) => {
  /** Makes a call, which must succeed. */
  async function ask<M extends DescMethodUnary>(
    method: M,
    init: MessageInitShape<M["input"]>,
  ): Promise<MessageShape<M["output"]>> {
    const answer = await connections[wire.http]?.call(callRequest(wire, method, init));
    if (answer?.code !== "ok") {
      throw new Error(`${method.name}: ${answer?.code} ${answer?.message}`);
    }
    return readMessage(method, wire, answer) as MessageShape<M["output"]>;
  }

  /** A key that no other test uses. */
  const keyOf = (name: string) => `${wire.name} ${name}`;
  const textOf = async (key: string) => Buffer.from((await ask(get, { key })).value).toString();

  test("a batch: results in the order of the request, also for one key twice", async () => {
    const [a, b, none] = ["a", "b", "none"].map(keyOf) as [string, string, string];
    const items = [
      { key: a, value: bytes("1") },
      { key: b, value: bytes("") },
      { key: a, value: bytes("2"), ttlSeconds: 5n },
    ];
    const written = await ask(batchSet, { items });
    expect(written).toMatchObject({ results: [{}, {}, {}], atomic: true });
    expect(written.results.every(({ error }) => error === undefined)).toBe(true);
    const found = await ask(batchGet, { keys: [a, none, b, a] });
    expect(found.results.map(({ found, value }) => found && Buffer.from(value).toString())).toEqual([
      "2",
      false,
      "",
      "2",
    ]);
    const deleted = await ask(batchDelete, { keys: [b, b, none] });
    expect(deleted.results.map(({ found }) => found)).toEqual([true, false, false]);
    expect(deleted.atomic).toBe(true);
  });

  test("a time to live: given, told and taken away", async () => {
    const key = keyOf("ttl");
    const first = await ask(setIfAbsent, { key, value: bytes("v") });
    expect((await ask(getTTL, { key })).remainingMs).toBeUndefined();
    expect(await ask(persist, { key })).toMatchObject({ removed: false, version: 0n });
    const { version } = await ask(expire, { key, ttlSeconds: 10n });
    expect(version).toBeGreaterThan(first.version);
    clock.advance(9_999);
    expect((await ask(getTTL, { key })).remainingMs).toBe(1n);
    const persisted = await ask(persist, { key });
    expect(persisted.removed).toBe(true);
    expect(persisted.version).toBeGreaterThan(version);
    clock.advance(1);
    expect(await textOf(key)).toBe("v");
    expect((await ask(getTTL, { key })).remainingMs).toBeUndefined();
  });

  test("compare-and-swap: by absence, value and version; a mismatch tells what is there", async () => {
    const key = keyOf("cas");
    const first = await ask(compareAndSwap, {
      key,
      value: bytes("1"),
      expected: { kind: { case: "absent", value: {} } },
      ttlSeconds: 60n,
    });
    expect(first.swapped).toBe(true);
    expect(first.version).toBeGreaterThan(0n);
    expect(first.actual).toBeUndefined();
    const other = await ask(setIfAbsent, { key, value: bytes("2") });
    expect(other).toMatchObject({ created: false, version: 0n });
    expect(other.actual).toMatchObject({ version: first.version, remainingMs: 60_000n });
    expect(Buffer.from(other.actual?.value ?? []).toString()).toBe("1");
    const wrong = { kind: { case: "value", value: bytes("") } } as const;
    const mismatch = await ask(compareAndSwap, { key, value: bytes("2"), expected: wrong });
    expect(mismatch).toMatchObject({ swapped: false, version: 0n, actual: { version: first.version } });
    expect(await ask(compareAndDelete, { key, expected: wrong })).toMatchObject({ deleted: false });
    const right = { kind: { case: "version", value: first.version } } as const;
    const second = await ask(compareAndSwap, { key, value: bytes("2"), expected: right });
    expect(second.swapped).toBe(true);
    expect(second.version).toBeGreaterThan(first.version);
    expect(await ask(compareAndDelete, { key, expected: right })).toMatchObject({
      deleted: false,
      actual: { version: second.version },
    });
    const held = { kind: { case: "value", value: bytes("2") } } as const;
    expect(await ask(compareAndDelete, { key, expected: held })).toMatchObject({ deleted: true });
    const gone = await ask(compareAndDelete, { key, expected: held });
    expect(gone.deleted).toBe(false);
    expect(gone.actual).toBeUndefined();
  });

  test("a counter: made, added to, and read by Get", async () => {
    const key = keyOf("counter");
    const made = await ask(increment, { key, delta: -3n, initial: 10n, ttlSeconds: 100n });
    expect(made.value).toBe(7n);
    const again = await ask(increment, { key, delta: 2n ** 62n, initial: 0n, ttlSeconds: 1n });
    expect(again.value).toBe(2n ** 62n + 7n);
    expect(again.version).toBeGreaterThan(made.version);
    expect(await textOf(key)).toBe(String(2n ** 62n + 7n));
    expect((await ask(getTTL, { key })).remainingMs).toBe(100_000n);
    await ask(set, { key, value: bytes("-1") });
    expect((await ask(increment, { key })).value).toBe(-1n);
  });

  test("a transaction: all or none, and each change tells what it found", async () => {
    const [a, b, c] = ["ta", "tb", "tc"].map(keyOf) as [string, string, string];
    await ask(set, { key: a, value: bytes("1"), ttlSeconds: 7n });
    const made = await ask(commit, {
      checks: [
        { key: a, kind: { case: "present", value: {} } },
        { key: b, kind: { case: "absent", value: {} } },
      ],
      mutations: [
        { key: a, kind: { case: "replace", value: { value: bytes("2") } } },
        { key: b, kind: { case: "add", value: { delta: 5n } } },
        { key: b, kind: { case: "expire", value: { ttlSeconds: 9n } } },
        { key: c, kind: { case: "set", value: { value: bytes("3") } } },
        { key: c, kind: { case: "delete", value: {} } },
        { key: a, kind: { case: "persist", value: {} } },
      ],
    });
    expect(made.committed).toBe(true);
    expect(made.results.map(({ before, counter }) => [before, counter])).toEqual([
      [Before.EXPIRING, undefined],
      [Before.ABSENT, 5n],
      [Before.LASTING, undefined],
      [Before.ABSENT, undefined],
      [Before.LASTING, undefined],
      [Before.EXPIRING, undefined],
    ]);
    const { results } = await ask(read, { keys: [a, c, b] });
    const [ofA, ofC, ofB] = results.map(({ entry }) => entry);
    expect(ofA).toMatchObject({ version: made.version });
    expect(ofA?.remainingMs).toBeUndefined();
    expect(Buffer.from(ofA?.value ?? []).toString()).toBe("2");
    expect(ofC).toBeUndefined();
    expect(ofB).toMatchObject({ version: made.version, remainingMs: 9000n });
    const bare = await ask(read, { keys: [b], omitValues: true });
    expect(bare.results[0]?.entry).toMatchObject({ version: made.version, remainingMs: 9000n });
    expect(bare.results[0]?.entry?.value).toHaveLength(0);

    const failed = await ask(commit, {
      checks: [
        { key: a, kind: { case: "version", value: made.version } },
        { key: b, kind: { case: "value", value: bytes("6") } },
        { key: c, kind: { case: "present", value: {} } },
      ],
      mutations: [{ key: c, kind: { case: "set", value: {} } }],
    });
    expect(failed).toMatchObject({ committed: false, version: 0n, results: [] });
    expect(failed.failedChecks.map(({ index, actual }) => [index, actual])).toEqual([
      [1, undefined],
      [2, undefined],
    ]);
    const told = await ask(commit, {
      checks: [{ key: b, kind: { case: "absent", value: {} } }],
      returnActual: true,
    });
    expect(told.failedChecks).toMatchObject([{ index: 0, actual: { version: made.version } }]);
  });

  test("a thousand items of the longest keys, and a hundred checks, are one request", async () => {
    const keys = Array.from({ length: 1000 }, (_, i) => keyOf(String(i)).padEnd(1024, "k"));
    const mutations = keys.map(
      (key) => ({ key, kind: { case: "set", value: { ttlSeconds: 3_155_760_000n } } }) as const,
    );
    const checks = keys.slice(0, 100).map((key) => ({ key, kind: { case: "absent", value: {} } }) as const);
    const made = await ask(commit, { checks, mutations });
    expect(made.committed).toBe(true);
    expect(made.results).toHaveLength(1000);
    expect((await ask(read, { keys })).results.every(({ entry }) => entry?.version === made.version)).toBe(
      true,
    );
    const items = keys.map((key) => ({ key, ttlSeconds: 1n }));
    expect((await ask(batchSet, { items })).results).toHaveLength(1000);
    expect((await ask(batchGet, { keys })).results.every(({ found }) => found)).toBe(true);
    expect((await ask(batchDelete, { keys })).results.every(({ found }) => found)).toBe(true);
  });
});

test("JSON as a person writes it", async () => {
  const post = async (path: string, body: string) => {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${server.baseUrl}${path}`, { method: "POST", headers, body });
    return (await answer.json()) as Record<string, unknown>;
  };
  const made = await post(methodPath(setIfAbsent), '{"key":"json","value":"MQ=="}');
  expect(made).toEqual({ created: true, version: expect.stringMatching(/^[1-9]\d*$/) });
  const counted = await post(methodPath(increment), '{"key":"json","delta":41}');
  expect(counted).toMatchObject({ value: "42" });
  const body = `{"checks":[{"key":"json","version":"${counted.version}"}],"mutations":[{"key":"json","delete":{}},{"key":"json","add":{"delta":"2"}}]}`;
  expect(await post(methodPath(commit), body)).toMatchObject({
    committed: true,
    results: [{ before: "BEFORE_LASTING" }, { before: "BEFORE_ABSENT", counter: "2" }],
  });
  expect(
    await post(methodPath(compareAndSwap), '{"key":"json","value":"MQ==","expected":{"absent":{}}}'),
  ).toEqual({ swapped: false, version: "0", actual: { value: "Mg==", version: expect.any(String) } });
  expect(await post(methodPath(batchGet), '{"keys":["json","none"]}')).toEqual({
    results: [
      { found: true, value: "Mg==" },
      { found: false, value: "" },
    ],
  });
});
