/**
 * Owns how frames are written: makes them in the output's buffers, with header blocks of this
 * connection.
 */
import type { ErrorCode } from "./errors.ts";
import { Flag, FRAME_HEAD_BYTES, FrameType, writeFrameHead } from "./frame.ts";
import type { EncodedHeaders, HeaderBlock, HpackEncoder } from "./hpack-encoder.ts";
import { type Output, REFERENCE_BYTES } from "./output.ts";
import type { PeerSettings } from "./settings.ts";

const EMPTY = Buffer.alloc(0);

/** A larger answer goes out as frames of its own, its body by reference. */
const MAX_COPY_BYTES = 16 * 1024;

/** Writes each frame at once; what DATA may be sent is the sender's matter. */
export class FrameWriter {
  readonly #output: Output;
  readonly #encoder: HpackEncoder;
  readonly #peer: PeerSettings;
  #closed = false;

  constructor(output: Output, encoder: HpackEncoder, peer: PeerSettings) {
    this.#output = output;
    this.#encoder = encoder;
    this.#peer = peer;
  }

  /** The last GOAWAY is out: windows and resets are not written any more. */
  close(): void {
    this.#closed = true;
  }

  /** HEADERS, and CONTINUATION where one frame has no room (RFC 9113 sections 6.2 and 6.10). */
  headers(streamId: number, bytes: Buffer, endStream: boolean): void {
    const prefix = this.#encoder.takePrefix();
    const block = prefix.length === 0 ? bytes : Buffer.concat([prefix, bytes]);
    const flags = endStream ? Flag.END_STREAM : 0;
    const { maxFrameBytes } = this.#peer;
    if (block.length <= maxFrameBytes) {
      this.#frame(FrameType.HEADERS, flags | Flag.END_HEADERS, streamId, block);
      return;
    }
    this.#frame(FrameType.HEADERS, flags, streamId, block.subarray(0, maxFrameBytes));
    for (let at = maxFrameBytes; at < block.length; at += maxFrameBytes) {
      const end = at + maxFrameBytes;
      const last = end >= block.length ? Flag.END_HEADERS : 0;
      this.#frame(FrameType.CONTINUATION, last, streamId, block.subarray(at, end));
    }
  }

  /**
   * HEADERS of a request: `base` comes again and uses the dynamic table, `more` is of this call
   * alone.
   */
  request(streamId: number, base: HeaderBlock, more: EncodedHeaders | undefined): void {
    const encoder = this.#encoder;
    const output = this.#output;
    if (encoder.hasPrefix) {
      const prefix = encoder.takePrefix();
      this.headers(streamId, Buffer.concat([prefix, encoder.encode(base), more?.bytes ?? EMPTY]), false);
      return;
    }
    const first = encoder.encode(base);
    const second = more?.bytes ?? EMPTY;
    const length = first.length + second.length;
    if (length > this.#peer.maxFrameBytes) {
      this.headers(streamId, Buffer.concat([first, second]), false);
      return;
    }
    let at = output.reserve(FRAME_HEAD_BYTES + length);
    at = writeFrameHead(output.bytes, at, length, FrameType.HEADERS, Flag.END_HEADERS, streamId);
    output.bytes.set(first, at);
    output.bytes.set(second, at + first.length);
  }

  /**
   * A whole answer in one piece. False = nothing was written, because not all of it fits its
   * frames.
   */
  answer(
    streamId: number,
    { bytes: head }: EncodedHeaders,
    data: Uint8Array,
    trailers: EncodedHeaders | undefined,
  ): boolean {
    const { length } = data;
    const { maxFrameBytes } = this.#peer;
    const tail = trailers?.bytes;
    if (
      length > maxFrameBytes ||
      length > MAX_COPY_BYTES ||
      head.length > maxFrameBytes ||
      (tail !== undefined && tail.length > maxFrameBytes) ||
      this.#encoder.hasPrefix
    ) {
      return false;
    }
    const tailBytes = tail === undefined ? 0 : FRAME_HEAD_BYTES + tail.length;
    let at = this.#output.reserve(2 * FRAME_HEAD_BYTES + head.length + length + tailBytes);
    const { bytes } = this.#output;
    at = writeFrameHead(bytes, at, head.length, FrameType.HEADERS, Flag.END_HEADERS, streamId);
    bytes.set(head, at);
    at += head.length;
    const dataFlags = tail === undefined ? Flag.END_STREAM : 0;
    at = writeFrameHead(bytes, at, length, FrameType.DATA, dataFlags, streamId);
    bytes.set(data, at);
    at += length;
    if (tail !== undefined) {
      const tailFlags = Flag.END_HEADERS | Flag.END_STREAM;
      at = writeFrameHead(bytes, at, tail.length, FrameType.HEADERS, tailFlags, streamId);
      bytes.set(tail, at);
    }
    return true;
  }

  data(streamId: number, data: Uint8Array, endStream: boolean): void {
    this.#frame(FrameType.DATA, endStream ? Flag.END_STREAM : 0, streamId, data);
  }

  /** Stream 0 is the connection. */
  windowUpdate(streamId: number, bytes: number): void {
    this.#numberFrame(FrameType.WINDOW_UPDATE, streamId, bytes);
  }

  rstStream(streamId: number, code: ErrorCode): void {
    this.#numberFrame(FrameType.RST_STREAM, streamId, code);
  }

  ping(payload: Uint8Array, ack: boolean): void {
    this.#frame(FrameType.PING, ack ? Flag.ACK : 0, 0, payload);
  }

  settings(values: readonly (readonly [setting: number, value: number])[]): void {
    const payload = Buffer.alloc(values.length * 6);
    for (const [i, [setting, value]] of values.entries()) {
      payload.writeUInt16BE(setting, i * 6);
      payload.writeUInt32BE(value, i * 6 + 2);
    }
    this.#frame(FrameType.SETTINGS, 0, 0, payload);
  }

  settingsAck(): void {
    this.#frame(FrameType.SETTINGS, Flag.ACK, 0, EMPTY);
  }

  goaway(lastStreamId: number, code: ErrorCode, reason: string): void {
    const payload = Buffer.alloc(8 + Buffer.byteLength(reason));
    payload.writeUInt32BE(lastStreamId, 0);
    payload.writeUInt32BE(code, 4);
    payload.write(reason, 8);
    this.#frame(FrameType.GOAWAY, 0, 0, payload);
  }

  #frame(type: number, flags: number, streamId: number, payload: Uint8Array): void {
    const output = this.#output;
    const { length } = payload;
    const together = length < REFERENCE_BYTES;
    const at = output.reserve(FRAME_HEAD_BYTES + (together ? length : 0));
    const body = writeFrameHead(output.bytes, at, length, type, flags, streamId);
    if (together) {
      output.bytes.set(payload, body);
    } else {
      output.append(payload);
    }
  }

  /** A frame whose payload is one number. */
  #numberFrame(type: number, streamId: number, value: number): void {
    if (this.#closed) {
      return;
    }
    const output = this.#output;
    const at = output.reserve(FRAME_HEAD_BYTES + 4);
    output.bytes.writeUInt32BE(value, writeFrameHead(output.bytes, at, 4, type, 0, streamId));
  }
}
