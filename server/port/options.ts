import type { Duplex } from "node:stream";
import type { UnsentBudget } from "../../http2/index.ts";

/** Certificate, key and (for client certificates) authority, as PEM. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  /** If present, clients must show a certificate that this authority signed. */
  readonly clientCa: string | undefined;
  /** True: clients may come without one too. Absent = false. */
  readonly optionalClientCerts?: boolean;
}

/** The bounds of a port. Times are in milliseconds. */
export interface PortOptions {
  /** `undefined` = plaintext. */
  readonly tls: TlsMaterial | undefined;
  readonly maxConnections: number;
  /** The connections that may wait to be accepted, as far as the kernel allows. */
  readonly backlog: number;
  /** The most connections of one address; 0 = only `maxConnections` counts. */
  readonly maxConnectionsPerPeer: number;
  readonly maxConcurrentStreams: number;
  readonly maxHeaderBytes: number;
  /** The largest message of a call, in either direction. */
  readonly maxMessageBytes: number;
  /** The most bytes of an HTTP/2 stream that no handler has read yet. Default: the engine's own. */
  readonly streamWindowBytes?: number;
  /**
   * The most bytes of all streams of an HTTP/2 connection that no handler has read yet. Default:
   * the engine's own.
   */
  readonly connectionWindowBytes?: number;
  /**
   * The time limit for the first bytes, for the TLS handshake, and for the headers of an HTTP/1.1
   * request.
   */
  readonly headerTimeoutMs: number;
  /** The time limit for a whole HTTP/1.1 request; 0 = none. */
  readonly requestTimeoutMs: number;
  /**
   * A connection that was silent for this long is closed; if it has calls it is pinged. 0 = never.
   */
  readonly idleTimeoutMs: number;
  /** How long an HTTP/2 peer may take to answer a ping before its connection counts as dead. */
  readonly pingTimeoutMs: number;
  /** How long a peer may take nothing of a waiting answer. */
  readonly stallTimeoutMs: number;
  /** The answers of all connections that wait for their peers. */
  readonly unsent: UnsentBudget;
  /**
   * Called for connections that end with an error: garbage, bad framing, a failed handshake,
   * silence, one too many. `socket` may know the peer's address.
   */
  readonly onConnectionError: (error: Error & { code?: string }, socket: object) => void;
  /** Called with what a handler of an HTTP/2 stream threw. The stream is reset. */
  readonly onDefect: (error: unknown) => void;
}

/** The HTTP/2 half of a port. The port keeps the sockets. */
export interface Http2 {
  /** Serves a connection whose first bytes or ALPN said HTTP/2. */
  accept(socket: Duplex): void;
  /**
   * Tells every client, now and later, to open no new calls here. Connections close as their calls
   * end.
   */
  drain(): void;
}
