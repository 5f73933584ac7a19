import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorSchema } from "../../gen/prism/common/errors_pb.ts";
import type { PrismError, Reason } from "../errors.ts";
import { WIRE_REASON } from "../wire-reason.ts";

interface Status {
  readonly code: Code;
  /** Whether the same call, sent again later, can succeed. False for writes whose outcome is unknown. */
  readonly retryable: boolean;
  /** How long to wait before that; 0 = no advice. */
  readonly retryAfterMs: number;
}

const final = (code: Code): Status => ({
  code,
  retryable: false,
  retryAfterMs: 0,
});
const retry = (code: Code, retryAfterMs: number): Status => ({
  code,
  retryable: true,
  retryAfterMs,
});

/** The one table from reason to status. gRPC numbers its codes as Connect does. */
const STATUS: Readonly<Record<Reason, Status>> = {
  malformed_request: final(Code.InvalidArgument),
  compression_unnamed: final(Code.Internal),
  request_unsupported: final(Code.Unimplemented),
  invalid_field: final(Code.InvalidArgument),
  key_not_found: final(Code.NotFound),
  namespace_not_found: final(Code.NotFound),
  service_not_found: final(Code.NotFound),
  method_not_found: final(Code.Unimplemented),
  interface_unsupported: final(Code.Unimplemented),
  value_too_large: final(Code.ResourceExhausted),
  store_full: final(Code.ResourceExhausted),
  overloaded: retry(Code.ResourceExhausted, 100),
  request_too_slow: final(Code.DeadlineExceeded),
  deadline_exceeded: final(Code.DeadlineExceeded),
  canceled: final(Code.Canceled),
  store_unavailable: retry(Code.Unavailable, 1000),
  outcome_unknown: final(Code.Unavailable),
  shutting_down: retry(Code.Unavailable, 0),
  corrupt_data: final(Code.DataLoss),
  internal: final(Code.Internal),
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
    reason: WIRE_REASON[error.reason],
    message,
    namespace: call.namespace,
    retryable: status.retryable,
    retryAfterMs: status.retryAfterMs,
    fieldViolations: error.field === undefined ? [] : [{ field: error.field, description: message }],
    requestId: call.requestId,
  });
  return new ConnectError(message, status.code, undefined, [{ desc: ErrorSchema, value: detail }]);
}
