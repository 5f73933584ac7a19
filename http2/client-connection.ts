/** Makes the client's end of a connection: a connection with the role of a client. */
import type { Duplex } from "node:stream";
import { ClientRole } from "./client-role.ts";
import { Connection, type ConnectionOptions, type UserConnection } from "./connection.ts";
import type { ErrorCode } from "./errors.ts";
import type { HeaderBlock } from "./hpack-encoder.ts";
import type { Stream } from "./stream.ts";

/**
 * Speaks HTTP/2 to a server on a connected socket. Throws RangeError for options that are out of
 * range.
 */
export function createClientConnection(socket: Duplex, options: ConnectionOptions): ClientConnection {
  return new ClientConnection(socket, options);
}

/** The client's end of a connection. */
export class ClientConnection implements UserConnection {
  /**
   * The server takes no new streams (RFC 9113 section 6.8): open the next ones elsewhere. Those
   * that it did not run close as `refused`.
   */
  onDraining: ((code: ErrorCode) => void) | undefined = undefined;
  /** There may be more of `freeStreams` than before. */
  onRoom: (() => void) | undefined = undefined;
  onClose: ((error: Error | undefined) => void) | undefined = undefined;
  readonly #connection: Connection<ClientRole>;

  constructor(socket: Duplex, options: ConnectionOptions) {
    const listener = {
      draining: (code: ErrorCode) => this.onDraining?.(code),
      room: () => this.onRoom?.(),
    };
    this.#connection = new Connection(
      socket,
      options,
      true,
      (connection) => new ClientRole(connection, listener),
    );
    this.#connection.onClose = (error) => this.onClose?.(error);
  }

  get socket(): Duplex {
    return this.#connection.socket;
  }

  get streamCount(): number {
    return this.#connection.streamCount;
  }

  get bufferedBytes(): number {
    return this.#connection.bufferedBytes;
  }

  get closing(): boolean {
    return this.#connection.closing;
  }

  get closed(): boolean {
    return this.#connection.closed;
  }

  /** Streams that could be opened now without waiting. */
  get freeStreams(): number {
    return this.#connection.role.freeStreams;
  }

  /**
   * Opens a stream; `end` or `endWith` completes it. `headers` is a block that comes again (it goes
   * into the dynamic table, RFC 7541 section 2.3.2), `more` what only this call has. While the
   * stream's id is 0 it waits for the server to take more, and what is written waits with it. Where
   * the connection takes no more, and where too many wait, the stream closes as `refused`, after
   * this turn.
   */
  request(headers: HeaderBlock, more?: HeaderBlock): Stream {
    return this.#connection.role.request(headers, more);
  }

  ping(): Promise<number | undefined> {
    return this.#connection.ping();
  }

  drain(): Promise<void> {
    return this.#connection.drain();
  }

  destroy(code?: ErrorCode): void {
    this.#connection.destroy(code);
  }
}
