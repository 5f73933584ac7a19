/** Owns the window of the whole connection for what the peer sends (RFC 9113 section 6.9). */
import { ConnectionError, ErrorCode } from "./errors.ts";
import { INITIAL_WINDOW_BYTES } from "./frame.ts";
import type { FrameWriter } from "./frame-writer.ts";

/**
 * What the peer may still send: DATA of all streams. The halves of the streams keep their own
 * windows.
 */
export class ReceiveWindows {
  /** The full window of one stream. */
  readonly streamBytes: number;
  readonly #connectionBytes: number;
  readonly #frames: FrameWriter;
  #left = INITIAL_WINDOW_BYTES;
  /** Bytes that were read, of which the peer has not been told yet. */
  #unannounced = 0;

  constructor(streamBytes: number, connectionBytes: number, frames: FrameWriter) {
    this.streamBytes = streamBytes;
    this.#connectionBytes = connectionBytes;
    this.#frames = frames;
  }

  /** Opens the window to its full size, which SETTINGS cannot do (section 6.9.2). */
  open(): void {
    const more = this.#connectionBytes - this.#left;
    if (more > 0) {
      this.#left += more;
      this.#frames.windowUpdate(0, more);
    }
  }

  /** DATA came. Throws ConnectionError where it is more than the window. */
  take(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) {
      throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the connection's window");
    }
  }

  /** DATA was read or dropped. The peer is told when half of the window is used. */
  give(bytes: number): void {
    this.#unannounced += bytes;
    if (this.#unannounced >= this.#connectionBytes / 2) {
      this.#left += this.#unannounced;
      this.#frames.windowUpdate(0, this.#unannounced);
      this.#unannounced = 0;
    }
  }

  /** Tells the peer that it may send so much more on one stream. */
  announce(streamId: number, bytes: number): void {
    this.#frames.windowUpdate(streamId, bytes);
  }
}
