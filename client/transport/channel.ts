import net from "node:net";
import tls from "node:tls";
import { Code, ConnectError } from "@connectrpc/connect";
import { type ClientConnection, createClientConnection } from "../../http2/index.ts";
import { Deadlines } from "./deadlines.ts";
import { closedByServer, explainFailure, MisplacedError, noConnectionWithin } from "./failure.ts";
import { markNotRun } from "./not-run.ts";

/** The least wait after an attempt that failed; it doubles from one to the next. */
const MIN_BACKOFF_MS = 20;

/**
 * A connection without calls is closed after this time. The gateway closes it after 300 s, and a
 * call that is made at that moment would have to be sent again.
 */
const IDLE_TIMEOUT_MS = 60_000;

/** A connection with calls that is silent for this long is pinged, and has so long to answer. */
const KEEPALIVE_MS = 60_000;
const KEEPALIVE_TIMEOUT_MS = 15_000;

/** Where a channel goes to. */
export interface ChannelTarget {
  readonly host: string;
  readonly port: number;
  /** `undefined` = plaintext, HTTP/2 with prior knowledge. */
  readonly tls: tls.ConnectionOptions | undefined;
}

/** How a channel makes and keeps its connections. */
export interface ChannelOptions {
  /** A connection has to be there after so many milliseconds, TLS included. Default: 10,000. */
  readonly connectTimeoutMs?: number | undefined;
  /** The longest wait, in milliseconds, after an attempt that failed. Default: 1,000. */
  readonly maxBackoffMs?: number | undefined;
  /**
   * True: once an attempt has failed, calls fail at once until there is a connection, and attempts
   * go on without calls. Default: false, calls wait for the next attempt, which is made for them.
   */
  readonly failFast?: boolean | undefined;
  /** Called when there is a connection after there was none. */
  readonly onConnect?: (() => void) | undefined;
  /**
   * A further connection is made only while all others have as many calls as they may. Default: 8.
   */
  readonly maxConnections?: number | undefined;
  /** The most calls at the same time on one connection. Default: as many as the server takes. */
  readonly maxCallsPerConnection?: number | undefined;
  /**
   * What a server may send on one stream, and on all of a connection, before somebody reads it.
   * Default: the engine's own.
   */
  readonly streamWindowBytes?: number | undefined;
  readonly connectionWindowBytes?: number | undefined;
}

/** A call that wants a stream on a connection. */
export interface PendingCall {
  /** Here is a connection with room for the call. */
  connected(connection: ClientConnection): void;
  /** There will be no connection. No effect on a call that is over. */
  fail(error: ConnectError): void;
}

/**
 * The connections to one server, shared by all calls. They are made when calls need them, and do
 * not keep the process alive while no call is under way. When all are full, the next calls wait in
 * line.
 */
export class Channel {
  /** Those of its calls. */
  readonly deadlines = new Deadlines();
  /** `host:port` of the server. */
  readonly where: string;
  readonly #target: ChannelTarget;
  readonly #options: ChannelOptions;
  readonly #connectTimeoutMs: number;
  readonly #maxBackoffMs: number;
  /** The connections that take calls; one that drains is let go. */
  readonly #connections = new Map<ClientConnection, net.Socket>();
  /**
   * Calls in the order in which they came. Refused calls go first, so that none is refused for
   * ever.
   */
  readonly #refused = new Set<PendingCall>();
  readonly #waiting = new Set<PendingCall>();
  /** What the next connection waits for: the end of a pause, or its socket. */
  #attempt: NodeJS.Timeout | net.Socket | undefined;
  #calls = 0;
  #closed = false;
  #backoffMs = 0;
  #backoffUntilMs = 0;
  /** Why calls fail at once; `undefined` = they do not. */
  #failure: Error | undefined;

  constructor(target: ChannelTarget, options: ChannelOptions = {}) {
    const { host, port } = target;
    this.where = `${net.isIPv6(host) ? `[${host}]` : host}:${port}`;
    this.#target = target;
    this.#options = options;
    this.#connectTimeoutMs = options.connectTimeoutMs ?? 10_000;
    this.#maxBackoffMs = options.maxBackoffMs ?? 1000;
  }

  /** A call begins. */
  begin(): void {
    if (++this.#calls === 1) {
      this.#attempt?.ref();
      for (const socket of this.#connections.values()) {
        socket.ref();
      }
    }
  }

  /**
   * Gives the call a connection: now, or when there is one with room. After a failure the next
   * attempt waits up to a second, and the calls with it, unless they fail at once. Calls fail as
   * `unavailable` if there is no connection, and as `canceled` when the channel is closed. `again`:
   * the server has refused the call, which now goes before new ones.
   */
  acquire(caller: PendingCall, again = false): void {
    const isNext = this.#refused.size === 0 && (again || this.#waiting.size === 0);
    const connection = isNext ? this.#roomy() : undefined;
    if (connection !== undefined) {
      caller.connected(connection);
    } else if (this.#closed) {
      caller.fail(canceled());
    } else if (this.#failure !== undefined && this.#connections.size === 0) {
      caller.fail(unavailable(this.#failure));
    } else {
      (again ? this.#refused : this.#waiting).add(caller);
      this.#serve();
    }
  }

  /** A call is over. */
  end(caller: PendingCall): void {
    this.#refused.delete(caller);
    this.#waiting.delete(caller);
    if (--this.#calls === 0) {
      this.#attempt?.unref();
      for (const socket of this.#connections.values()) {
        socket.unref();
      }
    }
  }

  /** Closes every connection as soon as its calls have ended; there are no more. */
  close(): void {
    this.#closed = true;
    if (this.#attempt instanceof net.Socket) {
      this.#attempt.destroy();
    } else {
      clearTimeout(this.#attempt);
    }
    this.#attempt = undefined;
    this.#failWaiting(canceled());
    for (const connection of this.#connections.keys()) {
      void connection.drain();
    }
  }

  /** A connection with room for another call. */
  #roomy(): ClientConnection | undefined {
    const { maxCallsPerConnection = Number.POSITIVE_INFINITY } = this.#options;
    for (const connection of this.#connections.keys()) {
      if (connection.freeStreams > 0 && connection.streamCount < maxCallsPerConnection) {
        return connection;
      }
    }
    return undefined;
  }

  /**
   * Gives waiting calls the room that there is, and makes another connection if that is not enough.
   */
  #serve(): void {
    for (const line of [this.#refused, this.#waiting]) {
      for (const caller of line) {
        const connection = this.#roomy();
        if (connection === undefined) {
          this.#connect();
          return;
        }
        line.delete(caller);
        caller.connected(connection);
      }
    }
  }

  #failWaiting(error: ConnectError): void {
    for (const line of [this.#refused, this.#waiting]) {
      for (const caller of line) {
        line.delete(caller);
        caller.fail(error);
      }
    }
  }

  /** Makes one more connection, unless one is being made, or there are enough. */
  #connect(): void {
    const { maxConnections = 8 } = this.#options;
    if (this.#attempt !== undefined || this.#closed || this.#connections.size >= maxConnections) {
      return;
    }
    const waitMs = this.#backoffUntilMs - performance.now();
    if (waitMs > 0) {
      this.#attempt = setTimeout(() => {
        this.#attempt = undefined;
        this.#serve();
        this.#persist();
      }, waitMs);
    } else {
      this.#open();
    }
    if (this.#calls === 0) {
      this.#attempt?.unref();
    }
  }

  /** Goes on trying without waiting calls, since calls fail at once. */
  #persist(): void {
    if (this.#failure !== undefined && this.#connections.size === 0) {
      this.#connect();
    }
  }

  #open(): void {
    const { host, port, tls: secure } = this.#target;
    const { where } = this;
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
    this.#attempt = socket;
    const late = () => socket.destroy(noConnectionWithin(this.#connectTimeoutMs));
    // The socket closed without an error, as by a server that wants a certificate.
    const onClose = () => onError(closedByServer(where, secure !== undefined));
    // Without effect once the attempt is over.
    let greeting = "";
    const onError = (cause: Error) => {
      if (this.#attempt !== socket) {
        return;
      }
      this.#attempt = undefined;
      const error = explainFailure(cause, { socket, where, greeting });
      socket.destroy();
      this.#failed(error);
      // Else there are others to wait for.
      if (this.#connections.size === 0) {
        this.#failWaiting(unavailable(error));
      }
      this.#persist();
    };
    socket.setTimeout(this.#connectTimeoutMs).on("timeout", late).on("error", onError).on("close", onClose);
    socket.once(secure === undefined ? "connect" : "secureConnect", () => {
      if (socket instanceof tls.TLSSocket && socket.alpnProtocol !== "h2") {
        onError(new MisplacedError(`${where} speaks TLS, but not HTTP/2`));
        return;
      }
      if (secure === undefined) {
        socket.once("data", (chunk: Buffer) => {
          greeting = chunk.toString("latin1", 0, 8);
        });
      }
      this.#greet(socket, (error) => (error === undefined ? onClose() : onError(error)));
    });
  }

  /** Makes a socket a connection that calls can use: once the server has said how many it takes. */
  #greet(socket: net.Socket, closed: (error: Error | undefined) => void): void {
    socket.setNoDelay(true);
    const { streamWindowBytes, connectionWindowBytes } = this.#options;
    const connection = createClientConnection(socket, {
      ...(streamWindowBytes !== undefined && { streamWindowBytes }),
      ...(connectionWindowBytes !== undefined && { connectionWindowBytes }),
      idleTimeoutMs: IDLE_TIMEOUT_MS,
      keepaliveMs: KEEPALIVE_MS,
      keepaliveTimeoutMs: KEEPALIVE_TIMEOUT_MS,
    });
    connection.onClose = closed;
    connection.onRoom = () => {
      this.#attempt = undefined;
      socket.setTimeout(0);
      this.#adopt(connection, socket);
      this.#serve();
    };
  }

  #adopt(connection: ClientConnection, socket: net.Socket): void {
    this.#connections.set(connection, socket);
    this.#failure = undefined;
    if (this.#connections.size === 1) {
      this.#options.onConnect?.();
    }
    connection.onRoom = () => this.#serve();
    connection.onDraining = () => {
      this.#connections.delete(connection);
      this.#serve();
    };
    const since = performance.now();
    connection.onClose = (error) => {
      this.#connections.delete(connection);
      // A server that takes connections and hangs up counts as absent.
      if (error !== undefined && performance.now() - since < this.#maxBackoffMs) {
        this.#failed(error);
      } else {
        this.#backoffMs = 0;
      }
      this.#serve();
      this.#persist();
    };
  }

  #failed(error: Error): void {
    if (this.#options.failFast === true) {
      this.#failure = error;
    }
    this.#backoffMs = Math.min(this.#maxBackoffMs, Math.max(MIN_BACKOFF_MS, this.#backoffMs * 2));
    // Random, so that not all clients come at once when a server is back.
    this.#backoffUntilMs = performance.now() + this.#backoffMs * (0.5 + Math.random() / 2);
  }
}

function canceled(): ConnectError {
  return markNotRun(new ConnectError("the client is closed", Code.Canceled), "unsent");
}

function unavailable(error: unknown): ConnectError {
  const failure = new ConnectError(error instanceof Error ? error.message : String(error), Code.Unavailable);
  failure.cause = error;
  return markNotRun(failure, error instanceof MisplacedError ? "misplaced" : "unsent");
}
