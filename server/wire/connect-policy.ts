import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import {
  createAsyncIterable,
  type UniversalHandler,
  type UniversalServerRequest,
  type UniversalServerResponse,
  uResponseMethodNotAllowed,
} from "@connectrpc/connect/protocol";
import * as connect from "@connectrpc/connect/protocol-connect";
import { ErrorSchema } from "../../gen/prism/common/errors_pb.ts";
import type { CallScope } from "../calls/scope.ts";
import { toConnectError } from "../calls/status.ts";
import { asPrismError, PrismError, type Reason } from "../errors.ts";
import { REASONS, reasonOf } from "../reasons.ts";
import { type ConnectCall, connectCall } from "./connect-call.ts";
import { type MessageLimits, messageTooLarge } from "./message-limits.ts";
import type { RequestReaders } from "./request-reader.ts";
import { noRoom, type ReceivingBudget } from "./unpack.ts";
import { type ErrorForm, errorResponse, readError } from "./wire-error.ts";
import { UNNAMED_COMPRESSION } from "./wire-format.ts";

/** What the protocol layer does around Connect's handlers. */
export interface ProtocolPolicy {
  /** Most time to receive the request message of a call that sends one, in milliseconds; 0 = any time. */
  readonly requestTimeoutMs: number;
  /** Memory that the requests of all calls share while they come in. */
  readonly bodies: ReceivingBudget;
  /** What the requests are read with. */
  readonly readerOf: RequestReaders;
  /** Ends what is not received by then, with its reason. */
  readonly shutdownSignal: AbortSignal;
}

/**
 * Puts a layer around every handler of a router, for the calls that never reach a handler of ours: a body
 * that is broken, too large, too slow or in an unknown encoding. Their policies are told once, and they are answered with the
 * same error detail as all others. (Connect answers broken protobuf with INTERNAL; the fault is the caller's,
 * so here it is INVALID_ARGUMENT, as in connect-go.)
 */
export function applyProtocolPolicy(router: ConnectRouter, policy: ProtocolPolicy): void {
  for (const [i, handler] of router.handlers.entries()) {
    router.handlers[i] = wrap(handler, policy);
  }
}

function wrap(handler: UniversalHandler, policy: ProtocolPolicy): UniversalHandler {
  const kind = handler.method.methodKind;
  const single = kind === "unary" || kind === "server_streaming";
  // Connect says that a stream without side effects can be had by GET, which its protocol does not have.
  const allowed = kind === "unary" ? handler.allowedMethods : ["POST"];

  async function handle(request: UniversalServerRequest): Promise<UniversalServerResponse> {
    const call = connectCall(request);
    const { record, scope, target } = call;
    try {
      if (!allowed.includes(request.method)) {
        return refuseUnread(call, request, uResponseMethodNotAllowed);
      }
      let refusal: PrismError | undefined;
      const refused = (error: PrismError) => {
        refusal = error;
        return toConnectError(error, record);
      };
      const body = single ? bounded(request, scope, policy, refused) : request.body;
      const response = await handler({ ...request, body });
      if (record.entered) {
        return response;
      }
      const wireError = call.form && (await readError(call.form, response));
      if (call.form === undefined || wireError === undefined) {
        return refuseUnread(call, request, response);
      }
      const error = request.signal.aborted
        ? new PrismError("canceled", "the caller left")
        : (refusal ?? requestError(wireError, policy.readerOf(handler.method.input).limits));
      target.policies.finish(record, error);
      const status = REASONS[error.reason].httpStatus;
      const contentType = request.header.get("content-type") ?? "";
      return errorResponse(call.form, contentType, toConnectError(error, record), status);
    } catch (thrown) {
      if (!record.entered) {
        target.policies.finish(record, asPrismError(thrown));
      }
      throw thrown;
    } finally {
      if (!record.entered) {
        scope.close();
      }
    }
  }

  /** A request that no protocol here knows: what Connect answers it, and why. */
  function refuseUnread(
    { target, record, form }: ConnectCall,
    { method, header }: UniversalServerRequest,
    response: UniversalServerResponse,
  ): UniversalServerResponse {
    const contentType = header.get("content-type") ?? "";
    const help = helpWith(handler, allowed, method, contentType, response.status);
    const error = new PrismError("request_unsupported", `HTTP ${response.status}: ${help}`);
    target.policies.finish(record, error);
    return helpResponse(allowed, form, method, response, help);
  }

  return Object.assign(handle, handler);
}

/** What to send in place of a request that no protocol here knows. */
function helpWith(
  { method }: UniversalHandler,
  allowed: readonly string[],
  httpMethod: string,
  contentType: string,
  status: number,
): string {
  const streaming = method.methodKind !== "unary";
  const name = `${method.parent.typeName}.${method.name}`;
  switch (status) {
    case 405:
      return `use ${allowed.join(" or ")}`;
    case 415:
      if (httpMethod === "GET") {
        return "the query names no encoding that is known here: use encoding=json or encoding=proto";
      }
      if (streaming) {
        return `${name} is a stream: use Content-Type application/connect+json, with each message behind a zero byte and its length in four bytes (big-endian), or gRPC or gRPC-Web`;
      }
      return connect.contentTypeStreamRegExp.test(contentType)
        ? `${name} is no stream: use Content-Type application/json or application/proto`
        : "use Content-Type application/json (in UTF-8) or application/proto, or gRPC or gRPC-Web";
    case 505:
      return `${name} needs HTTP/2`;
    default:
      return "the request is not understood";
  }
}

/**
 * Connect's answer with its reason: as JSON to who speaks Connect, and else as text. Clients of all protocols take the code `unknown`
 * from these statuses (connectrpc.com/docs/protocol, "Error Codes"; grpc.github.io, "HTTP to gRPC Status Code Mapping").
 */
function helpResponse(
  allowed: readonly string[],
  form: ErrorForm | undefined,
  httpMethod: string,
  { status, header: given }: UniversalServerResponse,
  message: string,
): UniversalServerResponse {
  const json = form === "connect-unary" || form === "connect-stream";
  const body = json
    ? connect.errorToJsonBytes(new ConnectError(message, Code.Unknown), undefined)
    : Buffer.from(`${message}\n`);
  const header = new Headers(given);
  header.set("content-type", json ? connect.contentTypeUnaryJson : "text/plain; charset=utf-8");
  header.set("content-length", String(body.byteLength));
  if (status === 405) {
    header.set("allow", allowed.join(", "));
  }
  return { status, header, ...(httpMethod !== "HEAD" && { body: createAsyncIterable([body]) }) };
}

/** Messages of parsers can echo what they read; the caller knows what it sent. */
const MAX_MESSAGE_CHARACTERS = 256;

/** What Connect tells of an error that is not its own, such as of bad base64. */
const MASKED = "internal error";

/**
 * Why a request could not be read, from what Connect says of it: the error of ours where one is within, and where it is too large, in our
 * words if its limits are known.
 */
export function requestError(error: ConnectError, limits?: MessageLimits): PrismError {
  if (error.rawMessage === UNNAMED_COMPRESSION) {
    const message = "a message says that it is compressed, and the request names no compression";
    return new PrismError("compression_unnamed", message);
  }
  const [detail] = error.findDetails(ErrorSchema);
  const told = detail && reasonOf(detail.reason);
  if (told !== undefined) {
    const field = detail?.fieldViolations[0]?.field;
    return new PrismError(told, error.rawMessage, { echoes: true, ...(field !== undefined && { field }) });
  }
  if (error.code === Code.ResourceExhausted && limits !== undefined) {
    return messageTooLarge(limits);
  }
  const message = error.rawMessage === MASKED ? "the request cannot be decoded" : error.rawMessage;
  return new PrismError(requestReason(error.code), message.slice(0, MAX_MESSAGE_CHARACTERS), {
    echoes: true,
  });
}

function requestReason(code: Code): Reason {
  switch (code) {
    case Code.ResourceExhausted:
      return "value_too_large";
    case Code.DeadlineExceeded:
      return "deadline_exceeded";
    case Code.Canceled:
    case Code.Aborted:
      return "canceled";
    case Code.Unavailable:
      return "shutting_down";
    case Code.Unimplemented:
      return "request_unsupported";
    default:
      return "malformed_request";
  }
}

/**
 * The body of a request, which must be received in time and find memory: a request that dribbles in holds a stream no longer, and
 * many large ones do not add up. Left early it is not destroyed, so that `port/` can drop the rest and keep the connection.
 */
function bounded(
  { body }: UniversalServerRequest,
  scope: CallScope,
  policy: ProtocolPolicy,
  refused: (error: PrismError) => ConnectError,
): UniversalServerRequest["body"] {
  return typeof body === "object" && body !== null && Symbol.asyncIterator in body
    ? receive(body, scope, policy, refused)
    : body;
}

/** What is begun here, with the first read, ends here; the scope is its owner's. A request that Connect refuses unread begins nothing. */
async function* receive(
  body: AsyncIterable<Uint8Array>,
  scope: CallScope,
  { requestTimeoutMs, bodies, shutdownSignal }: ProtocolPolicy,
  refused: (error: PrismError) => ConnectError,
): AsyncGenerator<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  const unfollow = scope.follow(shutdownSignal);
  const late = () => scope.abort(tooSlow(requestTimeoutMs));
  const timer = requestTimeoutMs > 0 ? setTimeout(late, requestTimeoutMs) : undefined;
  const aborted = new Promise<never>((_, reject) => scope.whenAborted((reason) => reject(refused(reason))));
  // Without a reader between two chunks the rejection would be unhandled.
  aborted.catch(() => {});
  let taken = 0;
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), aborted]);
      if (next.done === true) {
        return;
      }
      const { length } = next.value;
      if (!bodies.take(length)) {
        throw refused(noRoom());
      }
      taken += length;
      yield next.value;
    }
  } finally {
    clearTimeout(timer);
    unfollow();
    bodies.give(taken);
  }
}

/** The request did not come in whole within `timeoutMs`. */
export function tooSlow(timeoutMs: number): PrismError {
  return new PrismError("request_too_slow", `the request was not received within ${timeoutMs} ms`);
}
