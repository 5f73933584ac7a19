/** Something that can be ended so that its bytes no longer wait. */
export interface Unsent {
  readonly bytes: number;
  /** When the peer last took some of them, by `performance.now()`. */
  readonly since: number;
  /** Ends it. The bytes of its holder are less when this returns. */
  readonly end: () => void;
}

/** Holds answers that a peer has not taken: mostly a connection. */
export interface UnsentHolder {
  /** What the budget has counted of it. Only the budget changes it. */
  countedBytes: number;
  /** What waits there now. */
  readonly unsentBytes: number;
  /** The parts that can be ended. */
  unsent(): Unsent[];
}

/** Told of what the budget does. */
export interface UnsentListener {
  /** `count` answers were ended, which held `bytes`. */
  readonly onEnded?: (count: number, bytes: number) => void;
  /** Many bytes do not wait any more, and are garbage a moment later. */
  readonly onFreed?: () => void;
}

/** Fewer freed bytes are not told. More are told once in this time. */
const FREED_BYTES = 64 * 1024 * 1024;
const FREED_EVERY_MS = 1000;

/** A new answer may end others only if they have not moved for this long. */
const STALLED_MS = 1000;

/** To look for such answers is a walk over all connections: it is done once in this time. */
const LOOK_EVERY_MS = 100;

/** Answers are ended down to this part of the budget, so that there is room for more than one. */
const RELIEVED_PART = 7 / 8;

/**
 * Owns the memory that answers of all connections share while they wait for their peers. Above it
 * the largest and oldest are ended, by bytes times age: peers that do not read give way to those
 * that do.
 */
export class UnsentBudget {
  readonly maxBytes: number;
  readonly #listener: UnsentListener;
  readonly #holders = new Set<UnsentHolder>();
  #countedBytes = 0;
  #freedBytes = 0;
  #freedTimer: NodeJS.Timeout | undefined = undefined;
  #relieving = false;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(maxBytes: number, listener: UnsentListener = {}) {
    this.maxBytes = maxBytes;
    this.#listener = listener;
  }

  /** The bytes that wait now, as far as their holders have told. */
  get bytes(): number {
    return this.#countedBytes;
  }

  /** Starts to count a holder, which calls `update` from now on, and `leave` at its end. */
  join(holder: UnsentHolder): void {
    this.#holders.add(holder);
  }

  leave(holder: UnsentHolder): void {
    this.#set(holder, 0);
    this.#holders.delete(holder);
  }

  /**
   * The holder has more than before, or less. Above the budget it may lose some before this
   * returns.
   */
  update(holder: UnsentHolder): void {
    if (this.#holders.has(holder)) {
      this.#set(holder, holder.unsentBytes);
      if (this.#countedBytes > this.maxBytes) {
        this.#relieve(this.maxBytes * RELIEVED_PART, 0);
      }
    }
  }

  /**
   * Whether there is room for an answer of this size. May end others that have not moved for a
   * while.
   */
  hasRoom(bytes: number): boolean {
    const now = performance.now();
    if (this.#countedBytes + bytes > this.maxBytes && now - this.#lookedAt >= LOOK_EVERY_MS) {
      this.#lookedAt = now;
      this.#relieve(Math.max(0, this.maxBytes * RELIEVED_PART - bytes), STALLED_MS);
    }
    return this.#countedBytes + bytes <= this.maxBytes;
  }

  /**
   * Ends the largest and oldest answers that have not moved for `minAgeMs`, until `targetBytes`
   * wait.
   */
  #relieve(targetBytes: number, minAgeMs: number): void {
    if (this.#relieving) {
      return;
    }
    this.#relieving = true;
    const now = performance.now();
    const candidates: { readonly unsent: Unsent; readonly weight: number }[] = [];
    for (const holder of this.#holders) {
      this.#set(holder, holder.unsentBytes);
      for (const unsent of holder.countedBytes > 0 ? holder.unsent() : []) {
        // One that a holder finds to have moved, now that it is asked, is no older than nothing.
        const ageMs = Math.max(0, now - unsent.since);
        if (ageMs >= minAgeMs) {
          // An answer of this millisecond weighs by its size.
          candidates.push({ unsent, weight: unsent.bytes * (ageMs + 1) });
        }
      }
    }
    candidates.sort((a, b) => b.weight - a.weight);
    const before = this.#countedBytes;
    let ended = 0;
    for (const { unsent } of candidates) {
      if (this.#countedBytes <= targetBytes) {
        break;
      }
      unsent.end();
      ended++;
    }
    this.#relieving = false;
    if (ended > 0) {
      this.#listener.onEnded?.(ended, before - this.#countedBytes);
    }
  }

  #set(holder: UnsentHolder, bytes: number): void {
    this.#countedBytes += bytes - holder.countedBytes;
    this.#freedBytes += Math.max(0, holder.countedBytes - bytes);
    holder.countedBytes = bytes;
    if (this.#freedBytes >= FREED_BYTES && this.#freedTimer === undefined) {
      this.#freedTimer = setTimeout(() => {
        this.#freedTimer = undefined;
        this.#freedBytes = 0;
        this.#listener.onFreed?.();
      }, FREED_EVERY_MS);
      this.#freedTimer.unref();
    }
  }
}
