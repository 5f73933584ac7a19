import type { Values } from "../backend/values.ts";
import { ENVELOPE_HEAD_BYTES } from "./wire-format.ts";

/**
 * A writer's first size. It doubles when it must, and keeps up to MAX_KEPT_BYTES for the next
 * message.
 */
const START_BYTES = 16 * 1024;
const MAX_KEPT_BYTES = 1024 * 1024;

/**
 * The most characters that a loop writes. Node's own encoder is faster for longer text, but its
 * call costs more.
 */
const SHORT_TEXT = 64;

const TWO_TO_32 = 0x1_0000_0000;

/**
 * Writes Protobuf's wire format (protobuf.dev/programming-guides/encoding) into one reused buffer.
 */
export class MessageWriter {
  #buffer = Buffer.allocUnsafeSlow(START_BYTES);
  #at = 0;

  /** Bytes written since the last `take`. */
  get length(): number {
    return this.#at;
  }

  /** Takes the written bytes and leaves the writer empty. */
  take(): Buffer {
    if (this.#buffer.length > MAX_KEPT_BYTES) {
      // A buffer this large is not kept.
      const taken = this.#buffer.subarray(0, this.#at);
      this.clear();
      return taken;
    }
    const copy = Buffer.allocUnsafe(this.#at);
    this.#buffer.copy(copy, 0, 0, this.#at);
    this.clear();
    return copy;
  }

  /** Drops the written bytes. */
  clear(): void {
    this.#at = 0;
    if (this.#buffer.length > MAX_KEPT_BYTES) {
      this.#buffer = Buffer.allocUnsafeSlow(START_BYTES);
    }
  }

  /**
   * Leaves room for the five bytes before a message in gRPC and Connect; `endEnvelope` fills them
   * in.
   */
  beginEnvelope(): number {
    this.#reserve(ENVELOPE_HEAD_BYTES);
    const start = this.#at;
    this.#at += ENVELOPE_HEAD_BYTES;
    return start;
  }

  endEnvelope(start: number, flags: number): void {
    this.#buffer[start] = flags;
    this.#buffer.writeUInt32BE(this.#at - start - ENVELOPE_HEAD_BYTES, start + 1);
  }

  /** Leaves room for the length of what follows; `finish` fills it in. */
  begin(): number {
    this.#reserve(1);
    return this.#at++;
  }

  finish(start: number): void {
    const length = this.#at - start - 1;
    if (length < 0x80) {
      this.#buffer[start] = length;
      return;
    }
    const extra = varintBytes(length) - 1;
    this.#reserve(extra);
    this.#buffer.copyWithin(start + 1 + extra, start + 1, this.#at);
    this.#at = start;
    this.varint(length);
    this.#at += length;
  }

  /** 0 to 2^53-1. */
  varint(value: number): void {
    if (this.#at + 10 > this.#buffer.length) {
      this.#reserve(10);
    }
    const buffer = this.#buffer;
    let at = this.#at;
    for (; value >= TWO_TO_32; value = Math.floor(value / 0x80)) {
      buffer[at++] = (value & 0x7f) | 0x80;
    }
    for (; value > 0x7f; value >>>= 7) {
      buffer[at++] = (value & 0x7f) | 0x80;
    }
    buffer[at++] = value;
    this.#at = at;
  }

  /** A negative one takes ten bytes, like one of 64 bits. */
  int32(value: number): void {
    if (value >= 0) {
      this.varint(value);
    } else {
      this.varint64(BigInt(value));
    }
  }

  /** Any integer of 64 bits, signed or not. */
  varint64(value: bigint): void {
    if (value >= 0n && value <= Number.MAX_SAFE_INTEGER) {
      this.varint(Number(value));
      return;
    }
    this.#reserve(10);
    let rest = BigInt.asUintN(64, value);
    for (; rest > 0x7fn; rest >>= 7n) {
      this.#buffer[this.#at++] = Number(rest & 0x7fn) | 0x80;
    }
    this.#buffer[this.#at++] = Number(rest);
  }

  fixed32(value: number): void {
    this.#reserve(4);
    this.#at = this.#buffer.writeUInt32LE(value, this.#at);
  }

  fixed64(value: bigint): void {
    this.#reserve(8);
    this.#at = this.#buffer.writeBigUInt64LE(BigInt.asUintN(64, value), this.#at);
  }

  float(value: number): void {
    this.#reserve(4);
    this.#at = this.#buffer.writeFloatLE(value, this.#at);
  }

  double(value: number): void {
    this.#reserve(8);
    this.#at = this.#buffer.writeDoubleLE(value, this.#at);
  }

  bytes(value: Uint8Array): void {
    this.varint(value.length);
    this.raw(value);
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#buffer.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** Writes one value of a page, of this many bytes. */
  value(values: Values, index: number, bytes: number): void {
    this.#reserve(bytes);
    values.copyTo(index, this.#buffer, this.#at);
    this.#at += bytes;
  }

  string(text: string): void {
    const { length } = text;
    if (length <= SHORT_TEXT && this.#ascii(text)) {
      return;
    }
    const bytes = Buffer.byteLength(text);
    this.varint(bytes);
    this.#reserve(bytes);
    this.#at += this.#buffer.write(text, this.#at, "utf8");
  }

  /**
   * Writes short ASCII text, as most keys are. False = it is not ASCII, and nothing was written.
   */
  #ascii(text: string): boolean {
    const { length } = text;
    this.#reserve(length + 1);
    const buffer = this.#buffer;
    let at = this.#at;
    buffer[at++] = length;
    for (let i = 0; i < length; i++) {
      const char = text.charCodeAt(i);
      if (char > 0x7f) {
        return false;
      }
      buffer[at++] = char;
    }
    this.#at = at;
    return true;
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, this.#at);
      this.#buffer = larger;
    }
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (; value >= 0x80; value = Math.floor(value / 0x80)) {
    bytes++;
  }
  return bytes;
}
