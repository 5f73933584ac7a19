/** The memory of answers that wait for their callers. */
export interface UnsentMemory {
  /** False = there is no room for an answer of this size now. */
  hasRoom(bytes: number): boolean;
}

/** One turn of the event loop makes this much of large answers, or one larger answer. */
const TURN_BYTES = 1024 * 1024;

/**
 * Spreads the making of large answers over turns of the event loop, in order of arrival. A hundred
 * of them made at once would keep all other callers waiting.
 */
export class LargeAnswers {
  readonly unsent: UnsentMemory;
  readonly #waiting: { readonly bytes: number; readonly go: () => void }[] = [];
  #madeBytes = 0;

  constructor(unsent: UnsentMemory) {
    this.unsent = unsent;
  }

  /** Resolves when an answer of this size may be made; `undefined` = now. */
  turn(bytes: number): Promise<void> | undefined {
    if (this.#madeBytes === 0) {
      setImmediate(() => this.#nextTurn());
    }
    if (this.#waiting.length === 0 && this.#fits(bytes)) {
      this.#madeBytes += bytes;
      return undefined;
    }
    return new Promise((go) => {
      this.#waiting.push({ bytes, go });
    });
  }

  #nextTurn(): void {
    this.#madeBytes = 0;
    for (let [next] = this.#waiting; next !== undefined && this.#fits(next.bytes); [next] = this.#waiting) {
      this.#waiting.shift();
      this.#madeBytes += next.bytes;
      next.go();
    }
    if (this.#madeBytes > 0) {
      setImmediate(() => this.#nextTurn());
    }
  }

  #fits(bytes: number): boolean {
    return this.#madeBytes === 0 || this.#madeBytes + bytes <= TURN_BYTES;
  }
}
