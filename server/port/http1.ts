import http from "node:http";
import https from "node:https";
import type { Duplex } from "node:stream";
import type { SecureContextOptions } from "node:tls";
import { CountedResponse } from "./http1-connection.ts";
import type { PortOptions, TlsMaterial } from "./options.ts";

type Http1Options = http.ServerOptions<typeof http.IncomingMessage, typeof CountedResponse>;

/** The server of HTTP/1.1, over TLS if there is a certificate. It does not listen yet. */
export function createHttp1(
  handler: http.RequestListener<typeof http.IncomingMessage, typeof CountedResponse>,
  options: PortOptions,
): http.Server {
  const shared: Http1Options = {
    ServerResponse: CountedResponse,
    maxHeaderSize: options.maxHeaderBytes,
    // Node would answer by itself, without a log line.
    requireHostHeader: false,
    // Node would keep the first of two Authorization or Host fields, and a proxy perhaps the last.
    joinDuplicateHeaders: true,
    headersTimeout: options.headerTimeoutMs,
    // Later than the handler's own bound, which starts after the headers and can still answer.
    requestTimeout: options.requestTimeoutMs && options.requestTimeoutMs + options.headerTimeoutMs,
    keepAliveTimeout: options.idleTimeoutMs,
    connectionsCheckingInterval: Math.min(options.headerTimeoutMs, 5_000),
  };
  const { tls } = options;
  if (tls === undefined) {
    return http.createServer(shared, handler);
  }
  const server = https.createServer(
    {
      ...shared,
      ...secureOptions(tls),
      ...(tls.clientCa && { requestCert: true, rejectUnauthorized: tls.optionalClientCerts !== true }),
      ALPNProtocols: ["h2", "http/1.1"],
      handshakeTimeout: options.headerTimeoutMs,
    },
    handler,
  );
  // Replaces Node's own listener, which makes a clientError of it: there is nobody to answer.
  server.removeAllListeners("tlsClientError");
  server.on("tlsClientError", (error, socket) => {
    // If the peer has left, only the socket below remembers the address.
    options.onConnectionError(error, Reflect.get(socket, "_parent") ?? socket);
    socket.destroy();
  });
  return server;
}

/** What a handshake needs, and what may change between two of them. */
export function secureOptions({ cert, key, clientCa }: TlsMaterial): SecureContextOptions {
  return { cert, key, ...(clientCa && { ca: clientCa }), minVersion: "TLSv1.2" };
}

/**
 * Has node:http, which has just started on the connection, take what comes from the stream and not
 * from the handle under it. It pauses its parser where a request comes while an answer waits to be
 * written. A TLS handle that is paused still hands out the records that it has read: for node:http
 * they are an error, and it would close the connection in the middle of that answer.
 */
export function readFromStream(socket: Duplex): void {
  // For any listener node:http lets go of the handle. It has one of its own by now.
  socket.on("data", ignore).off("data", ignore);
}

function ignore(): void {}

/**
 * Reads and drops what comes after the answer, or the next request on the connection would never be
 * seen.
 */
export function discard(request: http.IncomingMessage): void {
  if (!request.complete) {
    // Only if there are any: removing them ends a running flow a moment later.
    if (request.listenerCount("readable") > 0) {
      request.removeAllListeners("readable");
    }
    request.removeAllListeners("data").resume();
  }
}

/** Answers what is no HTTP/1.1 request, if the peer still listens. */
export function refuse(error: Error & { code?: string }, socket: Duplex): void {
  const status =
    error.code === "ERR_HTTP_REQUEST_TIMEOUT"
      ? "408 Request Timeout"
      : error.code === "HPE_HEADER_OVERFLOW"
        ? "431 Request Header Fields Too Large"
        : "400 Bad Request";
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}
