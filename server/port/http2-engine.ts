import {
  CONNECTION_WINDOW_BYTES,
  ConnectionError,
  createServerConnection,
  ErrorCode,
  errorName,
  MAX_STREAM_BUFFERED_BYTES,
  type OnStream,
  type ServerConnection,
  STALL_BYTES,
  STREAM_WINDOW_BYTES,
} from "../../http2/index.ts";
import type { Http2, PortOptions } from "./options.ts";

/** HTTP/2 by the engine in `http2/`. Each call goes to `onStream`. */
export function createEngineHttp2(onStream: OnStream, options: PortOptions): Http2 {
  const connections = new Set<ServerConnection>();
  let draining = false;
  const settings = {
    maxConcurrentStreams: options.maxConcurrentStreams,
    maxHeaderListBytes: options.maxHeaderBytes,
    streamWindowBytes: options.streamWindowBytes ?? STREAM_WINDOW_BYTES,
    connectionWindowBytes: options.connectionWindowBytes ?? CONNECTION_WINDOW_BYTES,
    // The largest answer is written at once, with room for its trailers.
    maxStreamBufferedBytes: Math.max(MAX_STREAM_BUFFERED_BYTES, 2 * options.maxMessageBytes),
    stallBytes: Math.max(STALL_BYTES, 2 * options.maxMessageBytes),
    prefaceTimeoutMs: options.headerTimeoutMs,
    idleTimeoutMs: options.idleTimeoutMs,
    keepaliveMs: options.idleTimeoutMs,
    keepaliveTimeoutMs: options.pingTimeoutMs,
    stallTimeoutMs: options.stallTimeoutMs,
    unsent: options.unsent,
    onCallbackError: options.onDefect,
  };
  return {
    accept(socket) {
      const connection = createServerConnection(socket, settings, onStream);
      connections.add(connection);
      connection.onClose = (error) => {
        connections.delete(connection);
        // If the client is just gone, the log line of each call says so.
        if (error instanceof ConnectionError && error.code !== ErrorCode.CONNECT_ERROR) {
          options.onConnectionError(
            Object.assign(new Error(error.message), { code: errorName(error.code) }),
            socket,
          );
        }
      };
      if (draining) {
        void connection.drain();
      }
    },
    drain() {
      draining = true;
      for (const connection of connections) {
        void connection.drain();
      }
    },
  };
}
