/**
 * The protocols as bytes: the layout of requests, and the content of answers. Independent of the
 * server's own code, so that it can judge that.
 */
import {
  create,
  type DescMethod,
  fromBinary,
  fromJsonString,
  type MessageInitShape,
  type MessageShape,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { type Error as ErrorDetail, ErrorSchema } from "../../gen/prism/common/errors_pb.ts";

/** One way to make a call. */
export interface Wire {
  readonly name: string;
  readonly protocol: "connect" | "connect-get" | "grpc" | "grpc-web";
  readonly codec: "json" | "proto";
  readonly http: 1 | 2;
}

const wire = (protocol: Wire["protocol"], codec: Wire["codec"], http: Wire["http"]): Wire => ({
  name: `${protocol} ${codec} HTTP/${http === 1 ? "1.1" : "2"}`,
  protocol,
  codec,
  http,
});

/** Every way to make a call with POST. */
export const POST_WIRES = [
  wire("connect", "json", 1),
  wire("connect", "json", 2),
  wire("connect", "proto", 1),
  wire("connect", "proto", 2),
  wire("grpc", "proto", 2),
  wire("grpc-web", "proto", 1),
  wire("grpc-web", "proto", 2),
] as const satisfies readonly Wire[];

/** Connect GET: for calls without side effects. */
export const GET_WIRES: readonly Wire[] = [
  wire("connect-get", "json", 1),
  wire("connect-get", "json", 2),
  wire("connect-get", "proto", 1),
  wire("connect-get", "proto", 2),
];

/** A request for the socket. */
export interface RawRequest {
  readonly wire: Wire;
  readonly httpMethod: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
}

/** An answer over HTTP. */
export interface HttpAnswer {
  /** `undefined` = the call was reset before its answer. */
  readonly httpStatus: number | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly trailers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** The content of an answer, in its protocol's terms. */
export interface CallAnswer {
  /** Connect's name of the status code, or "ok"; `undefined` = the answer has no status. */
  readonly code: string | undefined;
  readonly message: string;
  /** Every prism.common.Error in the answer. */
  readonly details: readonly ErrorDetail[];
  /** The response messages, undecoded. */
  readonly messages: readonly Buffer[];
}

/** Five bytes (flags, length) and the payload. `promised` replaces the true length. */
export function envelope(payload: Uint8Array, flags = 0, promised = payload.byteLength): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(promised, 1);
  return Buffer.concat([head, payload]);
}

/** A call with a valid message. */
export function callRequest<M extends DescMethod>(
  via: Wire,
  method: M,
  init: MessageInitShape<M["input"]>,
  headers: Readonly<Record<string, string>> = {},
): RawRequest {
  const message = create(method.input, init);
  const payload =
    via.codec === "proto"
      ? toBinary(method.input, message)
      : Buffer.from(toJsonString(method.input, message), "utf8");
  return payloadRequest(via, method, payload, headers);
}

/** The header by which a caller gives its call `ms` milliseconds. */
export function timeout(wire: Wire, ms: number): Readonly<Record<string, string>> {
  return wire.protocol === "connect" ? { "connect-timeout-ms": String(ms) } : { "grpc-timeout": `${ms}m` };
}

/** A call with these bytes as its message, framed by the protocol. */
export function payloadRequest(
  via: Wire,
  method: DescMethod,
  payload: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): RawRequest {
  if (via.protocol === "connect-get") {
    const query = new URLSearchParams({
      connect: "v1",
      encoding: via.codec,
      base64: "1",
      message: Buffer.from(payload).toString("base64url"),
    });
    return { wire: via, httpMethod: "GET", path: `${methodPath(method)}?${query}`, headers, body: undefined };
  }
  return bodyRequest(via, method, isEnveloped(via, method) ? envelope(payload) : payload, headers);
}

/** A call with exactly these bytes as its body. */
export function bodyRequest(
  via: Wire,
  method: DescMethod,
  body: Uint8Array,
  headers: Readonly<Record<string, string>> = {},
): RawRequest {
  const own = {
    "content-type": contentType(via, method),
    ...(via.protocol === "grpc" && { te: "trailers" }),
  };
  return { wire: via, httpMethod: "POST", path: methodPath(method), headers: { ...own, ...headers }, body };
}

/** `/package.Service/Method`. */
export function methodPath(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** Whether messages have envelopes: always except in Connect's unary calls. */
export function isEnveloped(via: Wire, method: DescMethod): boolean {
  return via.protocol === "grpc" || via.protocol === "grpc-web" || method.methodKind !== "unary";
}

/** The Content-Type of a call. */
export function contentType(via: Wire, method: DescMethod): string {
  switch (via.protocol) {
    case "grpc":
      return `application/grpc+${via.codec}`;
    case "grpc-web":
      return `application/grpc-web+${via.codec}`;
    default:
      return `application/${isEnveloped(via, method) ? "connect+" : ""}${via.codec}`;
  }
}

/** Reads an answer by its own Content-Type. Throws if it violates its protocol. */
export function readAnswer(answer: HttpAnswer): CallAnswer {
  const type = answer.headers["content-type"] ?? "";
  if (type.startsWith("application/grpc-web")) {
    const frames = splitEnvelopes(answer.body);
    const last = frames.find(({ flags }) => (flags & 0x80) !== 0);
    const trailers = last === undefined ? answer.headers : parseTrailers(last.payload);
    return grpcAnswer(trailers, frames);
  }
  if (type.startsWith("application/grpc")) {
    const trailers = "grpc-status" in answer.trailers ? answer.trailers : answer.headers;
    return grpcAnswer(trailers, splitEnvelopes(answer.body));
  }
  if (type.startsWith("application/connect+")) {
    const frames = splitEnvelopes(answer.body);
    const last = frames.find(({ flags }) => (flags & 0x02) !== 0);
    if (last === undefined) {
      throw new Error("a Connect stream without its end");
    }
    const { error } = JSON.parse(last.payload.toString("utf8")) as { error?: ConnectErrorJson };
    return { ...connectAnswer(error), messages: messagesOf(frames, 0x02) };
  }
  if (answer.httpStatus === 200) {
    return { code: "ok", message: "", details: [], messages: [answer.body] };
  }
  const isError = type.startsWith("application/json") && answer.body.length > 0;
  const error = isError ? JSON.parse(answer.body.toString("utf8")) : undefined;
  return { ...connectAnswer(error ?? {}), messages: [] };
}

/** The one message of a successful call. */
export function readMessage<M extends DescMethod>(
  method: M,
  via: Wire,
  answer: CallAnswer,
): MessageShape<M["output"]> {
  const [message] = answer.messages;
  if (message === undefined) {
    throw new Error(`${method.name} was answered without a message: ${answer.code} ${answer.message}`);
  }
  return (
    via.codec === "proto"
      ? fromBinary(method.output, message)
      : fromJsonString(method.output, message.toString("utf8"))
  ) as MessageShape<M["output"]>;
}

interface Frame {
  readonly flags: number;
  readonly payload: Buffer;
}

function splitEnvelopes(body: Buffer): Frame[] {
  const frames: Frame[] = [];
  let rest = body;
  while (rest.length > 0) {
    const end = rest.length < 5 ? Number.NaN : 5 + rest.readUInt32BE(1);
    if (!(end <= rest.length)) {
      throw new Error("the answer ends within an envelope");
    }
    frames.push({ flags: rest.readUInt8(0), payload: rest.subarray(5, end) });
    rest = rest.subarray(end);
  }
  return frames;
}

function messagesOf(frames: readonly Frame[], lastFlag: number): Buffer[] {
  return frames.filter(({ flags }) => (flags & lastFlag) === 0).map(({ payload }) => payload);
}

function parseTrailers(block: Buffer): Record<string, string> {
  const lines = block.toString("latin1").split("\r\n").filter(Boolean);
  return Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
}

/** gRPC's codes by number, by Connect's names. */
const CODES = [
  "ok",
  "canceled",
  "unknown",
  "invalid_argument",
  "deadline_exceeded",
  "not_found",
  "already_exists",
  "permission_denied",
  "resource_exhausted",
  "failed_precondition",
  "aborted",
  "out_of_range",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
  "unauthenticated",
];

function grpcAnswer(trailers: Readonly<Record<string, string>>, frames: readonly Frame[]): CallAnswer {
  const status = trailers["grpc-status"];
  const details = trailers["grpc-status-details-bin"];
  return {
    code: status === undefined ? undefined : CODES[Number(status)],
    message: decodeURIComponent(trailers["grpc-message"] ?? ""),
    details: details === undefined ? [] : statusDetails(Buffer.from(details, "base64")),
    messages: messagesOf(frames, 0x80),
  };
}

/** google.rpc.Status: details are field 3, each an Any of type_url 1 and value 2. */
function statusDetails(status: Uint8Array): ErrorDetail[] {
  const details: ErrorDetail[] = [];
  for (const any of lengthDelimited(status, 3)) {
    const [typeUrl] = lengthDelimited(any, 1);
    const [value] = lengthDelimited(any, 2);
    if (Buffer.from(typeUrl ?? []).toString() === `type.googleapis.com/${ErrorSchema.typeName}`) {
      details.push(fromBinary(ErrorSchema, value ?? new Uint8Array()));
    }
  }
  return details;
}

function lengthDelimited(message: Uint8Array, wanted: number): Uint8Array[] {
  const reader = new BinaryReader(message);
  const found: Uint8Array[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === wanted) {
      found.push(reader.bytes());
    } else {
      reader.skip(type);
    }
  }
  return found;
}

interface ConnectErrorJson {
  readonly code?: string;
  readonly message?: string;
  readonly details?: readonly { readonly type: string; readonly value: string }[];
}

function connectAnswer(error: ConnectErrorJson | undefined): Omit<CallAnswer, "messages"> {
  const details = (error?.details ?? [])
    .filter(({ type }) => type === ErrorSchema.typeName)
    .map(({ value }) => fromBinary(ErrorSchema, Buffer.from(value, "base64")));
  return { code: error === undefined ? "ok" : error.code, message: error?.message ?? "", details };
}
