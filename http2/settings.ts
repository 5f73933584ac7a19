/**
 * Owns what the peer said in its SETTINGS, and makes the SETTINGS that we send (RFC 9113 section
 * 6.5).
 */
import { ConnectionError, ErrorCode } from "./errors.ts";
import {
  INITIAL_WINDOW_BYTES,
  MAX_31_BITS,
  MAX_MAX_FRAME_BYTES,
  MIN_MAX_FRAME_BYTES,
  Setting,
} from "./frame.ts";
import type { HpackEncoder } from "./hpack-encoder.ts";
import type { Limits } from "./limits.ts";

/** Streams that we open before the server has said how many it takes. */
const FIRST_MAX_STREAMS = 100;

/** What the peer takes. */
export class PeerSettings {
  readonly #isClient: boolean;
  readonly #encoder: HpackEncoder;
  #seen = false;
  #maxStreams = FIRST_MAX_STREAMS;
  #initialWindow = INITIAL_WINDOW_BYTES;
  #maxFrameBytes = MIN_MAX_FRAME_BYTES;

  /** `isClient`: we are the client, and the peer is a server. */
  constructor(isClient: boolean, encoder: HpackEncoder) {
    this.#isClient = isClient;
    this.#encoder = encoder;
  }

  /** Streams that the peer lets us open. */
  get maxStreams(): number {
    return this.#maxStreams;
  }

  /** The window of a new stream. */
  get initialWindow(): number {
    return this.#initialWindow;
  }

  /** Payload of a frame. */
  get maxFrameBytes(): number {
    return this.#maxFrameBytes;
  }

  /**
   * Applies the payload of a SETTINGS frame; of values that are repeated the last one counts.
   * Returns by how much the windows of all open streams change. Throws ConnectionError for values
   * that are not allowed.
   */
  apply(bytes: Buffer, start: number, end: number): number {
    if (!this.#seen) {
      this.#seen = true;
      // A peer that does not say sets no limit (section 6.5.2).
      this.#maxStreams = MAX_31_BITS;
    }
    const windowBefore = this.#initialWindow;
    for (let at = start; at < end; at += 6) {
      this.#set(bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2));
    }
    return this.#initialWindow - windowBefore;
  }

  /** MAX_HEADER_LIST_SIZE is advice, and a setting that is not known is ignored (section 6.5.2). */
  #set(setting: number, value: number): void {
    switch (setting) {
      case Setting.HEADER_TABLE_SIZE:
        this.#encoder.setTableLimit(value);
        break;
      case Setting.ENABLE_PUSH:
        // A server may not say that it takes pushes.
        check(
          value === 0 || (value === 1 && !this.#isClient),
          ErrorCode.PROTOCOL_ERROR,
          "ENABLE_PUSH",
          value,
        );
        break;
      case Setting.MAX_CONCURRENT_STREAMS:
        this.#maxStreams = value;
        break;
      case Setting.INITIAL_WINDOW_SIZE:
        check(value <= MAX_31_BITS, ErrorCode.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE", value);
        this.#initialWindow = value;
        break;
      case Setting.MAX_FRAME_SIZE:
        check(
          value >= MIN_MAX_FRAME_BYTES && value <= MAX_MAX_FRAME_BYTES,
          ErrorCode.PROTOCOL_ERROR,
          "MAX_FRAME_SIZE",
          value,
        );
        this.#maxFrameBytes = value;
        break;
    }
  }
}

/** What we say in our SETTINGS. A client takes no streams of the server. */
export function ownSettings(
  limits: Limits,
  isClient: boolean,
): readonly (readonly [setting: number, value: number])[] {
  return [
    ...(isClient ? ([[Setting.ENABLE_PUSH, 0]] as const) : []),
    [Setting.HEADER_TABLE_SIZE, limits.headerTableBytes],
    [Setting.MAX_CONCURRENT_STREAMS, isClient ? 0 : limits.maxConcurrentStreams],
    [Setting.INITIAL_WINDOW_SIZE, limits.streamWindowBytes],
    [Setting.MAX_FRAME_SIZE, limits.maxFrameBytes],
    [Setting.MAX_HEADER_LIST_SIZE, limits.maxHeaderListBytes],
  ];
}

function check(holds: boolean, code: ErrorCode, name: string, value: number): void {
  if (!holds) {
    throw new ConnectionError(code, `${name} of ${value}`);
  }
}
