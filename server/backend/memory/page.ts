import type { Values } from "../values.ts";
import { ASCII, HEAD_WORDS, hasFlag, keyBytesAt, LARGE, valueBytesAt, wordsOf } from "./record-layout.ts";
import type { Records } from "./records.ts";
import { wordOf } from "./segments.ts";

/** Keys on their way to be text, each from a word of its own on; used again and again. */
let keyWords = new Int32Array(16 * 1024);

/**
 * Reads a page's records: first all that are to be in it, then their keys and values, in loops that touch every record only once.
 * Among millions each is a miss of the processor's cache, and in a short loop many are fetched at a time.
 */
export class PageReader {
  readonly #records: Records;
  readonly #keysOnly: boolean;
  readonly #addresses: number[] = [];
  #keyWords = 0;
  /** Of the values that are not arrays of their own. */
  #valueWords = 0;
  #bytes = 0;

  constructor(records: Records, keysOnly: boolean) {
    this.#records = records;
    this.#keysOnly = keysOnly;
  }

  get length(): number {
    return this.#addresses.length;
  }

  /** Bytes of what was added. */
  get bytes(): number {
    return this.#bytes;
  }

  add(address: number): void {
    this.#addresses.push(address);
    const { words } = this.#records.segment(address);
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

  /** Copies all that was added. */
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
      const { words } = this.#records.segment(this.#addresses[i] ?? 0);
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
        large.set(i, this.#records.largeValue(words[valueAt] ?? 0));
      } else {
        const valueCount = wordsOf(valueBytes);
        copyWords(words, valueAt, valueCount, copies, valuesEnd);
        valuesEnd += valueCount;
      }
    }
    const values = new CopiedValues(Buffer.from(copies.buffer), bounds, large);
    return { keys: this.#keys(keysEnd, ascii), values };
  }

  /** The keys that are in `keyWords`. */
  #keys(end: number, ascii: boolean): string[] {
    const buffer = Buffer.from(keyWords.buffer, 0, end * 4);
    // Cut out of one text, keys take half the time of being made one by one.
    const text = ascii ? buffer.toString("latin1") : "";
    let start = 0;
    return this.#addresses.map((address) => {
      const bytes = keyBytesAt(this.#records.segment(address).words, wordOf(address));
      const from = start;
      start += wordsOf(bytes) * 4;
      return ascii ? text.slice(from, from + bytes) : buffer.toString("utf8", from, from + bytes);
    });
  }
}

/** Copies of the values of records, since later calls may change or move what they were made of. */
class CopiedValues implements Values {
  readonly #bytes: Buffer;
  /** For each value where it starts, and how many bytes it has. */
  readonly #bounds: Uint32Array;
  /** Values that are arrays of their own, by index. */
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

/** So many words are copied by a loop; more by the array's own method, whose call costs more. */
const MAX_LOOP_WORDS = 64;

function copyWords(from: Int32Array, at: number, count: number, target: Int32Array, start: number): void {
  if (count > MAX_LOOP_WORDS) {
    target.set(from.subarray(at, at + count), start);
  }
  // With `?? 0` in place of the cast the loop takes half as long again.
  else {
    for (let i = 0; i < count; i++) {
      target[start + i] = from[at + i] as number;
    }
  }
}
