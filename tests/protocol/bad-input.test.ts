/**
 * Well-formed requests that ask for something forbidden. In every protocol: the same code, reason
 * and field, one log line, and a usable connection afterwards.
 */
import type { DescMethod, MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueRangeInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_range_pb.ts";
import { KeyValueScanInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { ListBasicInterface } from "../../gen/prism/interfaces/list/list_basic_pb.ts";
import { ListNamesInterface } from "../../gen/prism/interfaces/list/list_names_pb.ts";
import { RecordIdsService } from "../../gen/prism/keyvalue/v1/record_ids_pb.ts";
import { expectFailure, expectService, type Failure } from "./expect.ts";
import { MAX_VALUE_BYTES, useServer } from "./fixture.ts";
import { callRequest, GET_WIRES, POST_WIRES, type RawRequest, readMessage, type Wire } from "./wire.ts";

const { set, get, delete: remove, exists } = KeyValueBasicInterface.method;
const { scan, scanKeys, count } = KeyValueScanInterface.method;
const { readRange, readKeys, readPage } = KeyValueRangeInterface.method;
const { readNames } = ListNamesInterface.method;
const { readIds } = RecordIdsService.method;
const { pushLeft, pushRight, popLeft, popRight, length } = ListBasicInterface.method;

interface Case {
  readonly name: string;
  readonly method: DescMethod;
  readonly request: (wire: Wire) => RawRequest;
  readonly failure: Failure;
}

/** The calls of a case; the first side-effect-free ones also as GET. */
function cases<M extends DescMethod>(
  name: string,
  method: M,
  init: MessageInitShape<M["input"]>,
  failure: Failure,
): Case {
  const request = (wire: Wire) => callRequest(wire, method, init);
  return { name: `${method.name}: ${name}`, method, request, failure };
}

const invalid = (field: string): Failure => ({ code: "invalid_argument", reason: "INVALID_FIELD", field });
const notFound = (reason: Failure["reason"], namespace = "default"): Failure => ({
  code: "not_found",
  reason,
  namespace,
});
const tooLarge: Failure = { code: "resource_exhausted", reason: "VALUE_TOO_LARGE", field: "value" };

/** In the keys and values of every case; it must not be in the log. */
const SECRET = "s3cret";
const longKey = SECRET.padEnd(1025, "k");
/** 1,024 bytes in 342 characters, and one byte more. */
const widestKey = `${"€".repeat(341)}k`;
const tooWideKey = `${"€".repeat(341)}é`;
const value = Buffer.from(SECRET);
const largeValue = Buffer.alloc(MAX_VALUE_BYTES + 1, SECRET);
const unknown = { namespace: "no-such" };

const CASES: readonly Case[] = [
  cases("empty key", set, { key: "", value }, invalid("key")),
  cases("empty key", get, { key: "" }, invalid("key")),
  cases("empty key", remove, { key: "" }, invalid("key")),
  cases("empty key", exists, { key: "" }, invalid("key")),
  cases("empty key", pushLeft, { listKey: "", value }, invalid("list_key")),
  cases("empty key", pushRight, { listKey: "", value }, invalid("list_key")),
  cases("empty key", popLeft, { listKey: "" }, invalid("list_key")),
  cases("empty key", popRight, { listKey: "" }, invalid("list_key")),
  cases("empty key", length, { listKey: "" }, invalid("list_key")),
  cases("over-long key", set, { key: longKey, value }, invalid("key")),
  cases("over-long key", get, { key: longKey }, invalid("key")),
  cases("over-long key of few characters", get, { key: tooWideKey }, invalid("key")),
  cases("over-long key", length, { listKey: longKey }, invalid("list_key")),
  cases("over-long prefix", scan, { prefix: longKey }, invalid("prefix")),
  cases("over-long prefix", scanKeys, { prefix: longKey }, invalid("prefix")),
  cases("over-long prefix", count, { prefix: longKey }, invalid("prefix")),
  cases("negative limit", scan, { limit: -1 }, invalid("limit")),
  cases("least limit", scanKeys, { limit: -(2 ** 31) }, invalid("limit")),
  cases("over-long start", readRange, { start: longKey }, invalid("start")),
  cases("over-long end", readKeys, { end: longKey }, invalid("end")),
  cases("over-long prefix", readRange, { prefix: longKey }, invalid("prefix")),
  cases("over-long delimiter", readKeys, { delimiter: longKey }, invalid("delimiter")),
  cases("start after end", readRange, { start: "\u{10000}", end: "\uffff" }, invalid("start")),
  cases("start after end", readKeys, { start: "b", end: "a", reverse: true }, invalid("start")),
  cases("negative limit", readRange, { limit: -1 }, invalid("limit")),
  cases("forged page token", readRange, { pageToken: value }, invalid("page_token")),
  cases("forged page token", readKeys, { pageToken: Buffer.alloc(20) }, invalid("page_token")),
  cases("over-long end", readPage, { end: longKey }, invalid("end")),
  cases("start after end", readPage, { start: "b", end: "a" }, invalid("start")),
  cases("negative limit", readPage, { limit: -1 }, invalid("limit")),
  cases("forged page token", readPage, { pageToken: Buffer.alloc(20) }, invalid("page_token")),
  ...[readNames, readIds].flatMap((method) => [
    cases("over-long prefix", method, { prefix: longKey }, invalid("prefix")),
    cases("start after end", method, { start: "b", end: "a" }, invalid("start")),
    cases("negative limit", method, { limit: -1 }, invalid("limit")),
    cases("forged page token", method, { pageToken: Buffer.alloc(20) }, invalid("page_token")),
    cases("unknown namespace", method, { ...unknown }, notFound("NAMESPACE_NOT_FOUND", "no-such")),
  ]),
  cases("negative ttl", set, { key: SECRET, value, ttlSeconds: -1n }, invalid("ttl_seconds")),
  cases("least ttl", set, { key: SECRET, value, ttlSeconds: -(2n ** 63n) }, invalid("ttl_seconds")),
  cases("over-long ttl", set, { key: SECRET, value, ttlSeconds: 3_155_760_001n }, invalid("ttl_seconds")),
  cases("largest ttl", set, { key: SECRET, value, ttlSeconds: 2n ** 63n - 1n }, invalid("ttl_seconds")),
  cases("over-large value", set, { key: SECRET, value: largeValue }, tooLarge),
  cases("over-large value", pushLeft, { listKey: SECRET, value: largeValue }, tooLarge),
  cases("over-large value", pushRight, { listKey: SECRET, value: largeValue }, tooLarge),
  cases("missing key", get, { key: SECRET }, notFound("KEY_NOT_FOUND")),
  cases("missing key", get, { key: SECRET, namespace: "default" }, notFound("KEY_NOT_FOUND")),
  cases("unknown service", Health.method.check, { service: SECRET }, notFound("SERVICE_NOT_FOUND", "")),
  ...[set, get, remove, exists].map((method) =>
    cases(
      "unknown namespace",
      method,
      { ...unknown, key: SECRET },
      notFound("NAMESPACE_NOT_FOUND", "no-such"),
    ),
  ),
  ...[scan, scanKeys, count].map((method) =>
    cases("unknown namespace", method, { ...unknown }, notFound("NAMESPACE_NOT_FOUND", "no-such")),
  ),
  ...[pushLeft, popRight, length].map((method) =>
    cases(
      "unknown namespace",
      method,
      { ...unknown, listKey: SECRET },
      notFound("NAMESPACE_NOT_FOUND", "no-such"),
    ),
  ),
  cases(
    "malformed namespace",
    count,
    { namespace: "Ä".repeat(100) },
    { ...invalid("namespace"), namespace: "" },
  ),
  ...["Default", "1st", "a b", "a/b", "ä", " default", "-", "a".repeat(64), "a\u0000"].map((namespace) =>
    cases(
      `malformed namespace ${JSON.stringify(namespace)}`,
      get,
      { key: SECRET, namespace },
      invalid("namespace"),
    ),
  ),
  cases("malformed namespace", scan, { namespace: "Ä" }, invalid("namespace")),
  cases("malformed namespace", length, { listKey: SECRET, namespace: "Ä" }, invalid("namespace")),
];

const fixture = useServer();

describe.each([...POST_WIRES, ...GET_WIRES])("$name", (wire) => {
  const applicable = CASES.filter(
    ({ method }) => wire.protocol !== "connect-get" || [get, exists, count].includes(method as never),
  );

  test.each(applicable)("$name", async ({ request, failure }) => {
    const failed = await expectFailure(fixture.server, fixture.on(wire), request(wire), failure, [SECRET]);
    expect(failed.message).not.toContain(SECRET);
    expect(await expectService(fixture.on(wire), wire)).toBe(failed.localPort);
  });
});

test.each(POST_WIRES)("$name: what is just allowed", async (wire) => {
  const largest = Buffer.alloc(MAX_VALUE_BYTES, 0xff);
  const ttlSeconds = 3_155_760_000n;
  for (const key of [widestKey, "\u0000", "a\u0000b", "\u{10ffff}", "..", " "]) {
    const written = await fixture.on(wire).call(callRequest(wire, set, { key, value: largest, ttlSeconds }));
    expect(written.code).toBe("ok");
    const read = await fixture.on(wire).call(callRequest(wire, get, { key, namespace: "default" }));
    expect(Buffer.compare(readMessage(get, wire, read).value, largest)).toBe(0);
    const deleted = await fixture.on(wire).call(callRequest(wire, remove, { key }));
    expect(readMessage(remove, wire, deleted).found).toBe(true);
  }
  const empty = await fixture
    .on(wire)
    .call(callRequest(wire, set, { key: "empty", value: new Uint8Array() }));
  expect(readMessage(set, wire, empty).success).toBe(true);
  const there = await fixture.on(wire).call(callRequest(wire, exists, { key: "empty" }));
  expect(readMessage(exists, wire, there).exists).toBe(true);
});
