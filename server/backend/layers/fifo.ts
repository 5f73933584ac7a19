/** An item of a {@link Fifo}. Only the queue changes its links. */
export abstract class Linked<T> {
  previous: T | undefined = undefined;
  next: T | undefined = undefined;
  /** Whether it is in its queue. */
  isQueued = false;
}

/** A queue whose items can leave it from any place, in constant time. An item is in one queue. */
export class Fifo<T extends Linked<T>> {
  #first: T | undefined;
  #last: T | undefined;

  /** The item that is in it for the longest time. */
  get first(): T | undefined {
    return this.#first;
  }

  /** Adds an item that is in no queue. */
  add(item: T): void {
    item.isQueued = true;
    item.previous = this.#last;
    if (this.#last === undefined) {
      this.#first = item;
    } else {
      this.#last.next = item;
    }
    this.#last = item;
  }

  /** Does nothing for an item that is not in it. */
  delete(item: T): void {
    if (!item.isQueued) {
      return;
    }
    const { previous, next } = item;
    if (previous === undefined) {
      this.#first = next;
    } else {
      previous.next = next;
    }
    if (next === undefined) {
      this.#last = previous;
    } else {
      next.previous = previous;
    }
    item.isQueued = false;
    item.previous = undefined;
    item.next = undefined;
  }
}
