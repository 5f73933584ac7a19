import type http from "node:http";
import http2 from "node:http2";
import type { Http2, PortOptions } from "./options.ts";

/** Megabytes that node:http2 may hold for one connection; above the connection window, or it would refuse streams. */
const MAX_SESSION_MEMORY_MB = 32;

/** HTTP/2 by node:http2; each call goes to `handler` as a request and a response. */
export function createNodeHttp2(handler: http.RequestListener, options: PortOptions): Http2 {
  // It never listens: connections are handed to it.
  const server = http2.createServer(
    {
      maxSessionMemory: MAX_SESSION_MEMORY_MB,
      settings: {
        maxConcurrentStreams: options.maxConcurrentStreams,
        maxHeaderListSize: options.maxHeaderBytes,
        initialWindowSize: options.streamWindowBytes,
        enablePush: false,
      },
    },
    // The compatibility API gives requests and responses with the parts of http's that Fastify uses.
    handler as unknown as (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void,
  );
  const sessions = new Set<http2.ServerHttp2Session>();
  let draining = false;

  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
    const peer = { remoteAddress: session.socket.remoteAddress };
    session.setLocalWindowSize(options.connectionWindowBytes);
    let calls = 0;
    session.on("stream", (stream) => {
      calls++;
      stream.once("close", () => calls--);
      // What comes after the answer is read and dropped, or its sender would wait for room for ever. (A reset,
      // as in RFC 9113 section 8.1, is no way out: Node 26 aborts if trailers are still to be sent.)
      stream.once("finish", () => stream.removeAllListeners("data").resume());
    });
    session.on("error", (error: Error & { code?: string }) => {
      // Where the client is just gone, each of its calls says so.
      if (error.code !== "ECONNRESET" && error.code !== "EPIPE") {
        options.onConnectionError(error, peer);
      }
    });
    session.setTimeout(options.idleTimeoutMs, () => {
      if (calls === 0) {
        session.close();
      } else {
        // A quiet stream, or a dead peer: a ping tells.
        ping(session, options.pingTimeoutMs);
      }
    });
    if (draining) {
      session.close();
    }
  });

  return {
    accept(socket) {
      // http.Server leaves its end open when the peer closes: the calls of a client that is gone would go on.
      socket.once("end", () => socket.destroy());
      server.emit("connection", socket);
    },
    drain() {
      draining = true;
      for (const session of sessions) {
        // GOAWAY names the last call that was taken; a client knows that later ones were not, and may send
        // them elsewhere (RFC 9113 section 6.8). nghttp2 takes none after a GOAWAY, whatever it names.
        session.close();
      }
    },
  };
}

/** Destroys the session unless its peer answers in time. */
function ping(session: http2.ServerHttp2Session, timeoutMs: number): void {
  const deadline = setTimeout(() => session.destroy(), timeoutMs);
  session.once("close", () => clearTimeout(deadline));
  session.ping((error) => {
    clearTimeout(deadline);
    if (error !== null) {
      session.destroy();
    }
  });
}
