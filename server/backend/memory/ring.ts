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

  /** The value in a place, 0 = the leftmost; `undefined` = there is no such place. */
  at(place: number): T | undefined {
    return place < this.#length ? this.#slots[this.#slotOf(place)] : undefined;
  }

  /** Replaces the value in a place, which must exist. */
  put(place: number, value: T): void {
    this.#slots[this.#slotOf(place)] = value;
  }

  /** Adds a value so that it has this place, 0 to the length. Moves the shorter side. */
  insert(place: number, value: T): void {
    if (place < this.#length / 2) {
      this.pushLeft(value);
      for (let at = 0; at < place; at++) {
        this.#copy(at + 1, at);
      }
    } else {
      this.pushRight(value);
      for (let at = this.#length - 1; at > place; at--) {
        this.#copy(at - 1, at);
      }
    }
    this.put(place, value);
  }

  /** Keeps the values from `first` (included) to `end` (excluded). */
  keep(first: number, end: number): void {
    for (let at = 0; at < first; at++) {
      this.#slots[this.#slotOf(at)] = undefined;
    }
    this.#clearFrom(end);
    this.#head = this.#slotOf(first);
    this.#length -= first;
    this.#shrink();
  }

  /**
   * Removes the first `max` values that match, from the left or from the right. Answers how many
   * there were.
   */
  remove(matches: (value: T) => boolean, max: number, fromLeft: boolean): number {
    let removed = 0;
    const last = this.#length - 1;
    for (let i = 0; i <= last; i++) {
      const at = fromLeft ? i : last - i;
      const value = this.#slots[this.#slotOf(at)];
      if (removed < max && value !== undefined && matches(value)) {
        removed++;
      } else if (removed > 0) {
        this.#copy(at, fromLeft ? at - removed : at + removed);
      }
    }
    if (fromLeft) {
      this.keep(0, this.#length - removed);
    } else {
      this.keep(removed, this.#length);
    }
    return removed;
  }

  #slotOf(place: number): number {
    return (this.#head + place) & (this.#slots.length - 1);
  }

  #copy(from: number, to: number): void {
    this.#slots[this.#slotOf(to)] = this.#slots[this.#slotOf(from)];
  }

  #clearFrom(end: number): void {
    for (let at = end; at < this.#length; at++) {
      this.#slots[this.#slotOf(at)] = undefined;
    }
    this.#length = end;
  }

  /** Clears the slot, so that the ring does not keep the value alive. */
  #take(slot: number): T | undefined {
    const value = this.#slots[slot];
    this.#slots[slot] = undefined;
    this.#length--;
    return value;
  }

  #shrink(): void {
    let capacity = this.#slots.length;
    while (capacity > MIN_CAPACITY && this.#length <= capacity / 4) {
      capacity /= 2;
    }
    if (capacity < this.#slots.length) {
      this.#resize(capacity);
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
