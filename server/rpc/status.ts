import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorSchema, Reason as WireReason } from "../../gen/prism/common/errors_pb.ts";
import type { PrismError, Reason } from "../errors.ts";

interface Status {
  readonly code: Code;
  readonly wire: WireReason;
  /** Whether the same call, sent again later, can succeed. False for writes whose outcome is unknown. */
  readonly retryable: boolean;
  /** How long to wait before that; 0 = no advice. */
  readonly retryAfterMs: number;
}

const final = (code: Code, wire: WireReason): Status => ({
  code,
  wire,
  retryable: false,
  retryAfterMs: 0,
});
const retry = (code: Code, wire: WireReason, retryAfterMs: number): Status => ({
  code,
  wire,
  retryable: true,
  retryAfterMs,
});

/** The one table from reason to status. gRPC numbers its codes as Connect does. */
const STATUS: Readonly<Record<Reason, Status>> = {
  malformed_request: final(Code.InvalidArgument, WireReason.MALFORMED_REQUEST),
  request_unsupported: final(Code.Unimplemented, WireReason.REQUEST_UNSUPPORTED),
  invalid_field: final(Code.InvalidArgument, WireReason.INVALID_FIELD),
  key_not_found: final(Code.NotFound, WireReason.KEY_NOT_FOUND),
  namespace_not_found: final(Code.NotFound, WireReason.NAMESPACE_NOT_FOUND),
  service_not_found: final(Code.NotFound, WireReason.SERVICE_NOT_FOUND),
  method_not_found: final(Code.Unimplemented, WireReason.METHOD_NOT_FOUND),
  interface_unsupported: final(Code.Unimplemented, WireReason.INTERFACE_UNSUPPORTED),
  value_too_large: final(Code.ResourceExhausted, WireReason.VALUE_TOO_LARGE),
  store_full: final(Code.ResourceExhausted, WireReason.STORE_FULL),
  overloaded: retry(Code.ResourceExhausted, WireReason.OVERLOADED, 100),
  deadline_exceeded: final(Code.DeadlineExceeded, WireReason.DEADLINE_EXCEEDED),
  canceled: final(Code.Canceled, WireReason.CANCELED),
  store_unavailable: retry(Code.Unavailable, WireReason.STORE_UNAVAILABLE, 1000),
  outcome_unknown: final(Code.Unavailable, WireReason.OUTCOME_UNKNOWN),
  shutting_down: retry(Code.Unavailable, WireReason.SHUTTING_DOWN, 0),
  corrupt_data: final(Code.DataLoss, WireReason.CORRUPT_DATA),
  internal: final(Code.Internal, WireReason.INTERNAL),
};

/** The status code with which a failure for `reason` ends. */
export function statusCode(reason: Reason): Code {
  return STATUS[reason].code;
}

/** The error as it goes on the wire: code, message, and a `prism.common.Error` detail. The cause stays behind. */
export function toConnectError(
  error: PrismError,
  call: { readonly requestId: string; readonly namespace: string },
): ConnectError {
  const status = STATUS[error.reason];
  // What cannot be told in UTF-8 would fail on its way out.
  const message = error.message.toWellFormed();
  const detail = create(ErrorSchema, {
    reason: status.wire,
    message,
    namespace: call.namespace,
    retryable: status.retryable,
    retryAfterMs: status.retryAfterMs,
    fieldViolations: error.field === undefined ? [] : [{ field: error.field, description: message }],
    requestId: call.requestId,
  });
  return new ConnectError(message, status.code, undefined, [{ desc: ErrorSchema, value: detail }]);
}
