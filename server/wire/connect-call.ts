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
  /** How its failure is told; `undefined` = its Content-Type is that of no RPC. */
  readonly form: ErrorForm | undefined;
}

const callKey = createContextKey<ConnectCall | undefined>(undefined);

/** Begins a call. The request of what it answers carries it. Its deadline is kept here, so Connect is told of none. */
export function beginConnectCall(
  target: ServedMethod,
  requestId: string,
  source: RequestSource,
  request: UniversalServerRequest,
): UniversalServerRequest {
  const { method, header } = request;
  // A GET has no Content-Type; its errors are those of a unary call.
  const form = method === "GET" ? "connect-unary" : errorForm(header.get("content-type"));
  const timeout = TIMEOUT_HEADERS[form ?? "connect-unary"];
  const scope = scopeOf(target.row, timeout, source);
  if (scope !== undefined) {
    header.delete(timeout.name);
  }
  const call: ConnectCall = {
    target,
    record: new CallRecord(target.row, requestId, source),
    scope: scope ?? new CallScope(target.row.timeoutMs),
    form,
  };
  return { ...request, contextValues: createContextValues().set(callKey, call) };
}

/** The call that a request carries. Throws if it was not begun with {@link beginConnectCall}. */
export function connectCall({ contextValues }: Pick<UniversalServerRequest, "contextValues">): ConnectCall {
  const call = contextValues?.get(callKey);
  if (call === undefined) {
    throw new TypeError("this call was not begun with beginConnectCall()");
  }
  return call;
}
