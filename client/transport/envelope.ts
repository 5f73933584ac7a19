import { Code, ConnectError } from "@connectrpc/connect";

/** Flags (one byte) and length (four) in front of a message. */
export const ENVELOPE_HEAD_BYTES = 5;

/** A message in its envelope. */
export function envelope(message: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(ENVELOPE_HEAD_BYTES + message.length);
  bytes[0] = 0;
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, ENVELOPE_HEAD_BYTES);
  return bytes;
}

/** Follows envelopes in bytes that others read, and knows whether the last one is whole. */
export class EnvelopeCheck {
  readonly #head = Buffer.alloc(ENVELOPE_HEAD_BYTES);
  #headBytes = 0;
  /** What is left of a message. */
  #left = 0;

  /** Nothing is cut: the last envelope is complete. */
  get whole(): boolean {
    return this.#headBytes === 0 && this.#left === 0;
  }

  push(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, chunk.length - at);
        this.#left -= taken;
        at += taken;
      } else {
        this.#head[this.#headBytes++] = chunk[at++] ?? 0;
        if (this.#headBytes === ENVELOPE_HEAD_BYTES) {
          this.#left = this.#head.readUInt32BE(1);
          this.#headBytes = 0;
        }
      }
    }
  }
}

/** A response ended inside of an envelope: the fault of the server, or of a proxy. */
export function incompleteEnvelope(): ConnectError {
  return new ConnectError("protocol error: incomplete envelope", Code.Internal);
}

/**
 * Takes messages out of their envelopes, however the bytes are cut into chunks. Each message is a
 * copy: a chunk is a view of a larger buffer, which a message that is kept would hold.
 */
export class EnvelopeReader {
  readonly #maxBytes: number;
  /** Put together only once a message is whole: each byte is moved at most twice. */
  #chunks: Buffer[] = [];
  /** Where the next envelope begins in the first chunk. */
  #at = 0;
  #bytes = 0;

  /** Throws, in `next`, for a message above `maxBytes`. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes that are not taken. */
  get bytes(): number {
    return this.#bytes;
  }

  push(chunk: Buffer): void {
    if (chunk.length > 0) {
      this.#chunks.push(chunk);
      this.#bytes += chunk.length;
    }
  }

  /** The next message; `undefined` = it is not whole yet. Throws ConnectError. */
  next(): Uint8Array | undefined {
    if (this.#bytes < ENVELOPE_HEAD_BYTES) {
      return undefined;
    }
    const length = this.#first(ENVELOPE_HEAD_BYTES).readUInt32BE(this.#at + 1);
    if (length > this.#maxBytes) {
      throw new ConnectError(
        `message size ${length} is larger than configured readMaxBytes ${this.#maxBytes}`,
        Code.ResourceExhausted,
      );
    }
    const total = ENVELOPE_HEAD_BYTES + length;
    if (this.#bytes < total) {
      return undefined;
    }
    const chunk = this.#first(total);
    const start = this.#at;
    if (chunk[start] !== 0) {
      throw new ConnectError("protocol error: a compressed message, and none was asked for", Code.Internal);
    }
    this.#at += total;
    this.#bytes -= total;
    if (this.#at === chunk.length) {
      this.#chunks.shift();
      this.#at = 0;
    }
    return Uint8Array.prototype.slice.call(chunk, start + ENVELOPE_HEAD_BYTES, start + total);
  }

  /** Makes the first chunk hold at least so many untaken bytes, which there must be. */
  #first(bytes: number): Buffer {
    const [first] = this.#chunks;
    if (first !== undefined && first.length - this.#at >= bytes) {
      return first;
    }
    const joined = Buffer.concat(this.#chunks).subarray(this.#at);
    this.#chunks = [joined];
    this.#at = 0;
    return joined;
  }
}
