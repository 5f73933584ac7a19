import { Code } from "@connectrpc/connect";
import { Reason as WireReason } from "../gen/prism/common/errors_pb.ts";

/** What is reported of a call that fails for one reason. */
export interface ReasonRow {
  /**
   * The number in `prism.common.Error`. Two reasons can share a number, and their status codes tell
   * them apart. A reader of the number gets the reason that stands first.
   */
  readonly wire: WireReason;
  /** The status code. gRPC numbers its codes as Connect does. */
  readonly code: Code;
  /** The HTTP status of Connect's single answer, if the status code's own would be wrong. */
  readonly httpStatus?: number;
  /**
   * Milliseconds to wait before the same call is sent again; 0 = no advice. Absent: the same call
   * would fail again, or could take effect twice.
   */
  readonly retryAfterMs?: number;
  /**
   * The level of its log line: error for a defect, warn for trouble of the server or a store, info
   * for the caller's fault. A missing key is a normal answer, so it is debug.
   */
  readonly level: "debug" | "info" | "warn" | "error";
  /** True: its message has keys of the caller, so the log leaves it out. */
  readonly namesKeys?: true;
  /** True: the caller was refused for who it is, so the audit log has the call. */
  readonly refusesCaller?: true;
  /** True: a store can refuse one item of a call for it. Otherwise it concerns the whole call. */
  readonly refusesItem?: true;
}

/**
 * The one table of reasons. A new reason is a row here and a value of `prism.common.Reason` in the
 * proto.
 */
const rows = {
  /** The request cannot be read: broken framing, encoding, JSON or protobuf. */
  malformed_request: {
    wire: WireReason.MALFORMED_REQUEST,
    code: Code.InvalidArgument,
    level: "info",
  },
  /**
   * A message is compressed, but the request names no compression. The protocols demand INTERNAL
   * for this.
   */
  compression_unnamed: {
    wire: WireReason.MALFORMED_REQUEST,
    code: Code.Internal,
    level: "info",
  },
  /**
   * The request uses something that this server lacks: an unknown compression, or a number of
   * messages other than one.
   */
  request_unsupported: {
    wire: WireReason.REQUEST_UNSUPPORTED,
    code: Code.Unimplemented,
    level: "info",
  },
  /** A field of the request is out of bounds. In JSON also: it is unknown or not valid base64. */
  invalid_field: {
    wire: WireReason.INVALID_FIELD,
    code: Code.InvalidArgument,
    level: "info",
    refusesItem: true,
  },
  /** The key has no value. Only handlers raise it: in the contract a missing key is an answer. */
  key_not_found: {
    wire: WireReason.KEY_NOT_FOUND,
    code: Code.NotFound,
    level: "debug",
  },
  /** No namespace of that name is configured. */
  namespace_not_found: {
    wire: WireReason.NAMESPACE_NOT_FOUND,
    code: Code.NotFound,
    level: "info",
  },
  /** The health of an unknown service was asked for. */
  service_not_found: {
    wire: WireReason.SERVICE_NOT_FOUND,
    code: Code.NotFound,
    level: "info",
  },
  /**
   * No service or method of that name. HTTP 404 (RFC 9110 section 15.5.5): nothing is at that path.
   */
  method_not_found: {
    wire: WireReason.METHOD_NOT_FOUND,
    code: Code.Unimplemented,
    httpStatus: 404,
    level: "info",
  },
  /** The namespace's backend does not have the interface that was called. */
  interface_unsupported: {
    wire: WireReason.INTERFACE_UNSUPPORTED,
    code: Code.Unimplemented,
    level: "info",
  },
  /** The value, or the whole request, is larger than the configured bound. */
  value_too_large: {
    wire: WireReason.VALUE_TOO_LARGE,
    code: Code.ResourceExhausted,
    level: "info",
    refusesItem: true,
  },
  /** The store has no room left: the disk is full, or its own bound is reached. */
  store_full: {
    wire: WireReason.STORE_FULL,
    code: Code.ResourceExhausted,
    level: "warn",
    refusesItem: true,
  },
  /** A transaction names keys that the store cannot change or read together. */
  not_atomic: {
    wire: WireReason.NOT_ATOMIC,
    code: Code.FailedPrecondition,
    level: "info",
    namesKeys: true,
    refusesItem: true,
  },
  /** The value is not the text of a number, so nothing can be added to it. */
  not_a_counter: {
    wire: WireReason.NOT_A_COUNTER,
    code: Code.FailedPrecondition,
    level: "info",
    refusesItem: true,
  },
  /** The sum would leave the range of a counter. */
  counter_overflow: {
    wire: WireReason.COUNTER_OVERFLOW,
    code: Code.OutOfRange,
    level: "info",
    refusesItem: true,
  },
  /** The list has no such place. Only handlers raise it: in the contract that is an answer. */
  index_out_of_range: {
    wire: WireReason.INDEX_OUT_OF_RANGE,
    code: Code.OutOfRange,
    level: "info",
  },
  /** The call needs credentials and has none. */
  credentials_missing: {
    wire: WireReason.CREDENTIALS_MISSING,
    code: Code.Unauthenticated,
    level: "info",
    refusesCaller: true,
  },
  /** The credentials are unknown, expired, revoked, malformed or for another gateway. */
  credentials_invalid: {
    wire: WireReason.CREDENTIALS_INVALID,
    code: Code.Unauthenticated,
    level: "info",
    refusesCaller: true,
  },
  /** The caller may not do this. Its message is the same whether the namespace exists or not. */
  permission_denied: {
    wire: WireReason.PERMISSION_DENIED,
    code: Code.PermissionDenied,
    level: "info",
    refusesCaller: true,
  },
  /**
   * A caller or a namespace makes more calls, or sends more bytes, than it may. The error itself
   * says when there is room again.
   */
  rate_limited: {
    wire: WireReason.RATE_LIMITED,
    code: Code.ResourceExhausted,
    retryAfterMs: 1000,
    level: "info",
  },
  /** The namespace holds as much as it may. */
  quota_exceeded: {
    wire: WireReason.QUOTA_EXCEEDED,
    code: Code.ResourceExhausted,
    level: "info",
    refusesItem: true,
  },
  /** There is a namespace of that name already. */
  namespace_exists: {
    wire: WireReason.NAMESPACE_EXISTS,
    code: Code.AlreadyExists,
    level: "info",
  },
  /** No backend of that name is configured. */
  backend_not_found: {
    wire: WireReason.BACKEND_NOT_FOUND,
    code: Code.NotFound,
    level: "info",
  },
  /** What the call would change was changed meanwhile, by another caller or by hand. */
  conflict: {
    wire: WireReason.CONFLICT,
    code: Code.Aborted,
    level: "info",
  },
  /** There is no stream of that name. Only handlers raise it: in the contract that is an answer. */
  stream_not_found: {
    wire: WireReason.STREAM_NOT_FOUND,
    code: Code.NotFound,
    level: "info",
  },
  /** There is a stream of that name, and what cannot be changed of it would be. */
  stream_differs: {
    wire: WireReason.STREAM_DIFFERS,
    code: Code.FailedPrecondition,
    level: "info",
    refusesItem: true,
  },
  /** Too much waits already, in the server or for the store. A later try can succeed. */
  overloaded: {
    wire: WireReason.OVERLOADED,
    code: Code.ResourceExhausted,
    retryAfterMs: 100,
    level: "warn",
  },
  /** The deadline of the call passed. Whether a write took effect is unknown. */
  deadline_exceeded: {
    wire: WireReason.DEADLINE_EXCEEDED,
    code: Code.DeadlineExceeded,
    level: "warn",
  },
  /**
   * The request did not arrive in time. Its sender is at fault, so HTTP 408 (RFC 9110 section
   * 15.5.9), and not 504, which blames a server behind this one.
   */
  request_too_slow: {
    wire: WireReason.DEADLINE_EXCEEDED,
    code: Code.DeadlineExceeded,
    httpStatus: 408,
    level: "info",
  },
  /** The caller went away. */
  canceled: {
    wire: WireReason.CANCELED,
    code: Code.Canceled,
    level: "info",
  },
  /** The store cannot be reached or is not open. The call had no effect. */
  store_unavailable: {
    wire: WireReason.STORE_UNAVAILABLE,
    code: Code.Unavailable,
    retryAfterMs: 1000,
    level: "warn",
  },
  /** The store went away during a write, which may or may not have taken effect. */
  outcome_unknown: {
    wire: WireReason.OUTCOME_UNKNOWN,
    code: Code.Unavailable,
    level: "warn",
  },
  /** The server is shutting down. The call had no effect, or a stream was cut. */
  shutting_down: {
    wire: WireReason.SHUTTING_DOWN,
    code: Code.Unavailable,
    retryAfterMs: 0,
    level: "warn",
  },
  /** Stored data is not what was written. */
  corrupt_data: {
    wire: WireReason.CORRUPT_DATA,
    code: Code.DataLoss,
    level: "error",
    refusesItem: true,
  },
  /** A defect of Prism. The message tells no more; the log has the cause. */
  internal: {
    wire: WireReason.INTERNAL,
    code: Code.Internal,
    level: "error",
    refusesItem: true,
  },
} as const satisfies Readonly<Record<string, ReasonRow>>;

/** Why a call failed: a closed set, one row of {@link REASONS} each. */
export type Reason = keyof typeof rows;

/** The row of each reason. */
export const REASONS: Readonly<Record<Reason, ReasonRow>> = rows;

/** A reason for which a store can refuse one item of a call. */
export type RefusalReason = {
  [R in Reason]: (typeof rows)[R] extends { readonly refusesItem: true } ? R : never;
}[Reason];

/** Whether a store can refuse one item of a call for it. */
export function isRefusalReason(reason: Reason): reason is RefusalReason {
  return REASONS[reason].refusesItem === true;
}

const BY_WIRE = new Map<number, Reason>(
  Object.entries(rows)
    // Reversed, so that the first of those with one number wins.
    .reverse()
    .map(([reason, { wire }]) => [wire, reason as Reason]),
);

/** The reason of a `prism.common.Error`; `undefined` = this version does not know it. */
export function reasonOf(wire: number): Reason | undefined {
  return BY_WIRE.get(wire);
}
