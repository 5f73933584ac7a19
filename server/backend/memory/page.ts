import type { Values } from "../values.ts";
import { ASCII, HEAD_WORDS, hasFlag, keyBytesAt, LARGE, valueBytesAt, wordsOf } from "./cell-layout.ts";
import type { Cells } from "./cells.ts";
import { wordOf } from "./segments.ts";

/** The keys on their way to text, each padded to a word. Reused by every page. */
let keyWords = new Int32Array(16 * 1024);

/**
 * Reads a page's cells in two steps: first it collects the cells, then it reads keys and values in
 * loops that touch each cell once. Among millions of cells each touch misses the processor's cache,
 * and a short loop fetches many at a time.
 */
export class PageReader {
  readonly #cells: Cells;
  readonly #keysOnly: boolean;
  readonly #addresses: number[] = [];
  #keyWords = 0;
  /** The words of the values that are stored in cells. */
  #valueWords = 0;
  #bytes = 0;

  constructor(cells: Cells, keysOnly: boolean) {
    this.#cells = cells;
    this.#keysOnly = keysOnly;
  }

  get length(): number {
    return this.#addresses.length;
  }

  /** The addresses of all added cells. */
  get addresses(): readonly number[] {
    return this.#addresses;
  }

  /** The bytes of all added cells. */
  get bytes(): number {
    return this.#bytes;
  }

  add(address: number): void {
    this.#addresses.push(address);
    const { words } = this.#cells.segment(address);
    const at = wordOf(address);
    const keyBytes = keyBytesAt(words, at);
    this.#keyWords += wordsOf(keyBytes);
    this.#bytes += keyBytes;
    if (this.#keysOnly) {
      return;
    }
    const valueBytes = valueBytesAt(words, at);
    if (!hasFlag(words, at, LARGE)) {
      this.#valueWords += wordsOf(valueBytes);
    }
    this.#bytes += valueBytes;
  }

  /** Copies all added cells. */
  read(): { readonly keys: string[]; readonly values: Values } {
    if (keyWords.length < this.#keyWords) {
      keyWords = new Int32Array(this.#keyWords * 2);
    }
    const copies = new Int32Array(this.#valueWords);
    const { length } = this.#addresses;
    const bounds = new Uint32Array(this.#keysOnly ? 0 : length * 2);
    let large: Map<number, Uint8Array> | undefined;
    let keysEnd = 0;
    let valuesEnd = 0;
    let ascii = true;
    for (let i = 0; i < length; i++) {
      const { words } = this.#cells.segment(this.#addresses[i] ?? 0);
      const at = wordOf(this.#addresses[i] ?? 0);
      const keyCount = wordsOf(keyBytesAt(words, at));
      ascii &&= hasFlag(words, at, ASCII);
      copyWords(words, at + HEAD_WORDS, keyCount, keyWords, keysEnd);
      keysEnd += keyCount;
      if (this.#keysOnly) {
        continue;
      }
      const valueAt = at + HEAD_WORDS + keyCount;
      const valueBytes = valueBytesAt(words, at);
      bounds[i * 2] = valuesEnd * 4;
      bounds[i * 2 + 1] = valueBytes;
      if (hasFlag(words, at, LARGE)) {
        large ??= new Map();
        large.set(i, this.#cells.largeValue(words[valueAt] ?? 0));
      } else {
        const valueCount = wordsOf(valueBytes);
        copyWords(words, valueAt, valueCount, copies, valuesEnd);
        valuesEnd += valueCount;
      }
    }
    const values = new CopiedValues(Buffer.from(copies.buffer), bounds, large);
    return { keys: this.#keys(keysEnd, ascii), values };
  }

  /** Decodes the keys in `keyWords`. */
  #keys(end: number, ascii: boolean): string[] {
    const buffer = Buffer.from(keyWords.buffer, 0, end * 4);
    // Cutting the keys out of one text takes half the time of decoding each.
    const text = ascii ? buffer.toString("latin1") : "";
    let start = 0;
    return this.#addresses.map((address) => {
      const bytes = keyBytesAt(this.#cells.segment(address).words, wordOf(address));
      const from = start;
      start += wordsOf(bytes) * 4;
      return ascii ? text.slice(from, from + bytes) : buffer.toString("utf8", from, from + bytes);
    });
  }
}

/** Copies of the cells' values: later calls may change or move the cells. */
class CopiedValues implements Values {
  readonly #bytes: Buffer;
  /** The start and the size of each value. */
  readonly #bounds: Uint32Array;
  /** The long values by index. */
  readonly #large: ReadonlyMap<number, Uint8Array> | undefined;

  constructor(bytes: Buffer, bounds: Uint32Array, large: ReadonlyMap<number, Uint8Array> | undefined) {
    this.#bytes = bytes;
    this.#bounds = bounds;
    this.#large = large;
  }

  get length(): number {
    return this.#bounds.length / 2;
  }

  bytesOf(index: number): number {
    return this.#bounds[index * 2 + 1] ?? 0;
  }

  copyTo(index: number, target: Buffer, at: number): void {
    const large = this.#large?.get(index);
    if (large !== undefined) {
      target.set(large, at);
      return;
    }
    const start = this.#bounds[index * 2] ?? 0;
    this.#bytes.copy(target, at, start, start + this.bytesOf(index));
  }

  *[Symbol.iterator](): Generator<Uint8Array> {
    for (let i = 0; i < this.length; i++) {
      const start = this.#bounds[i * 2] ?? 0;
      yield this.#large?.get(i) ?? this.#bytes.subarray(start, start + this.bytesOf(i));
    }
  }
}

/**
 * The most words that a loop copies. The array's own method is faster for more, but its call costs
 * more.
 */
const MAX_LOOP_WORDS = 64;

function copyWords(from: Int32Array, at: number, count: number, target: Int32Array, start: number): void {
  if (count > MAX_LOOP_WORDS) {
    target.set(from.subarray(at, at + count), start);
  }
  // The cast, because with `?? 0` the loop takes half as long again.
  else {
    for (let i = 0; i < count; i++) {
      target[start + i] = from[at + i] as number;
    }
  }
}
