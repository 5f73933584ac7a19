import { classifyName, makeField } from "./header-field.ts";
import {
  DynamicTable,
  fieldKey,
  STATIC_COUNT,
  staticIndexOfField,
  staticIndexOfName,
} from "./header-tables.ts";
import { encodeHuffman, huffmanBytes } from "./huffman.ts";

/** Header fields to send: name, value, name, value; names in lower case, one char per byte. */
export type HeaderPairs = readonly string[];

/**
 * Header fields as HPACK that refers to no dynamic table: the bytes mean the same on every
 * connection.
 */
export interface EncodedHeaders {
  readonly bytes: Buffer;
}

/** Header fields, encoded once, for any number of streams and connections. See `encodeHeaders`. */
export interface HeaderBlock extends EncodedHeaders {
  readonly pairs: HeaderPairs;
}

const EMPTY = Buffer.alloc(0);

/** The block of no fields; as trailers it means none. */
export const NO_HEADERS: HeaderBlock = Object.freeze({ pairs: [], bytes: EMPTY });

/**
 * Encodes fields as static table indices and literals without indexing (RFC 7541 section 6.2.2), so
 * that the bytes mean the same on every connection. `base` goes in front. Throws TypeError for a
 * name or value that RFC 9113 section 8.2 forbids: CR, LF and NUL cannot get onto the wire.
 */
export function encodeHeaders(pairs: HeaderPairs, base: HeaderBlock = NO_HEADERS): HeaderBlock {
  const writer = new BlockWriter(base.bytes.length + 64);
  writer.raw(base.bytes);
  forEachPair(pairs, (name, value) => {
    const index = staticIndexOfField.get(fieldKey(name, value));
    if (index === undefined) {
      writer.literal(0x00, 4, staticIndexOfName.get(name) ?? 0, name, value, false);
    } else {
      writer.integer(0x80, 7, index);
    }
  });
  return Object.freeze({
    pairs: base.pairs.length === 0 ? pairs : [...base.pairs, ...pairs],
    bytes: writer.take(),
  });
}

/** A field's name as `appendField` takes it. */
export interface FieldName {
  readonly bytes: Buffer;
}

/**
 * Prepares a name for `appendField`. Throws TypeError for one that RFC 9113 section 8.2 forbids.
 */
export function fieldName(name: string): FieldName {
  // Without its last byte, which is the length of the value.
  return { bytes: encodeHeaders([name, ""]).bytes.subarray(0, -1) };
}

/** A value that `appendField` takes is shorter than this, so that its length fits one byte. */
const MAX_APPENDED_CHARS = 126;

/**
 * A block with one more field, which differs from stream to stream; cheaper than `encodeHeaders`.
 * Throws TypeError for a value that RFC 9113 section 8.2 forbids or that has more than 126
 * characters.
 */
export function appendField(block: HeaderBlock, { bytes: name }: FieldName, value: string): EncodedHeaders {
  const { length } = value;
  if (length > MAX_APPENDED_CHARS || (length > 0 && !VALUE.test(value))) {
    throw new TypeError("not a value to append");
  }
  const head = block.bytes.length;
  const bytes = Buffer.allocUnsafe(head + name.length + 1 + length);
  bytes.set(block.bytes);
  bytes.set(name, head);
  bytes[head + name.length] = length;
  bytes.write(value, head + name.length + 1, "latin1");
  return { bytes };
}

/** An encoder remembers so many blocks as it encoded them with the current state of its table. */
const REMEMBERED_BLOCKS = 8;

/**
 * Encodes for one connection, in the order of sending, with a dynamic table (RFC 7541 section 3.2).
 */
export class HpackEncoder {
  readonly #maxTableBytes: number;
  readonly #table: DynamicTable;
  /** The newest entry of a field, and of a name, by the table's numbers. */
  readonly #byField = new Map<string, number>();
  readonly #byName = new Map<string, number>();
  readonly #remembered: { block: HeaderBlock; generation: number; bytes: Buffer }[] = [];
  #oldest = 0;
  /**
   * The table size to announce before the next block, and the least size since the last block
   * (section 4.2).
   */
  #pendingSize: number | undefined;
  #leastSize = 0;

  /** No more than `maxTableBytes` are used, however much the peer offers. */
  constructor(maxTableBytes: number) {
    this.#maxTableBytes = maxTableBytes;
    // The size that the peer has ready before any SETTINGS.
    this.#table = new DynamicTable(4096, (field, number) => {
      const key = fieldKey(field.name, field.value);
      if (this.#byField.get(key) === number) {
        this.#byField.delete(key);
      }
      if (this.#byName.get(field.name) === number) {
        this.#byName.delete(field.name);
      }
    });
    if (maxTableBytes < 4096) {
      this.setTableLimit(maxTableBytes);
    }
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setTableLimit(tableBytes: number): void {
    const size = Math.min(tableBytes, this.#maxTableBytes);
    if (size === this.#table.maxBytes) {
      return;
    }
    this.#leastSize = this.#pendingSize === undefined ? size : Math.min(size, this.#leastSize);
    this.#pendingSize = size;
    this.#table.resize(size);
  }

  get hasPrefix(): boolean {
    return this.#pendingSize !== undefined;
  }

  /**
   * A change of the table size, which must stand in front of the next block, whoever encodes it.
   * Mostly empty.
   */
  takePrefix(): Buffer {
    if (this.#pendingSize === undefined) {
      return EMPTY;
    }
    const writer = new BlockWriter(16);
    if (this.#leastSize < this.#pendingSize) {
      writer.integer(0x20, 5, this.#leastSize);
    }
    writer.integer(0x20, 5, this.#pendingSize);
    this.#pendingSize = undefined;
    return writer.take();
  }

  /**
   * Encodes a block whose fields come again, so that they are worth keeping in the table. Call
   * `takePrefix` first.
   */
  encode(block: HeaderBlock): Buffer {
    const { generation } = this.#table;
    for (const entry of this.#remembered) {
      if (entry.block === block && entry.generation === generation) {
        return entry.bytes;
      }
    }
    const writer = new BlockWriter(block.bytes.length + 64);
    forEachPair(block.pairs, (name, value) => this.#field(writer, name, value));
    const bytes = writer.take();
    if (this.#table.generation === generation) {
      this.#remembered[this.#oldest] = { block, generation, bytes };
      this.#oldest = (this.#oldest + 1) % REMEMBERED_BLOCKS;
    }
    return bytes;
  }

  #field(writer: BlockWriter, name: string, value: string): void {
    const key = fieldKey(name, value);
    const index = staticIndexOfField.get(key) ?? this.#indexOf(this.#byField.get(key));
    if (index !== undefined) {
      writer.integer(0x80, 7, index);
      return;
    }
    const nameIndex = staticIndexOfName.get(name) ?? this.#indexOf(this.#byName.get(name)) ?? 0;
    const field = makeField(name, value, classifyName(name));
    if (field.bytes > this.#table.maxBytes) {
      writer.literal(0x00, 4, nameIndex, name, value, true);
      return;
    }
    writer.literal(0x40, 6, nameIndex, name, value, true);
    this.#table.insert(field);
    this.#byField.set(key, this.#table.inserted - 1);
    this.#byName.set(name, this.#table.inserted - 1);
  }

  #indexOf(number: number | undefined): number | undefined {
    return number === undefined ? undefined : STATIC_COUNT + this.#table.inserted - number;
  }
}

function forEachPair(pairs: HeaderPairs, write: (name: string, value: string) => void): void {
  for (let i = 0; i < pairs.length; i += 2) {
    write(pairs[i] ?? "", pairs[i + 1] ?? "");
  }
}

const NAME = /^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const VALUE = /^(?![ \t])[^\0\r\n\u0100-\uffff]*(?<![ \t])$/;

/** Representations of RFC 7541 sections 5 and 6, one after the other. */
class BlockWriter {
  #bytes: Buffer;
  #at = 0;

  constructor(sizeHint: number) {
    this.#bytes = Buffer.allocUnsafe(sizeHint);
  }

  take(): Buffer {
    return this.#bytes.subarray(0, this.#at);
  }

  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** An integer behind the high bits `pattern`, with a prefix of `bits` bits. */
  integer(pattern: number, bits: number, value: number): void {
    this.#reserve(8);
    const mask = (1 << bits) - 1;
    if (value < mask) {
      this.#bytes[this.#at++] = pattern | value;
      return;
    }
    this.#bytes[this.#at++] = pattern | mask;
    let rest = value - mask;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) {
      this.#bytes[this.#at++] = (rest & 0x7f) | 0x80;
    }
    this.#bytes[this.#at++] = rest;
  }

  literal(
    pattern: number,
    bits: number,
    nameIndex: number,
    name: string,
    value: string,
    huffman: boolean,
  ): void {
    if (!NAME.test(name) || !VALUE.test(value)) {
      throw new TypeError(`not a header field: ${JSON.stringify(name)}`);
    }
    this.integer(pattern, bits, nameIndex);
    if (nameIndex === 0) {
      this.#string(name, huffman);
    }
    this.#string(value, huffman);
  }

  #string(text: string, huffman: boolean): void {
    const coded = huffman ? huffmanBytes(text) : 0;
    if (huffman && coded <= text.length) {
      this.integer(0x80, 7, coded);
      this.#reserve(coded);
      this.#at = encodeHuffman(text, this.#bytes, this.#at);
    } else {
      this.integer(0x00, 7, text.length);
      this.#reserve(text.length);
      this.#at += this.#bytes.write(text, this.#at, "latin1");
    }
  }

  #reserve(length: number): void {
    if (this.#at + length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe((this.#at + length) * 2);
      larger.set(this.#bytes.subarray(0, this.#at));
      this.#bytes = larger;
    }
  }
}
