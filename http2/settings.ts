import { ConnectionError, ErrorCode } from "./errors.ts";
import { MAX_31_BITS, MAX_MAX_FRAME_BYTES, MIN_MAX_FRAME_BYTES, Setting } from "./frame.ts";
import type { Sender } from "./sender.ts";

/** Settings of a peer that are not the sender's. */
export interface PeerSettings {
  /** Streams that the peer lets us open. */
  peerMaxStreams: number;
  /** A server may not say that it takes pushes (RFC 9113 section 6.5.2). */
  readonly isClient: boolean;
}

/**
 * Applies the payload of a SETTINGS frame (section 6.5); of values that are repeated the last one counts. Returns by
 * how much the windows of all open streams change. Throws ConnectionError for values that are not allowed.
 */
export function applySettings(
  bytes: Buffer,
  start: number,
  end: number,
  peer: PeerSettings,
  sender: Sender,
): number {
  const windowBefore = sender.initialWindow;
  for (let at = start; at < end; at += 6) {
    const value = bytes.readUInt32BE(at + 2);
    switch (bytes.readUInt16BE(at)) {
      case Setting.HEADER_TABLE_SIZE:
        sender.encoder.setTableLimit(value);
        break;
      case Setting.ENABLE_PUSH:
        check(value === 0 || (value === 1 && !peer.isClient), ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH", value);
        break;
      case Setting.MAX_CONCURRENT_STREAMS:
        peer.peerMaxStreams = value;
        break;
      case Setting.INITIAL_WINDOW_SIZE:
        check(value <= MAX_31_BITS, ErrorCode.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE", value);
        sender.initialWindow = value;
        break;
      case Setting.MAX_FRAME_SIZE:
        check(
          value >= MIN_MAX_FRAME_BYTES && value <= MAX_MAX_FRAME_BYTES,
          ErrorCode.PROTOCOL_ERROR,
          "MAX_FRAME_SIZE",
          value,
        );
        sender.maxFrameBytes = value;
        break;
      // MAX_HEADER_LIST_SIZE is advice, and what is not known is ignored (section 6.5.2).
    }
  }
  return sender.initialWindow - windowBefore;
}

function check(holds: boolean, code: ErrorCode, name: string, value: number): void {
  if (!holds) {
    throw new ConnectionError(code, `${name} of ${value}`);
  }
}
