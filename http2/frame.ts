/** The fixed bytes that a client starts a connection with (RFC 9113 section 3.4). */
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/**
 * Every frame starts with 24 bits of length, 8 of type, 8 of flags, and 1 + 31 of stream id
 * (section 4.1).
 */
export const FRAME_HEAD_BYTES = 9;

/**
 * The frame size that every peer takes, and the least that SETTINGS_MAX_FRAME_SIZE may say (section
 * 4.2).
 */
export const MIN_MAX_FRAME_BYTES = 16_384;

/** The most that SETTINGS_MAX_FRAME_SIZE may say. */
export const MAX_MAX_FRAME_BYTES = 16_777_215;

/**
 * Where every flow-control window starts until SETTINGS or WINDOW_UPDATE move it (section 6.9.2).
 */
export const INITIAL_WINDOW_BYTES = 65_535;

/** No window may grow above it, and no stream has a higher id (sections 6.9.1 and 5.1.1). */
export const MAX_31_BITS = 0x7fff_ffff;

/** Frame types (section 6). */
export const FrameType = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

/** Frame flags (section 6); which ones mean something depends on the type. */
export const Flag = { END_STREAM: 0x1, ACK: 0x1, END_HEADERS: 0x4, PADDED: 0x8, PRIORITY: 0x20 } as const;

/** Parameters of a SETTINGS frame (section 6.5.2). */
export const Setting = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const;

/**
 * Writes the nine bytes in front of a payload of `length` bytes; returns where the payload starts.
 */
export function writeFrameHead(
  bytes: Uint8Array,
  at: number,
  length: number,
  type: number,
  flags: number,
  streamId: number,
): number {
  bytes[at] = length >>> 16;
  bytes[at + 1] = length >>> 8;
  bytes[at + 2] = length;
  bytes[at + 3] = type;
  bytes[at + 4] = flags;
  bytes[at + 5] = streamId >>> 24;
  bytes[at + 6] = streamId >>> 16;
  bytes[at + 7] = streamId >>> 8;
  bytes[at + 8] = streamId;
  return at + FRAME_HEAD_BYTES;
}
