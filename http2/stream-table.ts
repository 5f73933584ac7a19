/** The smallest table. */
const MIN_SLOTS = 16;

/**
 * Owns the streams of a connection by their ids. Not a Map: V8 makes a new table each time that a
 * Map has changed much, and the old tables form a chain. Once one of them is old, the garbage
 * collector keeps everything of the later ones until its next full run, which cost a client a third
 * of its speed. This is one array with linear probing: ids follow one another, so that they rarely
 * collide.
 */
export class StreamTable<S extends { readonly id: number }> {
  #slots: (S | undefined)[] = new Array(MIN_SLOTS).fill(undefined);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): S | undefined {
    return this.#slots[this.#find(id)];
  }

  /** Adds a stream whose id is not in. */
  add(stream: S): void {
    // At most half full, so that a search ends soon.
    if ((this.#size + 1) * 2 > this.#slots.length) {
      const streams = this.all();
      this.#slots = new Array(this.#slots.length * 2).fill(undefined);
      for (const each of streams) {
        this.#slots[this.#find(each.id)] = each;
      }
    }
    this.#slots[this.#find(stream.id)] = stream;
    this.#size++;
  }

  /** No effect where the id is not in. */
  delete(id: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let hole = this.#find(id);
    if (slots[hole] === undefined) {
      return;
    }
    this.#size--;
    // Streams behind the hole move into it, if their search begins at the hole or before.
    for (let i = (hole + 1) & mask; ; i = (i + 1) & mask) {
      const next = slots[i];
      if (next === undefined) {
        break;
      }
      const distance = (i - ((next.id >>> 1) & mask)) & mask;
      if (distance >= ((i - hole) & mask)) {
        slots[hole] = next;
        hole = i;
      }
    }
    slots[hole] = undefined;
  }

  /** All streams, by ascending id. A copy: they may close while it is read. */
  all(): S[] {
    return this.#slots.filter((stream) => stream !== undefined).sort((a, b) => a.id - b.id);
  }

  /** Where the id is, or would be. */
  #find(id: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let i = (id >>> 1) & mask;
    for (let stream = slots[i]; stream !== undefined && stream.id !== id; stream = slots[i]) {
      i = (i + 1) & mask;
    }
    return i;
  }
}
