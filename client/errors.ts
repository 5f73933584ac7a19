import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Level } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  type Error as ErrorDetail,
  ErrorSchema,
  Reason as WireReason,
} from "../gen/prism/common/errors_pb.ts";
import { whyNotRun } from "./transport/not-run.ts";

/**
 * Why a call failed: a reason of the gateway (`prism.common.Reason` in lower case). `unspecified` =
 * only the code is known, for example because the connection broke before an answer.
 */
export type PrismErrorReason = Lowercase<keyof typeof WireReason>;

/**
 * Makes `instanceof` know the errors of every copy of this package: an application has two where
 * its dependencies ask for two versions. A class that a caller derives is known as any class is.
 */
function brand(errorClass: { readonly prototype: object }, name: string): void {
  const mark = Symbol.for(`prism-client.${name}`);
  Object.defineProperty(errorClass.prototype, mark, { value: true });
  Object.defineProperty(errorClass, Symbol.hasInstance, {
    value(this: unknown, thrown: unknown): boolean {
      return this === errorClass
        ? typeof thrown === "object" && thrown !== null && mark in thrown
        : Function.prototype[Symbol.hasInstance].call(this, thrown);
    },
  });
}

/** The properties of a {@link PrismError} besides its message. */
export interface PrismErrorInit {
  readonly reason: PrismErrorReason;
  readonly code: Code;
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
  readonly namespace?: string | undefined;
  readonly requestId?: string | undefined;
  readonly cause?: unknown;
}

/**
 * Every failure of a call is one of these, also where `instanceof` asks another copy of this
 * package. Decide by `reason`, never by the message.
 *
 * ```ts
 * try {
 *   await client.list.pushRight("queue", "job");
 * } catch (error) {
 *   if (error instanceof PrismError && error.reason === "store_full") { ... }
 * }
 * ```
 */
export class PrismError extends Error {
  static {
    brand(PrismError, "PrismError");
  }

  override readonly name: string = "PrismError";
  /** Why the call failed. */
  readonly reason: PrismErrorReason;
  /**
   * The status code. `Unavailable` for every failure of the connection; `Unknown` for one item of
   * many, which fails with a reason alone.
   */
  readonly code: Code;
  /**
   * True: the same call may be made again, because it did not run or because running it twice does
   * no harm. The client has made it again already, as often as its options say.
   */
  readonly retryable: boolean;
  /** Milliseconds to wait before a retry; 0 = no advice. */
  readonly retryAfterMs: number;
  /** The call's namespace. */
  readonly namespace: string | undefined;
  /** Identifies the call in the gateway's log. `undefined` = the gateway did not answer. */
  readonly requestId: string | undefined;

  /** `init.cause` is the transport's {@link ConnectError}, or what failed before any call. */
  constructor(message: string, init: PrismErrorInit) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause });
    this.reason = init.reason;
    this.code = init.code;
    this.retryable = init.retryable ?? false;
    this.retryAfterMs = init.retryAfterMs ?? 0;
    this.namespace = init.namespace;
    this.requestId = init.requestId;
  }
}

/** The namespace exists, and the key is absent or has expired. */
export class KeyNotFoundError extends PrismError {
  static {
    brand(KeyNotFoundError, "KeyNotFoundError");
  }

  override readonly name = "KeyNotFoundError";
  /** The key of the call. */
  readonly key: string;

  constructor(key: string, init: Omit<PrismErrorInit, "reason" | "code">) {
    super(`key not found: ${key}`, { ...init, reason: "key_not_found", code: Code.NotFound });
    this.key = key;
  }
}

/** The gateway has no namespace of that name. This tells nothing about the key. */
export class NamespaceNotFoundError extends PrismError {
  static {
    brand(NamespaceNotFoundError, "NamespaceNotFoundError");
  }

  override readonly name = "NamespaceNotFoundError";

  constructor(message: string, init: Omit<PrismErrorInit, "reason" | "code">) {
    super(message, { ...init, reason: "namespace_not_found", code: Code.NotFound });
  }
}

/** What the conversion of an error needs to know about the failed call. */
export interface FailedCall {
  readonly namespace: string;
  /** The key, for a call that fails if the key is absent. */
  readonly key?: string;
  readonly method: DescMethod;
  /** Aborted: the caller gave up or closed the client. */
  readonly signal: AbortSignal;
}

/** Turns a transport's error into the caller's {@link PrismError}. */
export function toPrismError(thrown: unknown, call: FailedCall): PrismError {
  if (thrown instanceof PrismError) {
    return thrown;
  }
  const error = ConnectError.from(thrown);
  const [detail] = error.findDetails(ErrorSchema);
  return detail === undefined ? fromTransport(error, call) : fromGateway(error, detail, call);
}

/** An argument that the wire cannot carry. The call was not made. */
export function invalidField(message: string): PrismError {
  return new PrismError(message, { reason: "invalid_field", code: Code.InvalidArgument });
}

/** By wire number. */
const REASONS: ReadonlyMap<number, PrismErrorReason> = new Map(
  Object.entries(WireReason).map(([name, number]) => [number, name.toLowerCase() as PrismErrorReason]),
);

/** The reason of a wire number. A newer gateway may send one that this client does not know. */
export function reasonOf(wire: WireReason): PrismErrorReason {
  return REASONS.get(wire) ?? "unspecified";
}

function fromGateway(error: ConnectError, detail: ErrorDetail, call: FailedCall): PrismError {
  const reason = reasonOf(detail.reason);
  const told = detail.message || error.rawMessage;
  const message = reason === "method_not_found" ? withoutCall(call, told) : told;
  const init = {
    retryable: detail.retryable,
    retryAfterMs: detail.retryAfterMs,
    namespace: detail.namespace || call.namespace,
    requestId: detail.requestId || undefined,
    cause: error,
  };
  if (reason === "key_not_found" && call.key !== undefined) {
    return new KeyNotFoundError(call.key, init);
  }
  if (reason === "namespace_not_found") {
    return new NamespaceNotFoundError(message, init);
  }
  return new PrismError(message, { ...init, reason, code: error.code });
}

/** The gateway did not answer, or something in between answered. */
function fromTransport(error: ConnectError, call: FailedCall): PrismError {
  const { namespace } = call;
  const message =
    error.code === Code.Unimplemented
      ? withoutCall(call, error.rawMessage)
      : error.rawMessage || `the call failed: ${systemCode(error.cause) ?? Code[error.code]}`;
  const told = { namespace, cause: error };
  if (error.code === Code.DeadlineExceeded || hasTimedOut(call.signal)) {
    return new PrismError(message, { ...told, reason: "deadline_exceeded", code: Code.DeadlineExceeded });
  }
  if (call.signal.aborted) {
    return new PrismError(message, { ...told, reason: "canceled", code: Code.Canceled });
  }
  if (isDefect(error.cause) && error.code !== Code.Unavailable) {
    return new PrismError(message, { ...told, reason: "internal", code: Code.Internal });
  }
  const code = isConnectionFailure(error) ? Code.Unavailable : error.code;
  const notRun = whyNotRun(error);
  const mayBeMadeAgain = isIdempotent(call.method) || notRun !== undefined;
  const retryable = code === Code.Unavailable && notRun !== "misplaced" && mayBeMadeAgain;
  return new PrismError(message, { ...told, reason: "unspecified", code, retryable });
}

/** What the caller is told where the server lacks a call. */
function withoutCall({ method }: FailedCall, told: string): string {
  const name = `${method.parent.typeName}/${method.name}`;
  return `the server has no call ${name}; is it a gateway, and as new as this client? (${told})`;
}

/**
 * Whether making the call twice has the same effect as once. A method that does not say so may do
 * harm.
 */
function isIdempotent({ idempotency }: DescMethod): boolean {
  return idempotency !== Level.IDEMPOTENCY_UNKNOWN;
}

/** Whether AbortSignal.timeout() aborted it. */
function hasTimedOut({ aborted, reason }: AbortSignal): boolean {
  return aborted && reason instanceof Error && reason.name === "TimeoutError";
}

/** The client or an interceptor has a bug, so a retry is useless. */
function isDefect(cause: unknown): boolean {
  return cause instanceof TypeError || cause instanceof RangeError || cause instanceof ReferenceError;
}

/**
 * Transports report a broken connection with many codes. connect-node uses `Canceled` for a socket
 * that closed (though nobody canceled), `Aborted` for a reset, and `Internal` for other errors of
 * Node.
 */
function isConnectionFailure(error: ConnectError): boolean {
  return error.code === Code.Canceled || error.code === Code.Aborted || systemCode(error.cause) !== undefined;
}

/** The code of an error of Node or its operating system, such as `ECONNREFUSED`. */
function systemCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/**
 * Whether a call for several items failed for what one of them is: then nothing of it was done, and
 * the others may be sent without it.
 */
export function concernsOneItem(error: unknown): boolean {
  return (
    error instanceof PrismError && (error.reason === "invalid_field" || error.reason === "value_too_large")
  );
}
