/** Takes a whole body; undefined = longer than the bound. */
export type OnWhole<S> = (stream: S, body: Buffer | undefined) => void;

/** Puts a body together that comes in pieces; a body of single bytes costs no more memory than one of large chunks. */
export class BodyCollector<S> {
  private readonly maxBytes: number;
  private readonly done: OnWhole<S>;
  private buffer: Buffer | undefined = undefined;
  private length = 0;
  private over = false;

  constructor(maxBytes: number, done: OnWhole<S>) {
    this.maxBytes = maxBytes;
    this.done = done;
  }

  /** Takes the next piece; calls `done`, once, with the last or with the one that is too much. */
  add(stream: S, chunk: Buffer, end: boolean): void {
    if (this.over) {
      return;
    }
    const total = this.length + chunk.length;
    if (total > this.maxBytes) {
      this.finish(stream, undefined);
    } else if (end && this.buffer === undefined) {
      // A body of one chunk, as most are, is not copied.
      this.finish(stream, chunk);
    } else {
      this.append(chunk, total);
      if (end) {
        this.finish(stream, this.buffer?.subarray(0, total));
      }
    }
  }

  private append(chunk: Buffer, total: number): void {
    if (this.buffer === undefined || this.buffer.length < total) {
      const larger = Buffer.allocUnsafe(Math.min(total * 2, this.maxBytes));
      this.buffer?.copy(larger, 0, 0, this.length);
      this.buffer = larger;
    }
    chunk.copy(this.buffer, this.length);
    this.length = total;
  }

  private finish(stream: S, body: Buffer | undefined): void {
    this.over = true;
    this.buffer = undefined;
    this.done(stream, body);
  }
}
