import { create } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { ErrorSchema, type Error as WireError } from "../../gen/prism/common/errors_pb.ts";
import { type PrismError, withoutStack } from "../errors.ts";
import { REASONS } from "../reasons.ts";

/** What an error tells of its call. */
interface CallFacts {
  /** Empty = the call was not given one. */
  readonly requestId: string;
  readonly namespace: string;
}

/**
 * The error for the wire: code, message and a `prism.common.Error` detail. The cause stays here.
 */
export function toConnectError(error: PrismError, call: CallFacts): ConnectError {
  const value = toErrorMessage(error, call);
  const { code } = REASONS[error.reason];
  const details = [{ desc: ErrorSchema, value }];
  return withoutStack(() => new ConnectError(value.message, code, undefined, details));
}

/** The `prism.common.Error` of a failed call, or of an item that was refused. */
export function toErrorMessage(
  {
    reason,
    message: text,
    field,
    retryAfterMs: known,
  }: Pick<PrismError, "reason" | "message" | "field"> & Partial<Pick<PrismError, "retryAfterMs">>,
  { namespace, requestId }: CallFacts,
): WireError {
  const { wire, retryAfterMs } = REASONS[reason];
  // A lone surrogate has no UTF-8 form and would fail when it is sent.
  const message = text.toWellFormed();
  return create(ErrorSchema, {
    reason: wire,
    message,
    namespace,
    retryable: retryAfterMs !== undefined,
    retryAfterMs: retryAfterMs === undefined ? 0 : Math.ceil(known ?? retryAfterMs),
    fieldViolations: field === undefined ? [] : [{ field, description: message }],
    requestId,
  });
}
