import type { Duplex } from "node:stream";
import type { UnsentBudget } from "../../http2/index.ts";

/** Certificate, key and (for client certificates) authority, as PEM. */
export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  /** With this, clients must present a certificate that it signed. */
  readonly clientCa: string | undefined;
}

/** How a port is bounded. Times in milliseconds. */
export interface PortOptions {
  /** Without it the port is plaintext. */
  readonly tls: TlsMaterial | undefined;
  readonly maxConnections: number;
  /** Connections that wait to be accepted, as far as the kernel allows so many. */
  readonly backlog: number;
  /** The most connections of one address; 0 = only `maxConnections` counts. */
  readonly maxConnectionsPerPeer: number;
  readonly maxConcurrentStreams: number;
  readonly maxHeaderBytes: number;
  /** The largest message that a call can have, either way. */
  readonly maxMessageBytes: number;
  /** What an HTTP/2 stream may have sent that no handler has read. Default: the engine's own. */
  readonly streamWindowBytes?: number;
  /**
   * What all streams of an HTTP/2 connection may have sent that no handler has read. Default: the
   * engine's own.
   */
  readonly connectionWindowBytes?: number;
  /**
   * The time to send the first bytes, to finish the TLS handshake, and to send the headers of an
   * HTTP/1.1 request.
   */
  readonly headerTimeoutMs: number;
  /** The time to send a whole HTTP/1.1 request; 0 = any time. */
  readonly requestTimeoutMs: number;
  /**
   * When nothing was sent either way for this long, a connection is closed; one with calls is
   * pinged. 0 = never.
   */
  readonly idleTimeoutMs: number;
  /** How long an HTTP/2 peer has to answer that ping before its connection counts as dead. */
  readonly pingTimeoutMs: number;
  /** How long a peer may take nothing of an answer that waits for it. */
  readonly stallTimeoutMs: number;
  /** Answers of all connections that wait for their peers. */
  readonly unsent: UnsentBudget;
  /**
   * Told of connections that broke off with an error: garbage, bad framing, a failed handshake,
   * silence, one too many. `socket` may know the peer's address.
   */
  readonly onConnectionError: (error: Error & { code?: string }, socket: object) => void;
  /** Told what a handler of an HTTP/2 stream threw; the stream is reset. */
  readonly onDefect: (error: unknown) => void;
}

/** The HTTP/2 half of a port. The sockets stay the port's. */
export interface Http2 {
  /** Serves a connection whose first bytes, or ALPN, said HTTP/2. */
  accept(socket: Duplex): void;
  /**
   * Tells every client, now and later, to open no new calls here; connections close as their calls
   * end.
   */
  drain(): void;
}
