import { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { ExportTraceServiceRequestSchema } from "../../gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import {
  Span_SpanKind as SpanKind,
  Status_StatusCode as StatusCode,
} from "../../gen/opentelemetry/proto/trace/v1/trace_pb.ts";
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

const encode = encoderOf(ExportTraceServiceRequestSchema);
const writer = new MessageWriter();

/** The spans of these calls as the body of an OTLP request. */
export function encodeSpans(resource: Resource, calls: readonly TracedCall[]): Buffer {
  const spans = calls.flatMap((call) => [callSpan(call), ...call.parts.map((part) => partSpan(call, part))]);
  writer.clear();
  encode(
    {
      resourceSpans: [
        {
          resource: { attributes: attributes(resource) },
          scopeSpans: [{ scope: { name: "prism-gateway" }, spans }],
        },
      ],
    },
    writer,
  );
  return writer.take();
}

/** By the semantic conventions for RPC servers, and `prism.*` for what they do not know. */
function callSpan({ row, span, parentSpanId, isGrpc, requestId, namespace, reason, ...times }: TracedCall) {
  const { name, parent } = row.desc;
  const service = parent.typeName;
  const code = reason && REASONS[reason].code;
  return {
    traceId: bytes(span.traceId),
    spanId: bytes(span.spanId),
    ...(parentSpanId !== undefined && { parentSpanId: bytes(parentSpanId) }),
    flags: (span.sampled ? SAMPLED : 0) | HAS_IS_REMOTE | (parentSpanId === undefined ? 0 : IS_REMOTE),
    name: `${service}/${name}`,
    kind: SpanKind.SERVER,
    ...nanoseconds(times),
    attributes: attributes({
      "rpc.system": isGrpc ? "grpc" : "connect_rpc",
      "rpc.service": service,
      "rpc.method": name,
      ...(isGrpc && { "rpc.grpc.status_code": code ?? 0 }),
      ...(!isGrpc && code !== undefined && { "rpc.connect_rpc.error_code": codeToString(code) }),
      ...(namespace !== "" && { "prism.namespace": namespace }),
      "prism.request_id": requestId,
      ...(reason !== undefined && { "error.type": reason }),
    }),
    ...(code !== undefined && SERVER_FAULTS.has(code) && { status: { code: StatusCode.ERROR } }),
  };
}

/** By the semantic conventions for clients of databases. */
function partSpan(
  { span, namespace }: TracedCall,
  { spanId, parentSpanId, operation, ...times }: TracedPart,
) {
  return {
    traceId: bytes(span.traceId),
    spanId: bytes(spanId),
    parentSpanId: bytes(parentSpanId),
    flags: (span.sampled ? SAMPLED : 0) | HAS_IS_REMOTE,
    name: operation === undefined ? "wait in queue" : `${operation.store} ${operation.method}`,
    kind: operation === undefined ? SpanKind.INTERNAL : SpanKind.CLIENT,
    ...nanoseconds(times),
    attributes:
      operation === undefined
        ? []
        : attributes({
            "db.system.name": SYSTEM_NAMES[operation.store] ?? operation.store,
            "db.operation.name": operation.method,
            "db.namespace": namespace,
          }),
  };
}

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
