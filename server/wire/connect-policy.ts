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
import { answerForCache } from "./cached-answer.ts";
import { type ConnectCall, connectCall } from "./connect-call.ts";
import { type MessageLimits, messageTooLarge } from "./message-limits.ts";
import type { RequestReaders } from "./request-reader.ts";
import { noRoom, type ReceivingBudget } from "./unpack.ts";
import { type ErrorForm, errorResponse, readError } from "./wire-error.ts";
import { UNNAMED_COMPRESSION } from "./wire-format.ts";

/** The protocol layer's settings around Connect's handlers. */
export interface ProtocolPolicy {
  /** The most milliseconds to receive the message of a call with one request; 0 = no limit. */
  readonly requestTimeoutMs: number;
  /** The memory that incoming requests of all calls share. */
  readonly bodies: ReceivingBudget;
  /** The readers for the requests. */
  readonly readerOf: RequestReaders;
  /** Ends requests that are still being received, with its reason. */
  readonly shutdownSignal: AbortSignal;
}

/**
 * Adds a layer around every handler of a router, for calls that never reach a handler of ours: the
 * body is broken, too large, too slow or in an unknown encoding. Their policies are told once, and
 * their error has the usual detail. (Connect answers broken protobuf with INTERNAL. The caller is
 * at fault, so this answers INVALID_ARGUMENT, like connect-go.)
 */
export function applyProtocolPolicy(router: ConnectRouter, policy: ProtocolPolicy): void {
  for (const [i, handler] of router.handlers.entries()) {
    router.handlers[i] = wrap(handler, policy);
  }
}

function wrap(handler: UniversalHandler, policy: ProtocolPolicy): UniversalHandler {
  const kind = handler.method.methodKind;
  const single = kind === "unary" || kind === "server_streaming";
  // Connect would allow GET for a stream without side effects, which its protocol does not have.
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
        return request.method === "GET" && target.row.cacheable
          ? await answerForCache(target.row, request, response)
          : response;
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

  /** Answers a request of no known protocol: Connect's answer, and the reason. */
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

/** What to send for a request of no known protocol. */
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
 * Connect's answer with the reason: as JSON for a Connect client, otherwise as text. Clients of all
 * protocols read these statuses as the code `unknown` (connectrpc.com/docs/protocol, "Error Codes";
 * grpc.github.io, "HTTP to gRPC Status Code Mapping").
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

/** A parser's message can quote what it read; the caller knows the rest. */
const MAX_MESSAGE_CHARACTERS = 256;

/** Connect's message for errors that are not its own, such as bad base64. */
const MASKED = "internal error";

/**
 * Why a request was unreadable, from Connect's error. Gives our own error if there is one inside.
 * For a request that is too large it gives our words if the limits are known.
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
 * The body of a request. It must arrive in time and find memory: a slow request holds its stream no
 * longer, and many large ones do not add up. If left early it is not destroyed, so that `port/` can
 * drop the rest and keep the connection.
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

/**
 * Begins with the first read and ends here; the scope belongs to its owner. A request that Connect
 * refuses unread begins nothing.
 */
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
  // Between two chunks nobody awaits it, so the rejection would be unhandled.
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

/** The request did not arrive whole within `timeoutMs`. */
export function tooSlow(timeoutMs: number): PrismError {
  return new PrismError("request_too_slow", `the request was not received within ${timeoutMs} ms`);
}
