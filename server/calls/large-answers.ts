/** Memory of the answers that wait for their callers. */
export interface UnsentMemory {
  /** False = an answer of this size finds none now. */
  hasRoom(bytes: number): boolean;
}

/** So much of large answers is made in one turn of the event loop, or one of them that is larger. */
const TURN_BYTES = 1024 * 1024;

/**
 * When large answers are made: a few in each turn of the event loop, in the order of coming. A hundred of them that are asked
 * for at once would else keep everybody waiting for as long as it takes to make them all.
 */
export class LargeAnswers {
  readonly unsent: UnsentMemory;
  readonly #waiting: { readonly bytes: number; readonly go: () => void }[] = [];
  #madeBytes = 0;

  constructor(unsent: UnsentMemory) {
    this.unsent = unsent;
  }

  /** Whose turn it is to make an answer of this size; `undefined` = now. */
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
