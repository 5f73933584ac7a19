import { Reason as WireReason } from "../gen/prism/common/errors_pb.ts";
import type { Reason } from "./errors.ts";

/** How each reason is told in a `prism.common.Error`. */
export const WIRE_REASON: Readonly<Record<Reason, WireReason>> = {
  malformed_request: WireReason.MALFORMED_REQUEST,
  // Told in the same way, as `request_too_slow` is below; the status says the rest.
  compression_unnamed: WireReason.MALFORMED_REQUEST,
  request_unsupported: WireReason.REQUEST_UNSUPPORTED,
  invalid_field: WireReason.INVALID_FIELD,
  key_not_found: WireReason.KEY_NOT_FOUND,
  namespace_not_found: WireReason.NAMESPACE_NOT_FOUND,
  service_not_found: WireReason.SERVICE_NOT_FOUND,
  method_not_found: WireReason.METHOD_NOT_FOUND,
  interface_unsupported: WireReason.INTERFACE_UNSUPPORTED,
  value_too_large: WireReason.VALUE_TOO_LARGE,
  store_full: WireReason.STORE_FULL,
  overloaded: WireReason.OVERLOADED,
  deadline_exceeded: WireReason.DEADLINE_EXCEEDED,
  request_too_slow: WireReason.DEADLINE_EXCEEDED,
  canceled: WireReason.CANCELED,
  store_unavailable: WireReason.STORE_UNAVAILABLE,
  outcome_unknown: WireReason.OUTCOME_UNKNOWN,
  shutting_down: WireReason.SHUTTING_DOWN,
  corrupt_data: WireReason.CORRUPT_DATA,
  internal: WireReason.INTERNAL,
};

const REASONS = new Map<number, Reason>(
  Object.entries(WIRE_REASON)
    // Of those that are told in one way the first is meant.
    .reverse()
    .map(([reason, wire]) => [wire, reason as Reason]),
);

/** The inverse: the reason that a `prism.common.Error` tells; `undefined` where this version does not know it. */
export function reasonOf(wire: number): Reason | undefined {
  return REASONS.get(wire);
}
