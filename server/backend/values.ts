/**
 * The values of a page, copied out one by one. A page has a thousand, and an array for each would
 * cost more time, in the garbage collector too, than all other work on them.
 */
export interface Values extends Iterable<Uint8Array> {
  /** The number of values. */
  readonly length: number;
  /** The bytes of one value. */
  bytesOf(index: number): number;
  /** Copies one value into `target`, which has room for it from `at` on. */
  copyTo(index: number, target: Buffer, at: number): void;
}

/** Values that are separate arrays. */
export class ArrayValues implements Values {
  readonly #values: readonly Uint8Array[];

  constructor(values: readonly Uint8Array[]) {
    this.#values = values;
  }

  get length(): number {
    return this.#values.length;
  }

  bytesOf(index: number): number {
    return this.#values[index]?.length ?? 0;
  }

  copyTo(index: number, target: Buffer, at: number): void {
    const value = this.#values[index];
    if (value !== undefined) {
      target.set(value, at);
    }
  }

  [Symbol.iterator](): Iterator<Uint8Array> {
    return this.#values.values();
  }
}

/** Values that are parts of larger arrays. */
export class PackedValues implements Values {
  readonly #packs: Uint8Array[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  get length(): number {
    return this.#packs.length;
  }

  /** Adds the bytes of `pack` from `start` (included) to `end` (excluded). */
  add(pack: Uint8Array, start: number, end: number): void {
    this.#packs.push(pack);
    this.#starts.push(start);
    this.#ends.push(end);
  }

  bytesOf(index: number): number {
    return (this.#ends[index] ?? 0) - (this.#starts[index] ?? 0);
  }

  copyTo(index: number, target: Buffer, at: number): void {
    target.set(this.#at(index), at);
  }

  *[Symbol.iterator](): Iterator<Uint8Array> {
    for (let i = 0; i < this.length; i++) {
      yield this.#at(i);
    }
  }

  #at(index: number): Uint8Array {
    return this.#packs[index]?.subarray(this.#starts[index], this.#ends[index]) ?? new Uint8Array(0);
  }
}

/** Values taken from several others, one by one. */
export class PickedValues implements Values {
  readonly #sources: Values[] = [];
  readonly #places: number[] = [];

  get length(): number {
    return this.#sources.length;
  }

  /** Adds the value at `place` of `source`. */
  add(source: Values, place: number): void {
    this.#sources.push(source);
    this.#places.push(place);
  }

  /** Replaces the value at `index`. */
  put(index: number, value: Uint8Array): void {
    this.#sources[index] = new ArrayValues([value]);
    this.#places[index] = 0;
  }

  /** The values but those at `indexes`. */
  without(indexes: ReadonlySet<number>): PickedValues {
    const rest = new PickedValues();
    for (const [index, source] of this.#sources.entries()) {
      if (!indexes.has(index)) {
        rest.add(source, this.#places[index] ?? 0);
      }
    }
    return rest;
  }

  bytesOf(index: number): number {
    return this.#sources[index]?.bytesOf(this.#places[index] ?? 0) ?? 0;
  }

  copyTo(index: number, target: Buffer, at: number): void {
    this.#sources[index]?.copyTo(this.#places[index] ?? 0, target, at);
  }

  *[Symbol.iterator](): Iterator<Uint8Array> {
    for (let i = 0; i < this.length; i++) {
      const value = Buffer.allocUnsafe(this.bytesOf(i));
      this.copyTo(i, value, 0);
      yield value;
    }
  }
}
