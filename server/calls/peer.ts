import { X509Certificate } from "node:crypto";

/**
 * The peer's address for the log; `undefined` = unknown. `socket` is a socket of Node or a
 * stand-in. For a closed socket Node knows the address only if it was asked before.
 */
export function peerOf(socket: object): string | undefined {
  const address = property(socket, "remoteAddress");
  return typeof address === "string" ? address : undefined;
}

/**
 * The peer's TLS certificate, which the server has verified. `undefined` = none was asked for, or
 * the connection is closed. Every call makes a new object, so keep it if you need it often.
 */
export function certificateOf(socket: object): X509Certificate | undefined {
  const get = property(socket, "getPeerX509Certificate");
  if (typeof get !== "function" || property(socket, "authorized") !== true) {
    return undefined;
  }
  const certificate: unknown = get.call(socket);
  return certificate instanceof X509Certificate ? certificate : undefined;
}

function property(socket: object, name: string): unknown {
  try {
    return Reflect.get(socket, name);
  } catch {
    // node:http2 has no socket for a request whose stream is gone.
    return undefined;
  }
}
