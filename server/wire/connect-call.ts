import { createContextKey, createContextValues } from "@connectrpc/connect";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import { CallRecord, type RequestSource } from "../calls/record.ts";
import { CallScope } from "../calls/scope.ts";
import type { ServedMethod } from "../calls/served-method.ts";
import { scopeOf, TIMEOUT_HEADERS } from "./call-scope.ts";
import { type ErrorForm, errorForm } from "./wire-error.ts";

/** One call on Connect's own handlers, from its headers on. */
export interface ConnectCall {
  readonly target: ServedMethod;
  readonly record: CallRecord;
  readonly scope: CallScope;
  /** The form of its errors. `undefined` = its Content-Type is no RPC's. */
  readonly form: ErrorForm | undefined;
}

const callKey = createContextKey<ConnectCall | undefined>(undefined);

/**
 * Begins a call. The returned request carries it. This keeps the deadline, so Connect is not told
 * of it.
 */
export function beginConnectCall(
  target: ServedMethod,
  requestId: string,
  source: RequestSource,
  request: UniversalServerRequest,
): UniversalServerRequest {
  const { method, header } = request;
  // A GET has no Content-Type. Its errors are those of a unary call.
  const form = method === "GET" ? "connect-unary" : errorForm(header.get("content-type"));
  const timeout = TIMEOUT_HEADERS[form ?? "connect-unary"];
  const scope = scopeOf(target.row, timeout, source);
  if (scope !== undefined) {
    header.delete(timeout.name);
  }
  const record = new CallRecord(target.row, requestId, source);
  if (method === "GET") {
    record.requestBytes = source.url?.length ?? 0;
  }
  const call: ConnectCall = {
    target,
    record,
    scope: scope ?? new CallScope(target.row.timeoutMs),
    form,
  };
  return { ...request, contextValues: createContextValues().set(callKey, call) };
}

/** The call of a request. Throws if {@link beginConnectCall} did not begin it. */
export function connectCall({ contextValues }: Pick<UniversalServerRequest, "contextValues">): ConnectCall {
  const call = contextValues?.get(callKey);
  if (call === undefined) {
    throw new TypeError("this call was not begun with beginConnectCall()");
  }
  return call;
}
