/** Puts a body together that comes in pieces; a body of single bytes costs no more memory than one of large chunks. */
export class BodyCollector {
  private readonly maxBytes: number;
  private buffer: Buffer = Buffer.alloc(0);
  private length = 0;

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes;
  }

  /** Copies the chunk; false = the body is longer than the bound. */
  add(chunk: Buffer): boolean {
    const total = this.length + chunk.length;
    if (total > this.maxBytes) {
      return false;
    }
    if (this.buffer.length < total) {
      const larger = Buffer.allocUnsafe(Math.min(total * 2, this.maxBytes));
      this.buffer.copy(larger, 0, 0, this.length);
      this.buffer = larger;
    }
    chunk.copy(this.buffer, this.length);
    this.length = total;
    return true;
  }

  take(): Buffer {
    return this.buffer.subarray(0, this.length);
  }
}
