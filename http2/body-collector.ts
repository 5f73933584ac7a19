/** Owns the memory that bodies share while they come in. A body of one chunk needs none. */
export class BodyBudget {
  readonly #maxBytes: number;
  #left: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#left = maxBytes;
  }

  /** The bytes that are taken now. */
  get bytes(): number {
    return this.#maxBytes - this.#left;
  }

  /** False = the budget has no room. */
  take(bytes: number): boolean {
    if (bytes > this.#left) {
      return false;
    }
    this.#left -= bytes;
    return true;
  }

  give(bytes: number): void {
    this.#left += bytes;
  }
}

/** Why there is no whole body: it is longer than its bound, or the budget has no room for it. */
export type NoBody = "too long" | "no room";

/** Takes a whole body. */
export type OnWhole<S> = (stream: S, body: Buffer | NoBody) => void;

/**
 * Puts the pieces of a body together. A body of single bytes costs no more memory than one of large
 * chunks.
 */
export class BodyCollector<S> {
  readonly #maxBytes: number;
  readonly #budget: BodyBudget | undefined;
  readonly #done: OnWhole<S>;
  #buffer: Buffer | undefined = undefined;
  #length = 0;
  #over = false;

  constructor(maxBytes: number, budget: BodyBudget | undefined, done: OnWhole<S>) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
    this.#done = done;
  }

  /**
   * Takes the next piece. Calls `done` once: with the last piece, or with the piece that is too
   * much.
   */
  add(stream: S, chunk: Buffer, end: boolean): void {
    if (this.#over) {
      return;
    }
    const total = this.#length + chunk.length;
    if (total > this.#maxBytes) {
      this.#finish(stream, "too long");
    } else if (end && this.#buffer === undefined) {
      // A body of one chunk, as most are, is not copied.
      this.#finish(stream, chunk);
    } else if (!this.#append(chunk, total)) {
      this.#finish(stream, "no room");
    } else if (end) {
      this.#finish(stream, (this.#buffer ?? chunk).subarray(0, total));
    }
  }

  /** The rest does not come: drops what there is. */
  abandon(): void {
    this.#over = true;
    this.#budget?.give(this.#buffer?.length ?? 0);
    this.#buffer = undefined;
  }

  /** False = the budget has no room. */
  #append(chunk: Buffer, total: number): boolean {
    const buffer = this.#buffer;
    if (buffer === undefined || buffer.length < total) {
      const size = Math.min(total * 2, this.#maxBytes);
      if (this.#budget?.take(size - (buffer?.length ?? 0)) === false) {
        return false;
      }
      this.#buffer = Buffer.allocUnsafe(size);
      buffer?.copy(this.#buffer, 0, 0, this.#length);
    }
    if (this.#buffer !== undefined) {
      chunk.copy(this.#buffer, this.#length);
    }
    this.#length = total;
    return true;
  }

  #finish(stream: S, body: Buffer | NoBody): void {
    this.abandon();
    this.#done(stream, body);
  }
}
