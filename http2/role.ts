/**
 * What a server and a client do differently on a connection. Each connection is given one such
 * object.
 */
import type { ErrorCode } from "./errors.ts";
import type { HeaderList } from "./header-list.ts";
import type { Stream } from "./stream.ts";
import type { StreamRole } from "./stream-host.ts";

/** The part of a connection that knows which side it is. */
export interface Role extends StreamRole<Stream> {
  /** The highest stream of the peer that was taken; 0 = none, as in a client. */
  readonly lastPeerStreamId: number;
  /** Another chunk of the peer's is about to be read. */
  chunkBegins(): void;
  /** A header block that opens a stream or answers one; malformed and too large ones too. */
  headers(streamId: number, list: HeaderList, endStream: boolean): void;
  /** Whether a stream that is not open was never opened (RFC 9113 section 5.1, idle). */
  isIdle(streamId: number): boolean;
  /** The peer opens no more streams, and has not run ours above `lastStreamId` (section 6.8). */
  goaway(lastStreamId: number, code: ErrorCode): void;
  /** The first step of a drain. */
  drainBegins(): void;
  /** The connection is over, and its streams are being closed. */
  ended(): void;
  /** SETTINGS came: the peer may take more streams now. */
  settingsCame(): void;
  /** A stream closed, and there is room for another. */
  streamClosed(stream: Stream): void;
}
