import { Code, ConnectError } from "@connectrpc/connect";
import { wasNotRun } from "../../../client/transport/transport.ts";
import { ErrorSchema, type Error as WireError } from "../../../gen/prism/common/errors_pb.ts";
import { abortError, PrismError, type Reason } from "../../errors.ts";
import { isRefusalReason, reasonOf } from "../../reasons.ts";
import { type Call, Refusal } from "../contract.ts";

/** "lost" = there is no answer, and the call may have run or not. */
type Outcome = Reason | "lost";

/**
 * The meaning of a status code when the plugin gives no reason: a foreign plugin has only the code.
 */
const BY_CODE: Readonly<Record<Code, Outcome>> = {
  [Code.Canceled]: "lost",
  [Code.Unknown]: "internal",
  [Code.InvalidArgument]: "invalid_field",
  [Code.DeadlineExceeded]: "deadline_exceeded",
  [Code.NotFound]: "key_not_found",
  [Code.AlreadyExists]: "internal",
  [Code.PermissionDenied]: "internal",
  // It may be a bound on message size, so a retry would not help.
  [Code.ResourceExhausted]: "store_full",
  [Code.FailedPrecondition]: "internal",
  [Code.Aborted]: "lost",
  [Code.OutOfRange]: "invalid_field",
  [Code.Unimplemented]: "interface_unsupported",
  [Code.Internal]: "internal",
  [Code.Unavailable]: "lost",
  [Code.DataLoss]: "corrupt_data",
  [Code.Unauthenticated]: "internal",
};

/**
 * The gateway's messages. A foreign plugin's messages are not written for the gateway's callers.
 */
const MESSAGES: Partial<Readonly<Record<Reason, string>>> = {
  invalid_field: "the plugin does not take a field of the request",
  deadline_exceeded: "the deadline of the call passed",
  key_not_found: "the plugin does not have the key, or the namespace",
  store_full: "the plugin has no room for the call",
  interface_unsupported: "the plugin does not have the interface",
  corrupt_data: "the plugin's data does not read back as what was written",
};

/**
 * Reasons that concern the gateway as the plugin's caller, and their meaning for the gateway's
 * caller.
 */
const OF_THE_WAY: Partial<Readonly<Record<Reason, Outcome>>> = {
  canceled: "lost",
  shutting_down: "store_unavailable",
  method_not_found: "interface_unsupported",
  malformed_request: "internal",
  compression_unnamed: "internal",
  request_too_slow: "internal",
  request_unsupported: "internal",
};

/** The call to the plugin. */
export interface Asked {
  readonly call: Call;
  /** Whether the call changes anything. */
  readonly write: boolean;
}

/**
 * Turns a transport's error into the error for the gateway's caller. The cause keeps everything for
 * the log.
 */
export function toPrismError(thrown: unknown, { call, write }: Asked): PrismError {
  if (thrown instanceof PrismError) {
    return thrown;
  }
  if (call.aborted) {
    return abortError(call.signal);
  }
  const error = ConnectError.from(thrown);
  const cause = error;
  if (wasNotRun(error)) {
    return new PrismError("store_unavailable", "the plugin cannot be reached", { cause });
  }
  const [detail] = error.findDetails(ErrorSchema);
  const told = detail && reasonOf(detail.reason);
  const outcome = told === undefined ? BY_CODE[error.code] : (OF_THE_WAY[told] ?? told);
  if (outcome === "lost") {
    return write
      ? new PrismError("outcome_unknown", "the plugin went away; the write may have been made or not", {
          cause,
        })
      : new PrismError("store_unavailable", "the plugin went away", { cause });
  }
  if (detail !== undefined && outcome === told) {
    const field = detail.fieldViolations[0]?.field;
    return new PrismError(told, detail.message, {
      cause,
      ...(field !== undefined && { field }),
      ...(detail.retryable && { retryAfterMs: detail.retryAfterMs }),
    });
  }
  return new PrismError(outcome, MESSAGES[outcome] ?? "the plugin failed", { cause });
}

/** The error for an answer that a plugin which works does not give. */
export function answeredWrongly(answer: string): PrismError {
  return new PrismError("internal", `the plugin failed: it answered with ${answer}`);
}

/** What the plugin says of an item that it refused; `path`: the item's field in the request. */
export function toRefusal({ reason, message, fieldViolations }: WireError, path: string): Refusal {
  const known = reasonOf(reason);
  const field = fieldViolations[0]?.field.replace(`${path}.`, "").replace(path, "key");
  return known !== undefined && isRefusalReason(known)
    ? new Refusal(known, message, { field })
    : new Refusal("internal", "the plugin failed", { cause: message });
}
