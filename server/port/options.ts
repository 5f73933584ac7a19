/** Certificate, key and (for client certificates) authority, as PEM. */
export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** With this, clients must present a certificate that it signed. */
  readonly clientCa: Buffer | undefined;
}

/** How a port is bounded. Times in milliseconds. */
export interface PortOptions {
  /** Without it the port is plaintext. */
  readonly tls: TlsMaterial | undefined;
  readonly maxConnections: number;
  readonly maxConcurrentStreams: number;
  readonly maxHeaderBytes: number;
  /** To send the first bytes, to finish the TLS handshake, and to send the headers of an HTTP/1.1 request. */
  readonly headerTimeoutMs: number;
  /** To send a whole HTTP/1.1 request; 0 = any time. */
  readonly requestTimeoutMs: number;
  /** After this long with nothing sent either way a connection is closed, or, with calls on it, pinged; 0 = never. */
  readonly idleTimeoutMs: number;
  /** Told of connections that broke off with an error: garbage, bad framing, a failed handshake, silence, one too many. */
  readonly onConnectionError: (error: Error & { code?: string }) => void;
}
