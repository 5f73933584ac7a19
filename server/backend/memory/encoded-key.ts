import { randomBytes } from "node:crypto";

/**
 * The longest text that a loop encodes. Node's own encoder is faster for longer text, but its call
 * costs more.
 */
const SHORT_TEXT = 64;
const START_BYTES = 1024;

/**
 * The seed of every hash in this process. Without knowing it nobody can choose keys that collide.
 */
const SEED = new Int32Array(new Uint8Array(randomBytes(8)).buffer);

/**
 * The UTF-8 bytes of a key as four-byte words, padded with zeros, for hashing, comparing and
 * copying. Reuse one object: making it costs more than all that is done with it.
 */
export class EncodedKey {
  bytes = Buffer.alloc(START_BYTES);
  words = new Int32Array(this.bytes.buffer);
  /** The key's size in bytes. */
  length = 0;
  /** Whether every byte is one character. */
  ascii = true;

  /** The key's size in words; the last word may be padded. */
  get wordCount(): number {
    return (this.length + 3) >>> 2;
  }

  /** Encodes a text of any length. */
  encode(text: string): void {
    if (text.length <= SHORT_TEXT && this.#encodeAscii(text)) {
      return;
    }
    this.#reserve(text.length * 3);
    this.length = this.bytes.write(text, "utf8");
    this.ascii = this.length === text.length;
    this.bytes.fill(0, this.length, this.wordCount * 4);
  }

  /** Takes the bytes of a bound of keys, which may be no UTF-8. */
  copyBytes(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.length = bytes.length;
    this.ascii = false;
    this.bytes.set(bytes);
    this.bytes.fill(0, this.length, this.wordCount * 4);
  }

  /** Copies a key of `length` bytes from `words`, where it starts at `at`. */
  copyFrom(words: Int32Array, at: number, length: number, ascii: boolean): void {
    this.#reserve(length);
    this.length = length;
    this.ascii = ascii;
    const count = this.wordCount;
    for (let i = 0; i < count; i++) {
      this.words[i] = words[at + i] as number;
    }
  }

  #encodeAscii(text: string): boolean {
    const { length } = text;
    const { bytes } = this;
    this.words[length >>> 2] = 0;
    for (let i = 0; i < length; i++) {
      const char = text.charCodeAt(i);
      if (char > 0x7f) {
        return false;
      }
      bytes[i] = char;
    }
    this.length = length;
    this.ascii = true;
    return true;
  }

  #reserve(length: number): void {
    if (length + 4 <= this.bytes.length) {
      return;
    }
    this.bytes = Buffer.alloc((length * 2 + 3) & ~3);
    this.words = new Int32Array(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length >>> 2);
  }
}

/** A key's hash: 32 bits, signed. */
export type Hash = (key: EncodedKey) => number;

/**
 * HalfSipHash-1-3 with a seed of this process (github.com/veorq/SipHash). It reads words in the
 * machine's byte order.
 */
export const hashOf: Hash = (key) => {
  const { words, wordCount, length } = key;
  const k0 = SEED[0] ?? 0;
  const k1 = SEED[1] ?? 0;
  let v0 = k0;
  let v1 = k1;
  let v2 = k0 ^ 0x6c796765;
  let v3 = k1 ^ 0x74656462;
  // The length is the last word. Three final rounds follow it.
  for (let i = 0; i < wordCount + 4; i++) {
    const word = i < wordCount ? (words[i] as number) : i === wordCount ? length : 0;
    if (i === wordCount + 1) {
      v2 ^= 0xff;
    }
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return v1 ^ v3;
};
