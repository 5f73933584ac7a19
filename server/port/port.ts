import type http from "node:http";
import https from "node:https";
import net from "node:net";
import type { Duplex } from "node:stream";
import { createSecureContext, type TLSSocket } from "node:tls";
import { createHttp1, discard, readFromStream, refuse, secureOptions } from "./http1.ts";
import { type CountedResponse, Http1Connections } from "./http1-connection.ts";
import type { Http2, PortOptions, TlsMaterial } from "./options.ts";
import { peek } from "./peek.ts";
import { Peers } from "./peers.ts";

/** How often silent connections are checked while draining. */
const DRAIN_TICK_MS = 50;

/**
 * While draining, an idle HTTP/1.1 connection stays open this long, because a request may be on its
 * way.
 */
const DRAIN_LINGER_MS = 150;

/** How long a connection is silent before the kernel probes whether the peer is still there. */
const KEEP_ALIVE_MS = 60_000;

/** A TCP port that serves HTTP/1.1 and HTTP/2. */
export interface Port {
  /** The HTTP/1.1 server, which owns the listening socket. Fastify gets this one. */
  readonly server: http.Server;
  /** How many connections are open. */
  readonly connections: number;
  /**
   * Starts to listen and answers the address; port 0 takes a free one. Rejects with Node's own
   * error (`EADDRINUSE`).
   */
  listen(host: string, port: number): Promise<net.AddressInfo>;
  /**
   * Makes another certificate, key and authority ready for the handshakes to come, on a port with
   * TLS. Throws OpenSSL's error if they cannot be used. What it answers puts them in force.
   */
  renewTls(tls: TlsMaterial): () => void;
  /**
   * Takes no new connections and tells every client to open no new calls here. Resolves when the
   * last connection has ended its calls and is closed.
   */
  drain(): Promise<void>;
  /** Cuts all remaining connections. */
  destroy(): void;
}

/**
 * Makes the port without listening. `handler` gets HTTP/1.1 calls, `h2` gets HTTP/2 connections. On
 * plaintext the first bytes tell HTTP/2 (with prior knowledge) from HTTP/1.1; on TLS ALPN does.
 */
export function createPort(handler: http.RequestListener, h2: Http2, options: PortOptions): Port {
  const server = createHttp1(onRequest, options);
  const sockets = new Set<Duplex>();
  const http1 = new Http1Connections(handler, options.unsent);
  let draining = false;

  // Without `drop`, workers that are full would give a connection back and get it again, without
  // end. Node's types lack it.
  Object.assign(server, { maxConnections: options.maxConnections, dropMaxConnection: true });
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
      // It is gone already.
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
    // The kernel finds a peer that vanished silently.
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    socket.once("close", () => sockets.delete(socket));
    startAll(accept, server, socket);
  });

  server.on("clientError", (error: Error & { code?: string }, socket: Duplex) => {
    if (http1.of(socket).requests > 0) {
      // It closed within a request, whose call is answered and logged on its own.
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
    // The connection closed within the request. Whoever answers it knows by then, or does not read
    // it.
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

  // Measured by what the peer takes. The socket's own timer would never find a peer that keeps
  // sending.
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
  // `idleTimeoutMs` after an answer. Node would close it even while the request of that answer
  // still arrives.
  server.on("timeout", (socket: net.Socket) => {
    if (http1.of(socket).requests === 0) {
      socket.destroy();
    }
  });

  return {
    server,

    get connections() {
      return sockets.size;
    },

    listen(host, port) {
      return new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen({ host, port, backlog: options.backlog }, () => {
          server.off("error", reject);
          resolve(server.address() as net.AddressInfo);
        });
      });
    },

    renewTls(tls) {
      if (!(server instanceof https.Server)) {
        throw new TypeError("the port has no TLS");
      }
      const options = secureOptions(tls);
      createSecureContext(options);
      return () => server.setSecureContext(options);
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
        // Not http.Server's own close, which would cut idle connections now, while requests may be
        // on their way.
        net.Server.prototype.close.call(server, () => {
          clearInterval(tick);
          // Only that ends its timer for slow requests, which would hold the whole gateway.
          server.close();
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

/**
 * Intercepts the event with which the HTTP/1.1 server takes a connection, and passes HTTP/2
 * connections to the other half.
 */
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

/** Makes Node remember the address after the peer has left, so that the log can name it. */
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
