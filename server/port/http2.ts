import type http from "node:http";
import http2 from "node:http2";
import type { PortOptions } from "./options.ts";

/** What a stream may have sent that no handler has read. */
const STREAM_WINDOW_BYTES = 1024 * 1024;

/** What all streams of a connection together may have sent that no handler has read. */
export const CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024;

/** Megabytes that node:http2 may hold for one connection; above the connection window, or it would refuse streams. */
const MAX_SESSION_MEMORY_MB = 32;

/** How long a peer has to answer a ping before its connection counts as dead. */
const PING_TIMEOUT_MS = 5_000;

/** The server of HTTP/2. It never listens: connections are handed to it. */
export function createHttp2(handler: http.RequestListener, options: PortOptions): http2.Http2Server {
  // The compatibility API gives requests and responses with the parts of http's that Fastify uses.
  const compatible = handler as unknown as (
    request: http2.Http2ServerRequest,
    response: http2.Http2ServerResponse,
  ) => void;
  return http2.createServer(
    {
      maxSessionMemory: MAX_SESSION_MEMORY_MB,
      settings: {
        maxConcurrentStreams: options.maxConcurrentStreams,
        maxHeaderListSize: options.maxHeaderBytes,
        initialWindowSize: STREAM_WINDOW_BYTES,
        enablePush: false,
      },
    },
    compatible,
  );
}

/** Destroys the session unless its peer answers in time. */
export function ping(session: http2.ServerHttp2Session): void {
  const deadline = setTimeout(() => session.destroy(), PING_TIMEOUT_MS);
  session.once("close", () => clearTimeout(deadline));
  session.ping((error) => {
    clearTimeout(deadline);
    if (error !== null) {
      session.destroy();
    }
  });
}
