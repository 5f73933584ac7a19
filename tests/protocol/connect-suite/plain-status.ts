/**
 * Prism's errors without their detail. The suite wants to see the details that it asked for and no others, so the server under test
 * gets this module in the place of `calls/status.ts`; see `plain-errors.ts`.
 */
import type { ConnectError } from "@connectrpc/connect";
import * as status from "../../../server/calls/status.ts";

/** As the original. */
export function toConnectError(...given: Parameters<typeof status.toConnectError>): ConnectError {
  const error = status.toConnectError(...given);
  error.details = [];
  return error;
}
