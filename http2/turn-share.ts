/**
 * A connection may read for so long in one turn of the event loop, in milliseconds. The calls that
 * it starts go on after that: as long again on the direct path, some five times as long in a
 * framework.
 */
const SHARE_MS = 0.5;

/** The connections that have more to read, in the order of their turns. */
const waiting: TurnShare[] = [];

/**
 * One connection goes on in the next turn. A second immediate would be a second share in that turn.
 */
let scheduled = false;

function schedule(): void {
  if (!scheduled && waiting.length > 0) {
    scheduled = true;
    setImmediate(next);
  }
}

function next(): void {
  scheduled = false;
  waiting.shift()?.run();
  schedule();
}

/**
 * Owns how long a connection reads in one turn. A single read may bring work for seconds, during
 * which no other connection would be heard. So a connection stops when its share is used up, and
 * goes on in a later turn: one such connection in each turn.
 */
export class TurnShare {
  /** The share is used up: nothing is read until `goOn` is called. */
  waiting = false;
  #beganAt = 0;
  readonly #goOn: () => void;

  /** `goOn` is called in a later turn, once for each false of `goesOn`. */
  constructor(goOn: () => void) {
    this.#goOn = goOn;
  }

  /** The connection begins to read; `now` is `performance.now()`. */
  begin(now: number): void {
    this.#beganAt = now;
  }

  /** Whether there is some of the share left. */
  goesOn(): boolean {
    if (!this.waiting && performance.now() - this.#beganAt >= SHARE_MS) {
      this.waiting = true;
      waiting.push(this);
      schedule();
    }
    return !this.waiting;
  }

  /** For the queue. */
  run(): void {
    this.waiting = false;
    this.#goOn();
  }
}
