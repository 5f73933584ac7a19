/** What an item of an {@link ExpiryHeap} keeps for it. */
export interface Expiring {
  /** Milliseconds since 1970. Changed only while the item is not in the heap, or through {@link ExpiryHeap.put}. */
  expiresAtMs: number;
  /** Where the heap holds the item; {@link NOT_IN_HEAP} = nowhere. Only the heap changes it. */
  heapIndex: number;
}

/** The `heapIndex` of an item that is in no heap. */
export const NOT_IN_HEAP = -1;

/**
 * A binary heap of items by expiry, soonest first. Each item knows its place, so a changed or withdrawn expiry moves or removes
 * that one item: the heap never holds two of one entry, and none that is out of date.
 */
export class ExpiryHeap<T extends Expiring> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** The item that expires first. */
  peek(): T | undefined {
    return this.#items[0];
  }

  /** Adds the item, or moves it to where its new expiry belongs. */
  put(item: T, expiresAtMs: number): void {
    item.expiresAtMs = expiresAtMs;
    if (item.heapIndex === NOT_IN_HEAP) item.heapIndex = this.#items.push(item) - 1;
    this.#settle(item);
  }

  /** Takes the item out; no effect where it is not in. */
  remove(item: T): void {
    const index = item.heapIndex;
    if (index === NOT_IN_HEAP) return;
    item.heapIndex = NOT_IN_HEAP;
    const last = this.#items.pop();
    if (last === undefined || last === item) return;
    this.#place(last, index);
    this.#settle(last);
  }

  #settle(item: T): void {
    this.#sift(item);
    this.#sink(item);
  }

  #sift(item: T): void {
    let index = item.heapIndex;
    while (index > 0) {
      const parent = this.#items[(index - 1) >> 1];
      if (parent === undefined || parent.expiresAtMs <= item.expiresAtMs) break;
      this.#place(parent, index);
      index = (index - 1) >> 1;
    }
    this.#place(item, index);
  }

  #sink(item: T): void {
    let index = item.heapIndex;
    for (;;) {
      const left = this.#items[2 * index + 1];
      const right = this.#items[2 * index + 2];
      const child = left && right && right.expiresAtMs < left.expiresAtMs ? right : left;
      if (child === undefined || child.expiresAtMs >= item.expiresAtMs) break;
      const below = child.heapIndex;
      this.#place(child, index);
      index = below;
    }
    this.#place(item, index);
  }

  #place(item: T, index: number): void {
    this.#items[index] = item;
    item.heapIndex = index;
  }
}
