const MIN_CAPACITY = 4;

/**
 * A double-ended queue in one circular array: both ends O(1), amortized. The array doubles when it
 * is full and halves when three quarters are free, so the memory of a burst is released.
 */
export class Ring<T> {
  /** Its length is a power of two, so that a mask wraps a position. */
  #slots: (T | undefined)[] = new Array<T | undefined>(MIN_CAPACITY).fill(undefined);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** All slots, used or free. */
  get capacity(): number {
    return this.#slots.length;
  }

  pushLeft(value: T): void {
    if (this.#length === this.#slots.length) {
      this.#resize(this.#length * 2);
    }
    this.#head = (this.#head - 1) & (this.#slots.length - 1);
    this.#slots[this.#head] = value;
    this.#length++;
  }

  pushRight(value: T): void {
    if (this.#length === this.#slots.length) {
      this.#resize(this.#length * 2);
    }
    this.#slots[(this.#head + this.#length) & (this.#slots.length - 1)] = value;
    this.#length++;
  }

  /** Takes the leftmost value; `undefined` = the ring is empty. */
  popLeft(): T | undefined {
    if (this.#length === 0) {
      return undefined;
    }
    const value = this.#take(this.#head);
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.#shrink();
    return value;
  }

  /** Takes the rightmost value; `undefined` = the ring is empty. */
  popRight(): T | undefined {
    if (this.#length === 0) {
      return undefined;
    }
    const value = this.#take((this.#head + this.#length - 1) & (this.#slots.length - 1));
    this.#shrink();
    return value;
  }

  /** Clears the slot, so that the ring does not keep the value alive. */
  #take(slot: number): T | undefined {
    const value = this.#slots[slot];
    this.#slots[slot] = undefined;
    this.#length--;
    return value;
  }

  #shrink(): void {
    const capacity = this.#slots.length;
    if (capacity > MIN_CAPACITY && this.#length <= capacity / 4) {
      this.#resize(capacity / 2);
    }
  }

  #resize(capacity: number): void {
    const slots = new Array<T | undefined>(capacity).fill(undefined);
    const mask = this.#slots.length - 1;
    for (let i = 0; i < this.#length; i++) {
      slots[i] = this.#slots[(this.#head + i) & mask];
    }
    this.#slots = slots;
    this.#head = 0;
  }
}
