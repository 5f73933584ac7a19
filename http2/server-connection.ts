/** Makes the server's end of a connection: a connection with the role of a server. */
import type { Duplex } from "node:stream";
import { Connection, type ConnectionOptions, type UserConnection } from "./connection.ts";
import { type OnStream, ServerRole } from "./server-role.ts";
import { shareUnsent } from "./unsent-answers.ts";
import type { UnsentBudget } from "./unsent-budget.ts";

/** What a server takes, beside what both roles do. */
export interface ServerOptions extends ConnectionOptions {
  /**
   * Shared by several connections: answers that wait; above its bound some are ended. Default: only
   * the bounds of the connection count.
   */
  readonly unsent?: UnsentBudget;
}

/** The server's end of a connection. */
export type ServerConnection = UserConnection;

/**
 * Serves HTTP/2 on a socket whose peer is a client with prior knowledge, or chose h2 by ALPN; bytes
 * that were read before are given back with `unshift`. Throws RangeError for options that are out
 * of range.
 */
export function createServerConnection(
  socket: Duplex,
  { unsent, ...options }: ServerOptions,
  onStream: OnStream,
): ServerConnection {
  return new Connection(socket, options, false, (connection) => {
    if (unsent !== undefined) {
      shareUnsent(connection, unsent);
    }
    return new ServerRole(connection, onStream);
  });
}
