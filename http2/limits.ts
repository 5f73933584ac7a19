import { MAX_31_BITS, MAX_MAX_FRAME_BYTES, MIN_MAX_FRAME_BYTES } from "./frame.ts";

/** A received header list: names, values, and 32 bytes for each field (RFC 9113 section 6.5.2). */
export const MAX_HEADER_LIST_BYTES = 16 * 1024;
/** The dynamic table of our decoder, and the most that our encoder uses of a peer's. */
export const HEADER_TABLE_BYTES = 4096;
/**
 * A compressed header block may be this many times the header list; a longer one ends the
 * connection.
 */
export const HEADER_BLOCK_FACTOR = 4;
/** CONTINUATION frames after one HEADERS frame. */
export const MAX_CONTINUATION_FRAMES = 16;
export const MAX_CONCURRENT_STREAMS = 1024;
/** Payload of a received frame. */
export const MAX_FRAME_BYTES = MIN_MAX_FRAME_BYTES;
/**
 * Body bytes that a peer may send on one stream, and on all, before they are read here. Collected
 * bytes count as read: `BodyBudget` bounds them.
 */
export const STREAM_WINDOW_BYTES = 1024 * 1024;
export const CONNECTION_WINDOW_BYTES = 4 * 1024 * 1024;
/** With more unsent bytes on one stream, `write` returns false. */
export const STREAM_HIGH_WATER_BYTES = 64 * 1024;
/**
 * With more unsent bytes a server's stream is reset: its writer ignores `false`, or one answer is
 * this large.
 */
export const MAX_STREAM_BUFFERED_BYTES = 32 * 1024 * 1024;
/** With more unsent bytes on all streams, further requests of a server wait. */
export const MAX_CONNECTION_BUFFERED_BYTES = 16 * 1024 * 1024;
/**
 * With no more unsent bytes on all streams, no stream is given up because its peer opens no window.
 */
export const STALL_BYTES = 4 * 1024 * 1024;
/**
 * Bytes in frames that wait for a peer which does not read its socket. Answers to PING cannot grow
 * above it.
 */
export const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
/** Frames a second that carry neither request nor body; see `control-budget.ts`. */
export const CONTROL_FRAMES_PER_SECOND = 1000;
/** Requests that wait in a client for a free stream. */
export const MAX_QUEUED_STREAMS = 10_000;
/** The time to receive preface and SETTINGS, and the time to receive a header block. */
export const PREFACE_TIMEOUT_MS = 10_000;
/** A connection without streams is closed after this time. */
export const IDLE_TIMEOUT_MS = 300_000;
/**
 * A socket that takes no bytes for this long is given up. So is a stream whose peer takes no bytes,
 * when more than STALL_BYTES wait. A peer that reads slowly may do so for as long as it likes.
 */
export const STALL_TIMEOUT_MS = 120_000;
/** A connection with streams that is silent for this long is pinged. */
export const KEEPALIVE_MS = 60_000;
/** The time to answer that ping. */
export const KEEPALIVE_TIMEOUT_MS = 20_000;
/** The time between the two GOAWAYs of a drain, if the PING is not answered. */
export const DRAIN_PING_TIMEOUT_MS = 1000;
/** The time for the peer to read our last frames and close its side, after we closed ours. */
export const LINGER_MS = 1000;

/**
 * Bounds of a connection. Each defaults to the constant of its name. Times in milliseconds, 0 =
 * never.
 */
export interface Limits {
  readonly maxHeaderListBytes: number;
  readonly headerTableBytes: number;
  readonly maxContinuationFrames: number;
  /** Streams that the peer may open; a client allows none. */
  readonly maxConcurrentStreams: number;
  readonly maxFrameBytes: number;
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  readonly streamHighWaterBytes: number;
  readonly maxStreamBufferedBytes: number;
  readonly maxConnectionBufferedBytes: number;
  readonly stallBytes: number;
  readonly maxOutputBytes: number;
  readonly controlFramesPerSecond: number;
  readonly maxQueuedStreams: number;
  readonly prefaceTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly stallTimeoutMs: number;
  readonly keepaliveMs: number;
  readonly keepaliveTimeoutMs: number;
  readonly drainPingTimeoutMs: number;
  readonly lingerMs: number;
}

/** The defaults, frozen. */
export const DEFAULT_LIMITS: Limits = Object.freeze({
  maxHeaderListBytes: MAX_HEADER_LIST_BYTES,
  headerTableBytes: HEADER_TABLE_BYTES,
  maxContinuationFrames: MAX_CONTINUATION_FRAMES,
  maxConcurrentStreams: MAX_CONCURRENT_STREAMS,
  maxFrameBytes: MAX_FRAME_BYTES,
  streamWindowBytes: STREAM_WINDOW_BYTES,
  connectionWindowBytes: CONNECTION_WINDOW_BYTES,
  streamHighWaterBytes: STREAM_HIGH_WATER_BYTES,
  maxStreamBufferedBytes: MAX_STREAM_BUFFERED_BYTES,
  maxConnectionBufferedBytes: MAX_CONNECTION_BUFFERED_BYTES,
  stallBytes: STALL_BYTES,
  maxOutputBytes: MAX_OUTPUT_BYTES,
  controlFramesPerSecond: CONTROL_FRAMES_PER_SECOND,
  maxQueuedStreams: MAX_QUEUED_STREAMS,
  prefaceTimeoutMs: PREFACE_TIMEOUT_MS,
  idleTimeoutMs: IDLE_TIMEOUT_MS,
  stallTimeoutMs: STALL_TIMEOUT_MS,
  keepaliveMs: KEEPALIVE_MS,
  keepaliveTimeoutMs: KEEPALIVE_TIMEOUT_MS,
  drainPingTimeoutMs: DRAIN_PING_TIMEOUT_MS,
  lingerMs: LINGER_MS,
});

/** Defaults where nothing is said. Throws RangeError for what no SETTINGS frame can say. */
export function resolveLimits(given: Partial<Limits>): Limits {
  const limits = { ...DEFAULT_LIMITS, ...given };
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isInteger(value) || value < 0 || value > MAX_31_BITS) {
      throw new RangeError(`${name} must be a whole number from 0 to ${MAX_31_BITS}, not ${value}`);
    }
  }
  if (limits.maxFrameBytes < MIN_MAX_FRAME_BYTES || limits.maxFrameBytes > MAX_MAX_FRAME_BYTES) {
    throw new RangeError(`maxFrameBytes must be from ${MIN_MAX_FRAME_BYTES} to ${MAX_MAX_FRAME_BYTES}`);
  }
  return Object.freeze(limits);
}
