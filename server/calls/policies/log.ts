import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { PrismError, Reason } from "../../errors.ts";
import { REASONS } from "../../reasons.ts";
import type { FailureLog } from "../failure-log.ts";
import type { CallRecord } from "../record.ts";
import type { Policy, PolicyHooks } from "./policy.ts";

/** Then any caller can make up the namespace; each would be its own kind of failure. */
const NAMED_BY_ANYBODY: ReadonlySet<Reason> = new Set([
  "namespace_not_found",
  "credentials_missing",
  "credentials_invalid",
  "permission_denied",
]);

/**
 * Writes one line for each call: a failure to `failures` at its reason's level, a success to the
 * log as debug. Never values, keys or tokens. The cause of an internal error is logged only here.
 */
export function createLogPolicy(failures: FailureLog): Policy {
  const { log } = failures;
  const hooks: PolicyHooks = {
    finish(record, error) {
      const level = error === undefined ? "debug" : REASONS[error.reason].level;
      if (!log.isLevelEnabled(level)) {
        return;
      }
      if (error === undefined || level === "debug") {
        log.debug(fieldsOf(record, error), error === undefined ? "call" : "call failed");
        return;
      }
      const { reason, field = "", cause } = error;
      failures.tell({
        level,
        message: "call failed",
        // And choose the place of an item: `keys[7]` is of the kind `keys[]`.
        kind: `${record.row.path} ${groupOf(record, error)} ${reason} ${field.replace(/\[\d+\]/g, "[]")}`,
        fields: () => fieldsOf(record, error),
        cause,
      });
    },
  };
  return { on: () => hooks };
}

/** The namespace by which lines of calls are grouped; "" where callers could make up any number. */
export function groupOf({ namespace }: CallRecord, error: PrismError | undefined): string {
  return error !== undefined && NAMED_BY_ANYBODY.has(error.reason) ? "" : namespace;
}

/** It replaces messages that can contain keys and values. */
const ECHOES = "the message can have keys or values of the caller; the answer has it";

function messageOf({ reason, message, echoes }: PrismError): string {
  return echoes || REASONS[reason].namesKeys === true ? ECHOES : message;
}

/** What a line tells of a call. Absent `error` = success. */
export function fieldsOf(record: CallRecord, error: PrismError | undefined) {
  const { desc } = record.row;
  return {
    request_id: record.requestId,
    peer: record.peer,
    ...(record.principal !== undefined && { principal: record.principal.name }),
    ...(record.traceId !== undefined && { trace_id: record.traceId }),
    service: desc.parent.typeName,
    call: desc.name,
    namespace: record.namespace,
    code: error === undefined ? "ok" : codeToString(REASONS[error.reason].code),
    duration_ms: Math.round((record.endedAtMs - record.startedAtMs) * 1000) / 1000,
    ...(error !== undefined && { reason: error.reason, error: messageOf(error) }),
  };
}
