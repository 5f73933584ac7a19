import type { DescField } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { ExportTraceServiceRequestSchema } from "../../gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import { InstrumentationScopeSchema } from "../../gen/opentelemetry/proto/common/v1/common_pb.ts";
import { ResourceSchema } from "../../gen/opentelemetry/proto/resource/v1/resource_pb.ts";
import {
  ResourceSpansSchema,
  ScopeSpansSchema,
  Span_SpanKind as SpanKind,
  SpanSchema,
  Status_StatusCode as StatusCode,
} from "../../gen/opentelemetry/proto/trace/v1/trace_pb.ts";
import type { StoreOperation } from "../backend/contract.ts";
import type { MethodRow } from "../calls/methods.ts";
import type { TracedCall, TracedPart } from "../calls/policies/trace.ts";
import { REASONS } from "../reasons.ts";
import { encoderOf } from "../wire/encoder.ts";
import { MessageWriter } from "../wire/message-writer.ts";

/** What is known of this process: `service.name` and the like. */
export type Resource = Readonly<Record<string, string>>;

const SAMPLED = 0x001;
const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;

/**
 * Codes for which the server or its store is at fault, not the caller (opentelemetry.io, "Semantic
 * conventions for gRPC", status).
 */
const SERVER_FAULTS: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Unimplemented,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);

/** Names of stores that the semantic conventions write otherwise. */
const SYSTEM_NAMES: Readonly<Record<string, string>> = { postgres: "postgresql" };

const writer = new MessageWriter();
const encodeSpan = encoderOf(SpanSchema);
const encodeResource = encoderOf(ResourceSchema);
const encodeScope = encoderOf(InstrumentationScopeSchema);

/** The spans of these calls as the body of an OTLP request. */
export function encodeSpans(resource: Resource, calls: readonly TracedCall[]): Buffer {
  writer.clear();
  nested(ExportTraceServiceRequestSchema.field.resourceSpans, () => {
    const { resource: ofProcess, scopeSpans } = ResourceSpansSchema.field;
    nested(ofProcess, () => encodeResource({ attributes: attributes(resource) }, writer));
    nested(scopeSpans, () => {
      const { scope, spans } = ScopeSpansSchema.field;
      nested(scope, () => encodeScope({ name: "prism-gateway" }, writer));
      for (const call of calls) {
        nested(spans, () => writeCall(call));
        for (const part of call.parts) {
          nested(spans, () => writePart(call, part));
        }
      }
    });
  });
  return writer.take();
}

/** Writes a field that is a message. */
function nested({ number }: DescField, write: () => void): void {
  writer.varint((number << 3) | WireType.LengthDelimited);
  const start = writer.begin();
  write();
  writer.finish(start);
}

/** By the semantic conventions for RPC servers, and `prism.*` for what they do not know. */
function writeCall({ row, span, parentSpanId, isGrpc, requestId, namespace, reason, ...times }: TracedCall) {
  const code = reason && REASONS[reason].code;
  writer.raw((isGrpc ? grpcHead : connectHead)(row));
  encodeSpan(
    {
      traceId: bytes(span.traceId),
      spanId: bytes(span.spanId),
      ...(parentSpanId !== undefined && { parentSpanId: bytes(parentSpanId) }),
      flags: (span.sampled ? SAMPLED : 0) | HAS_IS_REMOTE | (parentSpanId === undefined ? 0 : IS_REMOTE),
      ...nanoseconds(times),
      attributes: attributes({
        ...(isGrpc && { "rpc.grpc.status_code": code ?? 0 }),
        ...(!isGrpc && code !== undefined && { "rpc.connect_rpc.error_code": codeToString(code) }),
        ...(namespace !== "" && { "prism.namespace": namespace }),
        "prism.request_id": requestId,
        ...(reason !== undefined && { "error.type": reason }),
      }),
      ...(code !== undefined && SERVER_FAULTS.has(code) && { status: { code: StatusCode.ERROR } }),
    },
    writer,
  );
}

function writePart({ span }: TracedCall, { spanId, parentSpanId, operation, ...times }: TracedPart): void {
  writer.raw(operation === undefined ? QUEUE_HEAD : storeHead(operation));
  encodeSpan(
    {
      traceId: bytes(span.traceId),
      spanId: bytes(spanId),
      parentSpanId: bytes(parentSpanId),
      flags: (span.sampled ? SAMPLED : 0) | HAS_IS_REMOTE,
      ...nanoseconds(times),
    },
    writer,
  );
}

/*
 * The fields that all spans of a method or of an operation have in common are encoded once: fields
 * of a message may come in any order (protobuf.dev/programming-guides/encoding, "Field order").
 */

function encodeHead(name: string, kind: SpanKind, values: Readonly<Record<string, string>>): Buffer {
  const own = new MessageWriter();
  encodeSpan({ name, kind, attributes: attributes(values) }, own);
  return own.take();
}

/** Encodes once for each method, of which there are few. */
function once<T extends object>(encode: (of: T) => Buffer): (of: T) => Buffer {
  const known = new WeakMap<T, Buffer>();
  return (of) => {
    let head = known.get(of);
    if (head === undefined) {
      head = encode(of);
      known.set(of, head);
    }
    return head;
  };
}

function callHead({ desc: { name, parent } }: MethodRow, system: string): Buffer {
  const service = parent.typeName;
  return encodeHead(`${service}/${name}`, SpanKind.SERVER, {
    "rpc.system": system,
    "rpc.service": service,
    "rpc.method": name,
  });
}

const grpcHead = once((row: MethodRow) => callHead(row, "grpc"));
const connectHead = once((row: MethodRow) => callHead(row, "connect_rpc"));

/** By the semantic conventions for clients of databases. */
const storeHead = once(({ store, method }: StoreOperation) =>
  encodeHead(`${store} ${method}`, SpanKind.CLIENT, {
    "db.system.name": SYSTEM_NAMES[store] ?? store,
    "db.operation.name": method,
  }),
);

const QUEUE_HEAD = encodeHead("wait in queue", SpanKind.INTERNAL, {});

function attributes(values: Readonly<Record<string, string | number>>) {
  return Object.entries(values).map(([key, value]) => ({
    key,
    value: {
      value:
        typeof value === "string"
          ? { case: "stringValue", value }
          : { case: "intValue", value: BigInt(value) },
    },
  }));
}

function bytes(hexadecimal: string): Buffer {
  return Buffer.from(hexadecimal, "hex");
}

function nanoseconds({ startMs, endMs }: { readonly startMs: number; readonly endMs: number }) {
  return { startTimeUnixNano: toNanoseconds(startMs), endTimeUnixNano: toNanoseconds(endMs) };
}

/** In two parts: a double cannot hold so many digits. */
function toNanoseconds(ms: number): bigint {
  const whole = Math.floor(ms);
  return BigInt(whole) * 1_000_000n + BigInt(Math.floor((ms - whole) * 1_000_000));
}
