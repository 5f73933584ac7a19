import { create } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { ErrorSchema } from "../../gen/prism/common/errors_pb.ts";
import type { PrismError } from "../errors.ts";
import { REASONS } from "../reasons.ts";

/**
 * The error for the wire: code, message and a `prism.common.Error` detail. The cause stays here.
 */
export function toConnectError(
  error: PrismError,
  call: { readonly requestId: string; readonly namespace: string },
): ConnectError {
  const { wire, code, retryAfterMs } = REASONS[error.reason];
  // A lone surrogate has no UTF-8 form and would fail when it is sent.
  const message = error.message.toWellFormed();
  const detail = create(ErrorSchema, {
    reason: wire,
    message,
    namespace: call.namespace,
    retryable: retryAfterMs !== undefined,
    retryAfterMs: retryAfterMs ?? 0,
    fieldViolations: error.field === undefined ? [] : [{ field: error.field, description: message }],
    requestId: call.requestId,
  });
  return new ConnectError(message, code, undefined, [{ desc: ErrorSchema, value: detail }]);
}
