import type { ConnectError } from "@connectrpc/connect";
import { parseTimeout as parseConnectTimeout } from "@connectrpc/connect/protocol-connect";
import { parseTimeout as parseGrpcTimeout } from "@connectrpc/connect/protocol-grpc";
import type { MethodRow } from "../calls/methods.ts";
import { CallScope, createDeadlineScope } from "../calls/scope.ts";
import type { ErrorForm } from "./wire-error.ts";

/** How a form of request carries the caller's deadline. */
export interface TimeoutHeader {
  readonly name: string;
  readonly parse: (
    value: string | null,
    maxTimeoutMs: number,
  ) => { timeoutMs?: number; error?: ConnectError | undefined };
}

const CONNECT: TimeoutHeader = { name: "connect-timeout-ms", parse: parseConnectTimeout };
const GRPC: TimeoutHeader = { name: "grpc-timeout", parse: parseGrpcTimeout };

/** The deadline's header in each form. */
export const TIMEOUT_HEADERS: Readonly<Record<ErrorForm, TimeoutHeader>> = {
  grpc: GRPC,
  "grpc-web": GRPC,
  "connect-unary": CONNECT,
  "connect-stream": CONNECT,
};

/**
 * The scope of a call from its arrival, on every path, with the caller's deadline and the method's
 * bound. `undefined` = the caller's deadline is unreadable; Connect's own handlers answer that.
 */
export function scopeOf(
  { timeoutMs: boundMs }: MethodRow,
  timeout: TimeoutHeader,
  request: { header(name: string): string | undefined },
): CallScope | undefined {
  const given = request.header(timeout.name);
  if (given === undefined) {
    return new CallScope(boundMs);
  }
  const { timeoutMs, error } = timeout.parse(given, Number.MAX_SAFE_INTEGER);
  return timeoutMs === undefined || error !== undefined ? undefined : createDeadlineScope(timeoutMs, boundMs);
}
