import { UNIT_BYTES } from "./segments.ts";

/**
 * A cell is a run of four-byte words: key size and flags, value size, its place in the expiry heap,
 * the version's lower and upper half, the key, the value. Key and value are each padded to a whole
 * word. These functions read the cell that starts at the word `at`.
 */
export const HEAD_WORDS = 5;
export const VALUE_BYTES = 1;
export const EXPIRY_PLACE = 2;
const VERSION = 3;

/** The first word: the key's size in bytes, and flags. */
const KEY_BYTES_MASK = 0xffff;
/** Every byte of the key is one character. */
export const ASCII = 0x1_0000;
/** The value is a separate array. The cell holds one word in its place: the array's index. */
export const LARGE = 0x2_0000;
/** The cell is freed. */
export const FREED = 0x4_0000;

/** The number of values that a word has. */
const WORD_RANGE = 2 ** 32;

/** The number of words that hold this many bytes. */
export function wordsOf(bytes: number): number {
  return (bytes + 3) >>> 2;
}

/** The size of a cell in bytes, in whole units. */
export function sizeOf(keyBytes: number, valueBytes: number): number {
  const bytes = (HEAD_WORDS + wordsOf(keyBytes) + wordsOf(valueBytes)) * 4;
  return (bytes + UNIT_BYTES - 1) & -UNIT_BYTES;
}

/** The size of the cell at `at`, in bytes. */
export function sizeAt(words: Int32Array, at: number): number {
  return sizeOf(keyBytesAt(words, at), hasFlag(words, at, LARGE) ? 4 : valueBytesAt(words, at));
}

export function hasFlag(words: Int32Array, at: number, flag: number): boolean {
  return ((words[at] as number) & flag) !== 0;
}

export function keyBytesAt(words: Int32Array, at: number): number {
  return (words[at] as number) & KEY_BYTES_MASK;
}

export function valueBytesAt(words: Int32Array, at: number): number {
  return words[at + VALUE_BYTES] as number;
}

export function versionAt(words: Int32Array, at: number): number {
  const upper = words[at + VERSION + 1] as number;
  return upper * WORD_RANGE + ((words[at + VERSION] as number) >>> 0);
}

export function setVersionAt(words: Int32Array, at: number, version: number): void {
  words[at + VERSION] = version;
  words[at + VERSION + 1] = version / WORD_RANGE;
}

/** The first word of the value. */
export function valueWordAt(words: Int32Array, at: number): number {
  return at + HEAD_WORDS + wordsOf(keyBytesAt(words, at));
}
