import { BinaryReader } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import { KeyValueBasicInterface } from "../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { readMethod } from "../calls/methods.ts";
import type { TracedCall } from "../calls/policies/trace.ts";
import { encodeSpans } from "./otlp.ts";

const CALL: TracedCall = {
  row: readMethod(KeyValueBasicInterface.method.get, 0),
  span: { traceId: "4bf92f3577b34da6a3ce929d0e0e4736", spanId: "00f067aa0ba902b7", sampled: true },
  parentSpanId: "00f067aa0ba902b8",
  startMs: 1_800_000_000_000.5,
  endMs: 1_800_000_000_001.25,
  isGrpc: true,
  requestId: "id-1",
  namespace: "orders",
  reason: "store_unavailable",
  parts: [
    {
      spanId: "00f067aa0ba902b9",
      parentSpanId: "00f067aa0ba902b7",
      operation: { store: "postgres", method: "get" },
      startMs: 1_800_000_000_001,
      endMs: 1_800_000_000_001,
    },
  ],
};

/** The fields of a message by the numbers of OTLP's own .proto: this must not use ours. */
function fieldsOf(message: Uint8Array): ReadonlyMap<number, readonly (Uint8Array | bigint | number)[]> {
  const fields = new Map<number, (Uint8Array | bigint | number)[]>();
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const value = [
      () => reader.int64() as bigint,
      () => reader.fixed64() as bigint,
      () => reader.bytes(),
      undefined,
      undefined,
      () => reader.fixed32(),
    ][type]?.();
    if (value === undefined) {
      throw new Error(`wire type ${type}`);
    }
    fields.set(number, [...(fields.get(number) ?? []), value]);
  }
  return fields;
}

const inside = (message: Uint8Array, ...path: readonly number[]): Uint8Array[] =>
  path.reduce(
    (found, number) => found.flatMap((each) => (fieldsOf(each).get(number) ?? []) as Uint8Array[]),
    [message],
  );

const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();
const hex = (bytes: unknown) => Buffer.from(bytes as Uint8Array).toString("hex");

function attributesOf(message: Uint8Array, number: number) {
  return Object.fromEntries(
    inside(message, number).map((pair) => {
      const [value] = inside(pair, 2);
      const [[type, [content] = []] = []] = [...fieldsOf(value ?? new Uint8Array())];
      return [text(inside(pair, 1)[0]), type === 1 ? text(content as Uint8Array) : content];
    }),
  );
}

test("spans have OTLP's field numbers and the names of the semantic conventions", () => {
  const body = encodeSpans({ "service.name": "prism" }, [CALL]);
  // ExportTraceServiceRequest.resource_spans = 1, .resource = 1, .attributes = 1
  const [resource] = inside(body, 1, 1);
  expect(attributesOf(resource ?? body, 1)).toEqual({ "service.name": "prism" });
  // .scope_spans = 2, .spans = 2
  const [call, part, ...more] = inside(body, 1, 2, 2);
  expect(more).toEqual([]);
  if (call === undefined || part === undefined) {
    throw new Error("no spans");
  }
  const fields = fieldsOf(call);
  expect(hex(fields.get(1)?.[0])).toBe(CALL.span.traceId);
  expect(hex(fields.get(2)?.[0])).toBe(CALL.span.spanId);
  expect(hex(fields.get(4)?.[0])).toBe(CALL.parentSpanId);
  expect(text(inside(call, 5)[0])).toBe("prism.interfaces.keyvalue.KeyValueBasicInterface/Get");
  expect(fields.get(6)).toEqual([2n]); // SPAN_KIND_SERVER
  expect(fields.get(7)).toEqual([1_800_000_000_000_500_000n]);
  expect(fields.get(8)).toEqual([1_800_000_000_001_250_000n]);
  expect(attributesOf(call, 9)).toEqual({
    "rpc.system": "grpc",
    "rpc.service": "prism.interfaces.keyvalue.KeyValueBasicInterface",
    "rpc.method": "Get",
    "rpc.grpc.status_code": 14n,
    "prism.namespace": "orders",
    "prism.request_id": "id-1",
    "error.type": "store_unavailable",
  });
  expect(fieldsOf(inside(call, 15)[0] ?? body).get(3)).toEqual([2n]); // STATUS_CODE_ERROR
  expect(fields.get(16)).toEqual([0x301]);

  expect(hex(fieldsOf(part).get(4)?.[0])).toBe(CALL.span.spanId);
  expect(text(inside(part, 5)[0])).toBe("postgres get");
  expect(fieldsOf(part).get(6)).toEqual([3n]); // SPAN_KIND_CLIENT
  expect(attributesOf(part, 9)).toEqual({
    "db.system.name": "postgresql",
    "db.operation.name": "get",
  });
});

test("a call over Connect has Connect's code; the caller's fault is no error of the server", () => {
  const [call] = inside(
    encodeSpans({}, [
      { ...CALL, isGrpc: false, parentSpanId: undefined, reason: "invalid_field", parts: [] },
    ]),
    1,
    2,
    2,
  );
  expect(attributesOf(call ?? new Uint8Array(), 9)).toMatchObject({
    "rpc.system": "connect_rpc",
    "rpc.connect_rpc.error_code": "invalid_argument",
  });
  const fields = fieldsOf(call ?? new Uint8Array());
  expect([fields.get(4), fields.get(15)]).toEqual([undefined, undefined]);
});
