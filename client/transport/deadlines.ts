/** A call whose time runs. */
export interface TimedCall {
  /** When its time is over, by the clock of `performance`. */
  readonly endMs: number;
  /** Its time is over. */
  late(): void;
}

/**
 * Ends the calls of one channel whose time is over. One timer serves all of them, because to start
 * and stop one for each call costs more than to keep a set of calls.
 */
export class Deadlines {
  readonly #calls = new Set<TimedCall>();
  #timer: NodeJS.Timeout | undefined;
  /** When the timer runs out; Infinity = there is none. */
  #wakeMs = Infinity;

  /** A call begins. */
  add(call: TimedCall): void {
    this.#calls.add(call);
    if (call.endMs < this.#wakeMs) {
      this.#wakeAt(call.endMs);
    }
  }

  /** A call is over. The timer stays for the next calls. */
  delete(call: TimedCall): void {
    this.#calls.delete(call);
  }

  #wakeAt(wakeMs: number): void {
    clearTimeout(this.#timer);
    this.#wakeMs = wakeMs;
    const ms = Math.max(1, Math.ceil(wakeMs - performance.now()));
    // What a call waits for keeps the process alive, and not its deadline.
    this.#timer = setTimeout(() => this.#wake(), ms).unref();
  }

  #wake(): void {
    this.#wakeMs = Infinity;
    const nowMs = performance.now();
    let nextMs = Infinity;
    for (const call of this.#calls) {
      if (call.endMs <= nowMs) {
        this.#calls.delete(call);
        call.late();
      } else {
        nextMs = Math.min(nextMs, call.endMs);
      }
    }
    if (nextMs < this.#wakeMs) {
      this.#wakeAt(nextMs);
    }
  }
}
