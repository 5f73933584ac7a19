import { ConnectionError, ErrorCode } from "./errors.ts";
import { FRAME_HEAD_BYTES, FrameType, MAX_31_BITS, PREFACE } from "./frame.ts";

/** Takes the frames of a connection one by one. */
export interface FrameSink {
  /**
   * The payload is `bytes` from `start` to `end`. The bytes may be kept, but not changed. False =
   * no more frames for now. Throws ConnectionError.
   */
  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): boolean;
}

/**
 * Owns how bytes become frames (RFC 9113 section 4.1). Only a frame that is split over chunks is
 * copied.
 */
export class FrameReader {
  readonly #maxFrameBytes: number;
  #prefaceLeft: number;
  #settingsDue = true;
  /**
   * The beginning of a frame that is not there whole: first only its head, then room for all of it.
   */
  #partial: Buffer | undefined;
  #partialBytes = 0;

  constructor(maxFrameBytes: number, expectPreface: boolean) {
    this.#maxFrameBytes = maxFrameBytes;
    this.#prefaceLeft = expectPreface ? PREFACE.length : 0;
  }

  /** The connection preface is complete: a peer's SETTINGS came (RFC 9113 section 3.4). */
  get started(): boolean {
    return !this.#settingsDue;
  }

  /**
   * Reads from `from` on, to the end of the chunk or until the sink wants no more. Returns how far
   * it has read. Throws ConnectionError where the bytes are not HTTP/2 or a frame is too large, and
   * what the sink throws.
   */
  push(chunk: Buffer, sink: FrameSink, from = 0): number {
    let at = from;
    if (this.#prefaceLeft > 0) {
      at += this.#readPreface(chunk);
    }
    while (at < chunk.length) {
      if (this.#partial !== undefined || chunk.length - at < FRAME_HEAD_BYTES) {
        at = this.#fill(chunk, at);
        const frame = this.#takePartial();
        if (frame !== undefined && !this.#deliver(frame, 0, frame.length, sink)) {
          return at;
        }
        continue;
      }
      const end = at + FRAME_HEAD_BYTES + this.#payloadBytes(chunk, at);
      if (end > chunk.length) {
        at = this.#fill(chunk, at);
      } else {
        const more = this.#deliver(chunk, at, end, sink);
        at = end;
        if (!more) {
          return at;
        }
      }
    }
    return at;
  }

  #readPreface(chunk: Buffer): number {
    const from = PREFACE.length - this.#prefaceLeft;
    const length = Math.min(this.#prefaceLeft, chunk.length);
    if (PREFACE.compare(chunk, 0, length, from, from + length) !== 0) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "not the preface of HTTP/2");
    }
    this.#prefaceLeft -= length;
    return length;
  }

  #deliver(bytes: Buffer, at: number, end: number, sink: FrameSink): boolean {
    const type = bytes.readUInt8(at + 3);
    const flags = bytes.readUInt8(at + 4);
    if (this.#settingsDue) {
      // RFC 9113 section 3.4: the first frame is SETTINGS, and not the acknowledgement of one.
      if (type !== FrameType.SETTINGS || (flags & 1) !== 0) {
        throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS");
      }
      this.#settingsDue = false;
    }
    const streamId = bytes.readUInt32BE(at + 5) & MAX_31_BITS;
    return sink.onFrame(type, flags, streamId, bytes, at + FRAME_HEAD_BYTES, end);
  }

  #payloadBytes(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at) >>> 8;
    if (length > this.#maxFrameBytes) {
      throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, `a frame of ${length} bytes`);
    }
    return length;
  }

  /** Copies towards the end of the head, or of the frame. Returns how far it has read. */
  #fill(chunk: Buffer, at: number): number {
    if (this.#partial === undefined) {
      this.#partial = Buffer.allocUnsafe(FRAME_HEAD_BYTES);
      this.#partialBytes = 0;
    }
    if (this.#partialBytes < FRAME_HEAD_BYTES) {
      at = this.#copy(chunk, at, FRAME_HEAD_BYTES);
      if (this.#partialBytes < FRAME_HEAD_BYTES) {
        return at;
      }
      const head = this.#partial;
      this.#partial = Buffer.allocUnsafe(FRAME_HEAD_BYTES + this.#payloadBytes(head, 0));
      this.#partial.set(head);
    }
    return this.#copy(chunk, at, this.#partial.length);
  }

  #copy(chunk: Buffer, at: number, goal: number): number {
    const end = Math.min(chunk.length, at + goal - this.#partialBytes);
    if (this.#partial !== undefined) {
      this.#partialBytes += chunk.copy(this.#partial, this.#partialBytes, at, end);
    }
    return end;
  }

  #takePartial(): Buffer | undefined {
    const partial = this.#partial;
    if (
      partial === undefined ||
      this.#partialBytes < FRAME_HEAD_BYTES ||
      this.#partialBytes < partial.length
    ) {
      return undefined;
    }
    this.#partial = undefined;
    return partial;
  }
}
