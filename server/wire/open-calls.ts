/** What {@link OpenCalls} keeps of its items. */
export interface Indexed {
  /** Where the collection has it; -1 = nowhere. Only the collection changes it. */
  index: number;
}

/**
 * The calls that are open. Not a Set: V8's tables of a Set that changes all the time form a chain, and once one of them is old
 * the garbage collector keeps all that the later ones held until its next full run, which cost JSON calls a third of their speed.
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

  /** No effect on an item that is not in. */
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
