/** A full chunk is split. An insert moves at most this many places, and as many chunks. */
const MAX_CHUNK = 512;

/** Neighbours with no more items together are joined. */
const JOINED_CHUNK = MAX_CHUNK / 2;

/**
 * Where a sought place is, seen from an item: negative = the item is before it, 0 = the item is at
 * it, positive = the item is after it.
 */
export type Place<T> = (item: T) => number;

/** Items in order, in chunks: an item among a million is found, added or removed quickly. */
export class SortedChunks<T> {
  readonly #chunks: T[][] = [];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** The item at the place. `undefined` = there is none. */
  get(place: Place<T>): T | undefined {
    const [chunk, at] = this.#find(place);
    const item = this.#chunks[chunk]?.[at];
    return item !== undefined && place(item) === 0 ? item : undefined;
  }

  /** The first of all. `undefined` = there is none. */
  first(): T | undefined {
    return this.#chunks[0]?.[0];
  }

  /** The last of all. `undefined` = there is none. */
  last(): T | undefined {
    return this.#chunks.at(-1)?.at(-1);
  }

  /** Adds an item at its own place, where there must be none. */
  add(item: T, place: Place<T>): void {
    this.#size++;
    const [found, at] = this.#find(place);
    // Past all items: the last chunk takes it.
    const number = Math.min(found, this.#chunks.length - 1);
    const chunk = this.#chunks[number];
    if (chunk === undefined) {
      this.#chunks.push([item]);
      return;
    }
    chunk.splice(found === number ? at : chunk.length, 0, item);
    if (chunk.length > MAX_CHUNK) {
      this.#chunks.splice(number + 1, 0, chunk.splice(chunk.length / 2));
    }
  }

  /** Removes the item at the place and gives it back. `undefined` = there is none. */
  remove(place: Place<T>): T | undefined {
    const [number, at] = this.#find(place);
    const chunk = this.#chunks[number];
    const item = chunk?.[at];
    if (chunk === undefined || item === undefined || place(item) !== 0) {
      return undefined;
    }
    this.#size--;
    chunk.splice(at, 1);
    const next = this.#chunks[number + 1];
    if (chunk.length === 0) {
      this.#chunks.splice(number, 1);
    } else if (next !== undefined && chunk.length + next.length <= JOINED_CHUNK) {
      chunk.push(...next);
      this.#chunks.splice(number + 1, 1);
    }
    return item;
  }

  /** The items from the place on, in order. They must not change meanwhile. */
  *from(place: Place<T>): Generator<T, undefined> {
    let [number, at] = this.#find(place);
    for (let chunk = this.#chunks[number]; chunk !== undefined; chunk = this.#chunks[++number]) {
      for (; at < chunk.length; at++) {
        const item = chunk[at];
        if (item !== undefined) {
          yield item;
        }
      }
      at = 0;
    }
  }

  /** The first item that is not before the place: its chunk, and where in it. */
  #find(place: Place<T>): [chunk: number, at: number] {
    const number = firstNotBefore(this.#chunks.length, (i) => {
      const last = this.#chunks[i]?.at(-1);
      return last !== undefined && place(last) < 0;
    });
    const chunk = this.#chunks[number] ?? [];
    const at = firstNotBefore(chunk.length, (i) => {
      const item = chunk[i];
      return item !== undefined && place(item) < 0;
    });
    return [number, at];
  }
}

/** The first number below `count` that is not before; `count` = all are. */
function firstNotBefore(count: number, isBefore: (index: number) => boolean): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(middle)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
