import type net from "node:net";
import { PREFACE } from "../../http2/index.ts";
import type { PortOptions } from "./options.ts";

/**
 * Reads the few bytes that tell the protocol, and puts them back. Cuts off a peer that does not
 * send them in time.
 */
export function peek(
  socket: net.Socket,
  { headerTimeoutMs, onConnectionError }: PortOptions,
  found: (protocol: "h1" | "h2") => void,
): void {
  let seen: Buffer = Buffer.alloc(0);
  const giveUp = (code: string, message: string) => {
    onConnectionError(Object.assign(new Error(message), { code }), socket);
    socket.destroy();
  };
  const deadline = setTimeout(
    () => giveUp("ETIMEDOUT", `no request within ${headerTimeoutMs} ms`),
    headerTimeoutMs,
  );
  const ignore = () => {};
  const finish = () => {
    clearTimeout(deadline);
    socket.off("readable", read);
    socket.off("end", ended);
    socket.off("error", ignore);
    socket.off("close", finish);
  };
  const ended = () => {
    if (seen.length > 0) {
      giveUp("ECONNRESET", "closed within the first bytes");
    }
    // A peer that sent nothing only checked that the port is open, as health checkers do.
    socket.destroy();
  };
  const read = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) {
      return;
    }
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk]);
    const compared = Math.min(seen.length, PREFACE.length);
    const isPreface = seen.compare(PREFACE, 0, compared, 0, compared) === 0;
    if (isPreface && compared < PREFACE.length) {
      return;
    }
    finish();
    socket.unshift(seen);
    found(isPreface ? "h2" : "h1");
  };
  socket.on("readable", read);
  socket.on("end", ended);
  socket.on("error", ignore);
  socket.once("close", finish);
}
