import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";

/** What listens at an address is not what was asked for: another try will meet it again. */
export class MisplacedError extends Error {
  override readonly name = "MisplacedError";
}

/** What became of an attempt to make a connection. */
export interface Attempt {
  readonly socket: Socket;
  /** `host:port`. */
  readonly where: string;
  /** The first bytes that the server sent, as latin1, where the socket is without TLS. */
  readonly greeting: string;
}

/**
 * The frame that a server begins with (RFC 9113 section 3.4) has this type, after the three bytes
 * of its length.
 */
const SETTINGS_TYPE = "\x04";
const SETTINGS_TYPE_AT = 3;

/** What to check, by the error codes of operating systems. */
const UNREACHABLE: ReadonlyMap<unknown, string> = new Map([
  ["ECONNREFUSED", "nothing listens there; check host and port, and that the gateway runs"],
  ["ENOTFOUND", "there is no such host; check its name"],
  ["EAI_AGAIN", "the host's name cannot be looked up; check it and the network"],
  ["EHOSTUNREACH", "there is no way to the host; check it and the network"],
  ["ENETUNREACH", "there is no way to the host; check it and the network"],
  ["ETIMEDOUT", "the host does not answer; check host, port and firewall"],
]);

/** No connection came about in time. */
export function noConnectionWithin(ms: number): Error {
  return Object.assign(new Error(`no connection within ${ms} ms`), { code: "ETIMEDOUT" });
}

/**
 * Says in a sentence what is wrong. `error` alone is of a socket, of OpenSSL, or of HTTP/2, and
 * does not.
 */
export function explainFailure(error: Error, { socket, where, greeting }: Attempt): Error {
  const cause = error;
  const code = "code" in error ? error.code : undefined;
  const advice = UNREACHABLE.get(code);
  if (advice !== undefined) {
    return new Error(`no connection to ${where}: ${advice} (${error.message || code})`, { cause });
  }
  if (socket instanceof TLSSocket) {
    return explainTls(error, socket, where);
  }
  if (greeting.length <= SETTINGS_TYPE_AT) {
    return error;
  }
  // RFC 8446 section 5.1: an alert, of some version 3.
  if (greeting.startsWith("\x15\x03")) {
    return new MisplacedError(`${where} speaks TLS, and was called without: make it an https address`, {
      cause,
    });
  }
  if (greeting.startsWith("HTTP/")) {
    return new MisplacedError(`${where} answers in HTTP/1.1, and gRPC needs HTTP/2`, { cause });
  }
  return greeting[SETTINGS_TYPE_AT] === SETTINGS_TYPE
    ? error
    : new MisplacedError(`${where} answers in something other than HTTP/2`, { cause });
}

function explainTls(error: Error, socket: TLSSocket, where: string): Error {
  const cause = error;
  if (error instanceof MisplacedError) {
    return error;
  }
  // Null where nothing is wrong with the certificate.
  if (socket.authorizationError) {
    return new MisplacedError(`the certificate of ${where} is not trusted: ${error.message}`, { cause });
  }
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  // OpenSSL took the first bytes of something else for the head of a record.
  if (/^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|HTTPS_PROXY_REQUEST)$/.test(code)) {
    return new MisplacedError(`${where} does not speak TLS, and was called with: make it an http address`, {
      cause,
    });
  }
  if (code.startsWith("ERR_SSL_") || code.startsWith("ERR_TLS_")) {
    const reason = "reason" in error ? error.reason : error.message;
    return new MisplacedError(`no TLS with ${where}: ${reason}`, { cause });
  }
  return code === "ECONNRESET" ? closedByServer(where, true) : error;
}

/**
 * The server closed a connection without a word before it could be used. It may have stopped, or
 * expect another protocol.
 */
export function closedByServer(where: string, secure: boolean): Error {
  const other = secure ? "no TLS, make it an http address" : "TLS, make it an https address";
  return new Error(`${where} closed the connection; if it speaks ${other}`);
}
