/**
 * So long a connection may read in one turn of the event loop, in milliseconds. What it starts goes on behind that: for a call on the
 * direct path as long again, for one that a framework answers some five times as long.
 */
const SHARE_MS = 0.5;

/** The connections that have more to read, in the order in which they go on. */
const waiting: TurnShare[] = [];

/** One of them goes on in the next turn: another immediate would be another share for each. */
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
 * The share of a turn that a connection has. What one brings in a single read may be work for seconds: it would keep all others from
 * being heard. So a connection stops reading when its share is used up, and goes on in a later turn: one such connection in each.
 */
export class TurnShare {
  /** It goes on by itself; until then nothing is to be read. */
  waiting = false;
  #beganAt = 0;
  readonly #goOn: () => void;

  /** `goOn` is called in a later turn, once for each false of `goesOn`. */
  constructor(goOn: () => void) {
    this.#goOn = goOn;
  }

  /** It begins to read; `now` is `performance.now()`. */
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
