/** What {@link OpenCalls} stores in its items. */
export interface Indexed {
  /** The item's place in the collection; -1 = not in it. Only the collection changes it. */
  index: number;
}

/**
 * The open calls. Not a Set: V8 chains the tables of a Set that changes all the time. Once one of
 * them is old, the garbage collector keeps everything in the later ones until its next full run,
 * which cost JSON calls a third of their speed.
 */
export class OpenCalls<T extends Indexed> {
  readonly #items: T[] = [];

  /** The items, in no order. */
  get all(): readonly T[] {
    return this.#items;
  }

  add(item: T): void {
    item.index = this.#items.push(item) - 1;
  }

  /** Does nothing for an item that is not in it. */
  delete(item: T): void {
    if (item.index < 0) {
      return;
    }
    const last = this.#items.pop();
    if (last !== undefined && last !== item) {
      this.#items[item.index] = last;
      last.index = item.index;
    }
    item.index = -1;
  }
}
