/**
 * The address at the other end of a connection, as the log has it; `undefined` = it is not known. `socket` is one of
 * Node's, or what stands for it. Node remembers the address of one that is closed where it was asked before.
 */
export function peerOf(socket: object): string | undefined {
  try {
    const address: unknown = Reflect.get(socket, "remoteAddress");
    return typeof address === "string" ? address : undefined;
  } catch {
    // node:http2 has no socket for a request whose stream is gone.
    return undefined;
  }
}
