import { MAX_KEY_BYTES } from "../../limits.ts";
import {
  ASCII,
  EXPIRY_PLACE,
  FREED,
  HEAD_WORDS,
  hasFlag,
  keyBytesAt,
  LARGE,
  setVersionAt,
  sizeAt,
  sizeOf,
  VALUE_BYTES,
  valueBytesAt,
  valueWordAt,
  versionAt,
} from "./cell-layout.ts";
import type { EncodedKey } from "./encoded-key.ts";
import { NOWHERE, type Segment, Segments, UNIT_BYTES, wordOf } from "./segments.ts";

/**
 * A longer value is a separate array: it is handed out without a copy, and moving it would take
 * long.
 */
export const MAX_INLINE_BYTES = 4096;

/** The expiry place of a cell that never expires. */
export const NO_PLACE = -1;

const NO_BYTES = new Uint8Array(0);

/** The most freed cells that one {@link Cells.movable} skips. */
const MAX_PASSED_OVER = 64;

/**
 * The entries at rest, one behind the other in memory that the garbage collector does not scan. A
 * cell holds a key, its value and its place in the expiry heap. Its address names it and is never
 * {@link NOWHERE}.
 */
export class Cells {
  readonly #segments: Segments;
  /** The long values, and the free indexes among them. */
  readonly #large: (Uint8Array | undefined)[] = [];
  readonly #largeVacant: number[] = [];
  /** The sparse segment that is being emptied, and the next unit in it. */
  #emptied: Segment | undefined;
  #cursor = 0;

  constructor(segments = new Segments()) {
    this.#segments = segments;
  }

  /** Bytes taken from the system, except for long values. */
  get bytes(): number {
    return this.#segments.bytes;
  }

  /** Whether `count` more cells of any size surely fit. */
  hasRoom(count: number): boolean {
    return this.#segments.hasRoom(count, HEAD_WORDS * 4 + MAX_KEY_BYTES + MAX_INLINE_BYTES);
  }

  /**
   * Makes a cell with a copy of the value and without expiry. Throws {@link PrismError}
   * `store_full`.
   */
  create(key: EncodedKey, value: Uint8Array, version: number): number {
    const large = value.length > MAX_INLINE_BYTES;
    const address = this.#segments.allocate(sizeOf(key.length, large ? 4 : value.length));
    const { words, bytes } = this.#segments.of(address);
    let at = wordOf(address);
    words[at] = key.length | (key.ascii ? ASCII : 0) | (large ? LARGE : 0);
    words[at + VALUE_BYTES] = value.length;
    words[at + EXPIRY_PLACE] = NO_PLACE;
    setVersionAt(words, at, version);
    at += HEAD_WORDS;
    const keyWords = key.wordCount;
    for (let i = 0; i < keyWords; i++) {
      words[at + i] = key.words[i] as number;
    }
    at += keyWords;
    if (large) {
      words[at] = this.#addLarge(value);
    } else {
      bytes.set(value, at * 4);
    }
    return address;
  }

  /**
   * Overwrites the value and the version if the new value has exactly the same room. False = it has
   * not, and nothing changed.
   */
  replaceValue(address: number, value: Uint8Array, version: number): boolean {
    const { words, bytes } = this.#segments.of(address);
    const at = wordOf(address);
    const large = value.length > MAX_INLINE_BYTES;
    if (large !== hasFlag(words, at, LARGE)) {
      return false;
    }
    const valueAt = valueWordAt(words, at);
    if (large) {
      this.#large[words[valueAt] ?? 0] = new Uint8Array(value);
    } else {
      if (sizeOf(keyBytesAt(words, at), value.length) !== sizeAt(words, at)) {
        return false;
      }
      bytes.set(value, valueAt * 4);
    }
    words[at + VALUE_BYTES] = value.length;
    setVersionAt(words, at, version);
    return true;
  }

  /** Frees the cell, and its value if it is a long one. */
  free(address: number): void {
    const { words } = this.#segments.of(address);
    const at = wordOf(address);
    if (hasFlag(words, at, LARGE)) {
      const place = words[valueWordAt(words, at)] ?? 0;
      this.#large[place] = undefined;
      this.#largeVacant.push(place);
    }
    this.release(address);
  }

  /** Frees the room of a cell that was copied; the copy keeps the long value. */
  release(address: number): void {
    const { words } = this.#segments.of(address);
    const at = wordOf(address);
    words[at] = (words[at] ?? 0) | FREED;
    this.#segments.free(address, sizeAt(words, at));
  }

  /**
   * A cell to move so that a sparse segment becomes empty; `NOWHERE` = none was found soon. Moving
   * two of these after each {@link Cells.free} bounds the memory held.
   */
  movable(): number {
    const segment = this.#segments.sparse();
    if (segment === undefined || !this.hasRoom(1)) {
      return NOWHERE;
    }
    if (segment !== this.#emptied) {
      this.#emptied = segment;
      this.#cursor = segment.base + 1;
    }
    for (let i = 0; i < MAX_PASSED_OVER; i++) {
      const address = this.#cursor;
      const at = wordOf(address);
      if (!hasFlag(segment.words, at, FREED)) {
        return address;
      }
      this.#cursor += Math.ceil(sizeAt(segment.words, at) / UNIT_BYTES);
    }
    return NOWHERE;
  }

  /**
   * Copies a cell and answers the copy's address. Call {@link Cells.release} for the old cell then.
   */
  copy(address: number): number {
    const { words } = this.#segments.of(address);
    const at = wordOf(address);
    const bytes = sizeAt(words, at);
    const copied = this.#segments.allocate(bytes);
    this.#segments.of(copied).words.set(words.subarray(at, at + bytes / 4), wordOf(copied));
    return copied;
  }

  /** The segment that holds a cell. The cell starts at its word `wordOf(address)`. */
  segment(address: number): Segment {
    return this.#segments.of(address);
  }

  /** The value; no later call changes these bytes. */
  value(address: number): Uint8Array {
    const { words, bytes } = this.#segments.of(address);
    const at = wordOf(address);
    const start = valueWordAt(words, at);
    if (hasFlag(words, at, LARGE)) {
      return this.largeValue(words[start] ?? 0);
    }
    const length = valueBytesAt(words, at);
    const value = Buffer.allocUnsafe(length);
    bytes.copy(value, 0, start * 4, start * 4 + length);
    return value;
  }

  /** A long value; it never changes. */
  largeValue(index: number): Uint8Array {
    return this.#large[index] ?? NO_BYTES;
  }

  /** Loads the key into an {@link EncodedKey}. */
  loadKey(address: number, key: EncodedKey): void {
    const { words } = this.#segments.of(address);
    const at = wordOf(address);
    key.copyFrom(words, at + HEAD_WORDS, keyBytesAt(words, at), hasFlag(words, at, ASCII));
  }

  /** The cell's place in the expiry heap; {@link NO_PLACE} = it never expires. */
  expiryPlace(address: number): number {
    return this.#segments.of(address).words[wordOf(address) + EXPIRY_PLACE] ?? NO_PLACE;
  }

  setExpiryPlace(address: number, place: number): void {
    this.#segments.of(address).words[wordOf(address) + EXPIRY_PLACE] = place;
  }

  version(address: number): number {
    return versionAt(this.#segments.of(address).words, wordOf(address));
  }

  setVersion(address: number, version: number): void {
    setVersionAt(this.#segments.of(address).words, wordOf(address), version);
  }

  hasKey(address: number, key: EncodedKey): boolean {
    const { words } = this.#segments.of(address);
    const at = wordOf(address);
    if (keyBytesAt(words, at) !== key.length) {
      return false;
    }
    const count = key.wordCount;
    for (let i = 0; i < count; i++) {
      if (words[at + HEAD_WORDS + i] !== key.words[i]) {
        return false;
      }
    }
    return true;
  }

  /** Compares the cell's key with another by bytes: negative, 0 or positive. */
  compare(address: number, key: EncodedKey): number {
    const { words, bytes } = this.#segments.of(address);
    const at = wordOf(address);
    const length = keyBytesAt(words, at);
    const shared = (Math.min(length, key.length) + 3) >>> 2;
    for (let i = 0; i < shared; i++) {
      if (words[at + HEAD_WORDS + i] === key.words[i]) {
        continue;
      }
      const from = (at + HEAD_WORDS + i) * 4;
      // The padding of the shorter key is zeros: smaller than any byte, or equal to it. If all are
      // equal the length decides.
      for (let j = 0; j < 4; j++) {
        const difference = (bytes[from + j] ?? 0) - (key.bytes[i * 4 + j] ?? 0);
        if (difference !== 0) {
          return difference;
        }
      }
    }
    return length - key.length;
  }

  #addLarge(value: Uint8Array): number {
    const place = this.#largeVacant.pop() ?? this.#large.length;
    this.#large[place] = new Uint8Array(value);
    return place;
  }
}
