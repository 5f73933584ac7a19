import net from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import tls from "node:tls";
import { Code, ConnectError } from "@connectrpc/connect";
import { type ClientConnection, createClientConnection } from "../../http2/index.ts";

/** A connection has to be there after this long, TLS included. */
const CONNECT_TIMEOUT_MS = 10_000;

/** The least and the longest wait after an attempt that failed; it doubles from one to the next. */
const MIN_BACKOFF_MS = 20;
const MAX_BACKOFF_MS = 1000;

/**
 * A connection without calls is closed after this long: well under the 300 s after which the gateway closes
 * it, because a call that is made at that very moment would have to be sent again.
 */
const IDLE_TIMEOUT_MS = 60_000;

/** A connection whose calls have been silent for this long is asked whether it still lives, and has so long to answer. */
const KEEPALIVE_MS = 60_000;
const KEEPALIVE_TIMEOUT_MS = 15_000;

/** More are made only while the others have as many calls as the server lets them. */
const MAX_CONNECTIONS = 8;

/** Where a channel goes to. */
export interface ChannelTarget {
  readonly host: string;
  readonly port: number;
  /** `undefined` = plaintext, HTTP/2 with prior knowledge. */
  readonly tls: tls.ConnectionOptions | undefined;
}

/**
 * The connections to one server, shared by all calls. They are made when calls need them, and do not keep the process alive
 * while no call is under way.
 */
export class Channel {
  readonly #target: ChannelTarget;
  /** Those that take calls; one that drains is let go. */
  readonly #connections = new Map<ClientConnection, net.Socket>();
  #attempt: Promise<ClientConnection> | undefined;
  #connecting: net.Socket | undefined;
  #calls = 0;
  #closed = false;
  #backoffMs = 0;
  #backoffUntilMs = 0;

  constructor(target: ChannelTarget) {
    this.#target = target;
  }

  /** A connection for a call, now; `undefined` = there is none: `connect` makes one. */
  ready(): ClientConnection | undefined {
    let crowded: ClientConnection | undefined;
    for (const connection of this.#connections.keys()) {
      if (connection.freeStreams > 0) {
        return connection;
      }
      // One that drains tells so a moment after it refused what it did not take.
      crowded = connection.closing ? crowded : connection;
    }
    if (crowded !== undefined && this.#connections.size < MAX_CONNECTIONS) {
      // For the next calls; this one may wait on the crowded one for as long.
      this.connect().catch(() => {});
    }
    return crowded;
  }

  /**
   * Makes a connection, or waits for the one that is being made. After a failure the next attempt waits, up to a second, and
   * its calls with it. Rejects with ConnectError `unavailable` where there is none to be had, `canceled` when closed.
   */
  connect(): Promise<ClientConnection> {
    if (this.#attempt === undefined) {
      this.#attempt = this.#open().finally(() => {
        this.#attempt = undefined;
        this.#connecting = undefined;
      });
    }
    return this.#attempt;
  }

  /** A call begins. */
  begin(): void {
    if (++this.#calls === 1) {
      for (const socket of this.#connections.values()) {
        socket.ref();
      }
    }
  }

  /** A call is over. */
  end(): void {
    if (--this.#calls === 0) {
      for (const socket of this.#connections.values()) {
        socket.unref();
      }
    }
  }

  /** Closes every connection as soon as its calls have ended; there are no more. */
  close(): void {
    this.#closed = true;
    this.#connecting?.destroy(canceled());
    for (const connection of this.#connections.keys()) {
      void connection.drain();
    }
  }

  async #open(): Promise<ClientConnection> {
    const waitMs = this.#backoffUntilMs - performance.now();
    if (waitMs > 0) {
      await delay(waitMs);
    }
    if (this.#closed) {
      throw canceled();
    }
    try {
      const socket = await this.#openSocket();
      return this.#adopt(socket);
    } catch (error) {
      this.#failed();
      throw error instanceof ConnectError ? error : unavailable(error);
    }
  }

  #openSocket(): Promise<net.Socket> {
    const { host, port, tls: secure } = this.#target;
    const socket =
      secure === undefined
        ? net.connect({ host, port })
        : tls.connect({
            host,
            port,
            ...(net.isIP(host) === 0 && { servername: host }),
            ...secure,
            ALPNProtocols: ["h2"],
          });
    this.#connecting = socket;
    return new Promise((resolve, reject) => {
      socket.setTimeout(CONNECT_TIMEOUT_MS, () =>
        socket.destroy(new Error(`no connection within ${CONNECT_TIMEOUT_MS} ms`)),
      );
      socket.once("error", reject);
      // Closed without a word, as by a server that wants a certificate.
      socket.once("close", () => reject(new Error("the server closed the connection")));
      socket.once(secure === undefined ? "connect" : "secureConnect", () => {
        if (socket instanceof tls.TLSSocket && socket.alpnProtocol !== "h2") {
          socket.destroy(new Error("the server does not speak HTTP/2"));
          return;
        }
        socket.setTimeout(0);
        socket.removeAllListeners("timeout").removeAllListeners("error").removeAllListeners("close");
        resolve(socket);
      });
    });
  }

  #adopt(socket: net.Socket): ClientConnection {
    socket.setNoDelay(true);
    const connection = createClientConnection(socket, {
      idleTimeoutMs: IDLE_TIMEOUT_MS,
      keepaliveMs: KEEPALIVE_MS,
      keepaliveTimeoutMs: KEEPALIVE_TIMEOUT_MS,
    });
    this.#connections.set(connection, socket);
    if (this.#calls === 0) {
      socket.unref();
    }
    connection.onDraining = () => this.#connections.delete(connection);
    const since = performance.now();
    connection.onClose = (error) => {
      this.#connections.delete(connection);
      // A server that takes connections and hangs up is one that is not there.
      if (error !== undefined && performance.now() - since < MAX_BACKOFF_MS) {
        this.#failed();
      } else {
        this.#backoffMs = 0;
      }
    };
    if (this.#closed) {
      void connection.drain();
    }
    return connection;
  }

  #failed(): void {
    this.#backoffMs = Math.min(MAX_BACKOFF_MS, Math.max(MIN_BACKOFF_MS, this.#backoffMs * 2));
    // Spread, so that the clients of a server that comes back do not all come at once.
    this.#backoffUntilMs = performance.now() + this.#backoffMs * (0.5 + Math.random() / 2);
  }
}

function canceled(): ConnectError {
  return new ConnectError("the client is closed", Code.Canceled);
}

function unavailable(error: unknown): ConnectError {
  const failure = new ConnectError(error instanceof Error ? error.message : String(error), Code.Unavailable);
  failure.cause = error;
  return failure;
}
