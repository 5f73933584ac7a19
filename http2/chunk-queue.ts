/** Smaller chunks are copied together, so that single bytes do not cost an object each. */
const SMALL_BYTES = 1024;
const TAIL_BYTES = 4096;

/** Bytes that wait, first in, first out. Large chunks are kept by reference. */
export class ChunkQueue {
  bytes = 0;
  readonly #chunks: Buffer[] = [];
  #head = 0;
  /** The last chunk, while it has room for more: its buffer and how much of it is used. */
  #tail: Buffer | undefined;
  #tailUsed = 0;

  push(chunk: Buffer): void {
    if (chunk.length === 0) {
      return;
    }
    this.bytes += chunk.length;
    if (chunk.length >= SMALL_BYTES) {
      this.#seal();
      this.#chunks.push(chunk);
      return;
    }
    if (this.#tail === undefined || this.#tailUsed + chunk.length > TAIL_BYTES) {
      this.#seal();
      this.#tail = Buffer.allocUnsafe(TAIL_BYTES);
    }
    this.#tail.set(chunk, this.#tailUsed);
    this.#tailUsed += chunk.length;
  }

  /** Takes from the front, at most `maxBytes` (> 0). Never empty while `bytes` > 0. */
  shift(maxBytes: number): Buffer {
    if (this.#head === this.#chunks.length) {
      this.#seal();
    }
    const chunk = this.#chunks[this.#head];
    if (chunk === undefined) {
      return Buffer.alloc(0);
    }
    if (chunk.length > maxBytes) {
      this.#chunks[this.#head] = chunk.subarray(maxBytes);
      this.bytes -= maxBytes;
      return chunk.subarray(0, maxBytes);
    }
    this.bytes -= chunk.length;
    this.#head++;
    if (this.#head > 32 || this.#head === this.#chunks.length) {
      this.#chunks.splice(0, this.#head);
      this.#head = 0;
    }
    return chunk;
  }

  clear(): void {
    this.bytes = 0;
    this.#chunks.length = 0;
    this.#head = 0;
    this.#tail = undefined;
    this.#tailUsed = 0;
  }

  #seal(): void {
    if (this.#tail !== undefined) {
      this.#chunks.push(this.#tail.subarray(0, this.#tailUsed));
      this.#tail = undefined;
      this.#tailUsed = 0;
    }
  }
}

/** An empty queue that all streams share: most of them need none of their own. Put nothing in. */
export const NO_CHUNKS: ChunkQueue = new ChunkQueue();
