import { ConnectionError, ErrorCode } from "./errors.ts";
import { classifyName, type Field, type FieldKind, makeField } from "./header-field.ts";
import { HeaderList } from "./header-list.ts";
import { DynamicTable, STATIC_COUNT, staticTable } from "./header-tables.ts";
import { decodeHuffman } from "./huffman.ts";

/**
 * Clients repeat the header blocks of their few methods: so many blocks, up to this length, are
 * remembered.
 */
const REMEMBERED_BLOCKS = 4;
const REMEMBERED_BLOCK_BYTES = 192;

/** The largest index or length that is taken (RFC 7541 section 5.1 leaves the bound to us). */
const MAX_INTEGER = 2 ** 28;

/** What a block meant while the dynamic table was at `generation`. */
interface Remembered {
  readonly bytes: Buffer;
  length: number;
  generation: number;
  list: HeaderList;
}

/** Decodes the header blocks of one connection in their order (RFC 7541 section 3). */
export class HpackDecoder {
  readonly table: DynamicTable;
  #limit: number;
  /**
   * The limit is now below what the peer uses: its next block must begin with an update (section
   * 4.2).
   */
  #updateDue = false;
  readonly #maxListBytes: number;
  readonly #remembered: Remembered[] = [];
  #oldest = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;
  #end = 0;

  /**
   * The peer may use 4096 bytes of table until it has acknowledged another limit: see
   * `setTableLimit`.
   */
  constructor(tableBytes: number, maxListBytes: number) {
    this.table = new DynamicTable(tableBytes);
    this.#limit = tableBytes;
    this.#maxListBytes = maxListBytes;
  }

  /** The peer has acknowledged this SETTINGS_HEADER_TABLE_SIZE. */
  setTableLimit(tableBytes: number): void {
    this.#limit = tableBytes;
    this.#updateDue = this.table.maxBytes > tableBytes;
  }

  /** Decodes a whole block. Throws ConnectionError: without it the table's state would be lost. */
  decode(bytes: Buffer, start: number, end: number): HeaderList {
    const { generation } = this.table;
    const known = this.#recall(bytes, start, end);
    if (known !== undefined) {
      return known;
    }
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    const list = new HeaderList();
    let fieldsSeen = false;
    while (this.#at < end) {
      const first = bytes[this.#at] ?? 0;
      if (first >= 0x20 && first < 0x40) {
        // Only at the beginning of a block (section 4.2).
        this.#check(!fieldsSeen, "table size update amid a block");
        this.#resize(this.#integer(5));
        continue;
      }
      this.#check(!this.#updateDue, "table size update missing");
      fieldsSeen = true;
      list.add(this.#field(first), this.#maxListBytes);
    }
    if (this.table.generation === generation) {
      this.#remember(bytes, start, end, list);
    }
    return list;
  }

  #field(first: number): Field {
    if (first & 0x80) {
      // Indexed field (section 6.1).
      return this.#indexed(this.#integer(7));
    }
    if (first & 0x40) {
      // Literal that enters the table (section 6.2.1).
      const field = this.#literal(this.#integer(6));
      this.table.insert(field);
      return field;
    }
    // Literal that stays out of it, for now or (never indexed) on every hop (sections 6.2.2 and
    // 6.2.3).
    return this.#literal(this.#integer(4));
  }

  #indexed(index: number): Field {
    const field = index <= STATIC_COUNT ? staticTable[index] : this.table.at(index - STATIC_COUNT);
    if (field === undefined || index === 0) {
      throw new ConnectionError(ErrorCode.COMPRESSION_ERROR, `no header field at index ${index}`);
    }
    return field;
  }

  #literal(nameIndex: number): Field {
    let name: string;
    let nameKind: FieldKind;
    if (nameIndex === 0) {
      name = this.#string();
      nameKind = classifyName(name);
    } else {
      ({ name, nameKind } = this.#indexed(nameIndex));
    }
    return makeField(name, this.#string(), nameKind);
  }

  /** String literal (section 5.2). */
  #string(): string {
    const huffman = ((this.#bytes[this.#at] ?? 0) & 0x80) !== 0;
    const length = this.#integer(7);
    const start = this.#at;
    this.#check(start + length <= this.#end, "string beyond its block");
    this.#at = start + length;
    const text = huffman
      ? decodeHuffman(this.#bytes, start, this.#at)
      : this.#bytes.toString("latin1", start, this.#at);
    if (text === undefined) {
      throw new ConnectionError(ErrorCode.COMPRESSION_ERROR, "broken Huffman code");
    }
    return text;
  }

  /** Integer with a prefix of `bits` bits (section 5.1). */
  #integer(bits: number): number {
    const bytes = this.#bytes;
    const end = this.#end;
    const mask = (1 << bits) - 1;
    this.#check(this.#at < end, "integer beyond its block");
    let value = (bytes[this.#at++] ?? 0) & mask;
    if (value < mask) {
      return value;
    }
    for (let shift = 0; ; shift += 7) {
      this.#check(this.#at < end && shift <= 28, "integer beyond its block, or too long");
      const byte = bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        this.#check(value <= MAX_INTEGER, "integer too large");
        return value;
      }
    }
  }

  #resize(tableBytes: number): void {
    this.#check(tableBytes <= this.#limit, "table larger than its limit");
    this.#updateDue = false;
    this.table.resize(tableBytes);
  }

  #check(holds: boolean, message: string): void {
    if (!holds) {
      throw new ConnectionError(ErrorCode.COMPRESSION_ERROR, message);
    }
  }

  #recall(bytes: Buffer, start: number, end: number): HeaderList | undefined {
    const length = end - start;
    const { generation } = this.table;
    if (this.#updateDue) {
      return undefined;
    }
    for (const entry of this.#remembered) {
      if (
        entry.length === length &&
        entry.generation === generation &&
        same(entry.bytes, bytes, start, length)
      ) {
        return entry.list;
      }
    }
    return undefined;
  }

  #remember(bytes: Buffer, start: number, end: number, list: HeaderList): void {
    const length = end - start;
    if (length > REMEMBERED_BLOCK_BYTES) {
      return;
    }
    const { generation } = this.table;
    let entry = this.#remembered[this.#oldest];
    if (entry === undefined) {
      entry = { bytes: Buffer.allocUnsafe(REMEMBERED_BLOCK_BYTES), length, generation, list };
      this.#remembered.push(entry);
    } else {
      entry.length = length;
      entry.generation = generation;
      entry.list = list;
    }
    bytes.copy(entry.bytes, 0, start, end);
    this.#oldest = (this.#oldest + 1) % REMEMBERED_BLOCKS;
  }
}

/** Compares from the end: blocks of one client mostly differ in their last field. */
function same(kept: Uint8Array, bytes: Uint8Array, start: number, length: number): boolean {
  for (let i = length - 1; i >= 0; i--) {
    if (kept[i] !== bytes[start + i]) {
      return false;
    }
  }
  return true;
}
