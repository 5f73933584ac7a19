import { UNIT_BYTES } from "./segments.ts";

/**
 * A record is words of four bytes: bytes of the key and flags, bytes of the value, its place among the expiries, then the key, then the
 * value, each filled up to a whole word. These functions read one that starts at the word `at`.
 */
export const HEAD_WORDS = 3;
export const VALUE_BYTES = 1;
export const EXPIRY_PLACE = 2;

/** Flags beside the bytes of the key: */
const KEY_BYTES_MASK = 0xffff;
/** each byte of the key is a character; */
export const ASCII = 0x1_0000;
/** the value is an array of its own: in its place there is one word, that says which; */
export const LARGE = 0x2_0000;
/** the record is freed. */
export const FREED = 0x4_0000;

/** Words that hold so many bytes. */
export function wordsOf(bytes: number): number {
  return (bytes + 3) >>> 2;
}

/** Bytes of a record: whole units. */
export function sizeOf(keyBytes: number, valueBytes: number): number {
  const bytes = (HEAD_WORDS + wordsOf(keyBytes) + wordsOf(valueBytes)) * 4;
  return (bytes + UNIT_BYTES - 1) & -UNIT_BYTES;
}

/** Bytes of the record. */
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

/** Where the first word of the value is. */
export function valueWordAt(words: Int32Array, at: number): number {
  return at + HEAD_WORDS + wordsOf(keyBytesAt(words, at));
}
