import { X509Certificate } from "node:crypto";

/**
 * The address at the other end of a connection, as the log has it; `undefined` = it is not known. `socket` is one of
 * Node's, or what stands for it. Node remembers the address of one that is closed where it was asked before.
 */
export function peerOf(socket: object): string | undefined {
  const address = property(socket, "remoteAddress");
  return typeof address === "string" ? address : undefined;
}

/**
 * The certificate with which the other end of a TLS connection was let in; `undefined` = it was asked for none, or the
 * connection is closed. Made anew by each call: who asks often keeps it.
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
