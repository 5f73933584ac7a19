/**
 * Prism's errors without their detail. The suite expects only the details that it asked for, so the
 * server under test gets this module instead of `calls/status.ts`; see `plain-errors.ts`.
 */
import type { ConnectError } from "@connectrpc/connect";
import * as status from "../../../server/calls/status.ts";

/** Like the original. */
export function toConnectError(...given: Parameters<typeof status.toConnectError>): ConnectError {
  const error = status.toConnectError(...given);
  error.details = [];
  return error;
}
