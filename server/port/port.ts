import type http from "node:http";
import net from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { createHttp1, discard, readFromStream, refuse } from "./http1.ts";
import { type CountedResponse, Http1Connections } from "./http1-connection.ts";
import type { Http2, PortOptions } from "./options.ts";
import { peek } from "./peek.ts";
import { Peers } from "./peers.ts";

/** How often connections that are alive but silent are looked at while draining. */
const DRAIN_TICK_MS = 50;

/** While draining, an idle HTTP/1.1 connection stays open this long for the request that may be on its way. */
const DRAIN_LINGER_MS = 150;

/** How long a connection is silent before the kernel asks whether the peer is still there. */
const KEEP_ALIVE_MS = 60_000;

/** One TCP port that answers HTTP/1.1 and HTTP/2 with the same request handler. */
export interface Port {
  /** The HTTP/1.1 server, which owns the socket that listens. Fastify is given this one. */
  readonly server: http.Server;
  /** Starts to listen and answers where; port 0 takes a free one. Rejects with Node's own error (`EADDRINUSE`). */
  listen(host: string, port: number): Promise<net.AddressInfo>;
  /**
   * Takes no new connections, tells every client to open no new calls here, and resolves when the last
   * connection has ended its calls and is closed.
   */
  drain(): Promise<void>;
  /** Cuts every connection that is left. */
  destroy(): void;
}

/**
 * Makes the port; it does not listen yet. `handler` gets the calls of HTTP/1.1, `h2` the connections of HTTP/2. Plaintext: the
 * first bytes of a connection tell HTTP/2 (with prior knowledge) from HTTP/1.1. TLS: ALPN does.
 */
export function createPort(handler: http.RequestListener, h2: Http2, options: PortOptions): Port {
  const server = createHttp1(onRequest, options);
  const sockets = new Set<Duplex>();
  const http1 = new Http1Connections(handler, options.unsent);
  let draining = false;

  server.maxConnections = options.maxConnections;
  server.on("drop", (dropped) =>
    options.onConnectionError(
      Object.assign(new Error("too many connections"), { code: "EMFILE" }),
      Object(dropped),
    ),
  );
  routeConnections(server, h2, options);

  const peers = new Peers(options.maxConnectionsPerPeer);
  const accept = server.listeners("connection");
  server.removeAllListeners("connection");
  server.on("connection", (socket: net.Socket) => {
    if (socket.remoteAddress === undefined) {
      // Gone already.
      socket.destroy();
      return;
    }
    if (!peers.admit(socket.remoteAddress, socket)) {
      options.onConnectionError(
        Object.assign(new Error("too many connections of one peer"), { code: "EMFILE" }),
        socket,
      );
      socket.destroy();
      return;
    }
    sockets.add(socket);
    rememberAddress(socket);
    socket.setNoDelay(true);
    // A peer that vanished without a word is found by the kernel.
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.once("close", () => sockets.delete(socket));
    startAll(accept, server, socket);
  });

  server.on("clientError", (error: Error & { code?: string }, socket: Duplex) => {
    if (http1.of(socket).requests > 0) {
      // In the middle of a request: its call is answered and logged in its own way.
      socket.destroy();
      return;
    }
    options.onConnectionError(error, socket);
    refuse(error, socket);
  });

  function onRequest(request: http.IncomingMessage, response: CountedResponse): void {
    const connection = http1.of(request.socket);
    const done = () => {
      connection.requests--;
    };
    connection.requests++;
    connection.response = response;
    if (draining) {
      response.setHeader("connection", "close");
    }
    // Of a connection that closes in the middle of it: whoever answers it knows by then, or does not read it.
    request.on("error", () => {});
    response.once("finish", () => discard(request));
    response.once("close", () => {
      if (connection.response === response) {
        connection.response = undefined;
      }
      connection.answered(response);
      if (request.complete) {
        done();
      } else {
        request.once("end", done);
      }
    });
    connection.run(request, response);
  }

  // By what it takes, and not by the socket's own clock: a peer that goes on sending would never be found.
  server.once("listening", () => {
    const unwatch = http1.watch(options.stallTimeoutMs, (socket) => {
      options.onConnectionError(
        Object.assign(new Error("the peer does not read"), { code: "ETIMEDOUT" }),
        socket,
      );
      socket.destroy();
    });
    server.once("close", unwatch);
  });
  // After an answer, `idleTimeoutMs` later. Node would close it even where that answer's request still comes.
  server.on("timeout", (socket: net.Socket) => {
    if (http1.of(socket).requests === 0) {
      socket.destroy();
    }
  });

  return {
    server,

    listen(host, port) {
      return new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen({ host, port, backlog: options.backlog }, () => {
          server.off("error", reject);
          resolve(server.address() as net.AddressInfo);
        });
      });
    },

    drain() {
      draining = true;
      for (const { response } of http1.all) {
        if (response?.headersSent === false) {
          response.setHeader("connection", "close");
        }
      }
      h2.drain();
      return new Promise((resolve) => {
        const drainingSince = performance.now();
        const tick = setInterval(() => {
          if (performance.now() - drainingSince >= DRAIN_LINGER_MS) {
            server.closeIdleConnections();
          }
        }, DRAIN_TICK_MS);
        // Not http.Server's own close: that cuts idle connections now, with requests on their way.
        net.Server.prototype.close.call(server, () => {
          clearInterval(tick);
          resolve();
        });
      });
    },

    destroy() {
      for (const socket of sockets) {
        socket.destroy();
      }
    },
  };
}

/** Takes over the event with which the HTTP/1.1 server starts on a connection, and hands HTTP/2's to the other half. */
function routeConnections(server: http.Server, h2: Http2, options: PortOptions): void {
  const event = options.tls === undefined ? "connection" : "secureConnection";
  const starters = server.listeners(event);
  server.removeAllListeners(event);
  const start = {
    h1: (socket: Duplex) => startAll(starters, server, socket),
    h2: (socket: Duplex) => h2.accept(socket),
  };
  server.on(event, (socket: net.Socket | TLSSocket) => {
    rememberAddress(socket);
    if ("alpnProtocol" in socket) {
      if (socket.alpnProtocol === "h2") {
        start.h2(socket);
      } else {
        start.h1(socket);
        readFromStream(socket);
      }
    } else {
      peek(socket, options, (protocol) => start[protocol](socket));
    }
  });
}

/** Has Node remember it for when the peer has left: the log names those too. */
function rememberAddress(socket: net.Socket): void {
  void socket.remoteAddress;
}

function startAll(starters: readonly unknown[], server: http.Server, socket: Duplex): void {
  for (const starter of starters) {
    if (typeof starter === "function") {
      starter.call(server, socket);
    }
  }
}
