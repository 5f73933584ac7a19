import {
  create,
  type DescField,
  type DescMessage,
  fromBinary,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";

/*
 * Decoders compiled from descriptors, once for each message type. They read what callers mostly
 * send, and answer the same as protobuf-es. Whatever is unusual (unknown fields, negative numbers,
 * a message in two parts, what is no protobuf) goes to protobuf-es from the beginning, and so do
 * types with features that they lack. So nothing is judged in two places.
 */

/** Reads a message. Throws an Error that says what is wrong. */
export type Decoder = (bytes: Uint8Array) => Message;

/** Nobody asks for unknown fields, and keeping them costs more than skipping them. */
export const BINARY_OPTIONS = { readUnknownFields: false } as const;

/** The decoder of a message type. */
export function decoderOf(desc: DescMessage): Decoder {
  const read = messageReader(desc, []);
  if (read === undefined) {
    return (bytes) => fromBinary(desc, bytes, BINARY_OPTIONS);
  }
  return (bytes) => {
    try {
      return read(new Cursor(bytes), bytes.length);
    } catch (error) {
      if (error !== UNUSUAL) {
        throw error;
      }
      return fromBinary(desc, bytes, BINARY_OPTIONS);
    }
  };
}

/** Thrown for what protobuf-es shall read. One for all, because making a stack takes long. */
const UNUSUAL = new Error("not read here");

/** The longest text that a loop looks through for characters that are not ASCII. */
const SHORT_TEXT = 64;

/** A varint of seven bytes has less than 2^49. A longer one is unusual. */
const MAX_SCALE = 2 ** 42;

const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** A place in the bytes of a message. */
class Cursor {
  readonly #bytes: Buffer;
  at = 0;

  constructor({ buffer, byteOffset, length }: Uint8Array) {
    this.#bytes = Buffer.from(buffer, byteOffset, length);
  }

  /** 0 to 2^49-1. What is missing at the end counts as 0; `end` finds it. */
  varint(): number {
    const bytes = this.#bytes;
    let byte = bytes[this.at++] ?? 0;
    if (byte < 0x80) {
      return byte;
    }
    let value = byte & 0x7f;
    for (let scale = 0x80; scale <= MAX_SCALE; scale *= 0x80) {
      byte = bytes[this.at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        return value;
      }
    }
    throw UNUSUAL;
  }

  int32(): number {
    const value = this.varint();
    if (value > 0x7fff_ffff) {
      throw UNUSUAL;
    }
    return value;
  }

  /** The end of what has its length in front of it. */
  end(): number {
    const end = this.varint() + this.at;
    if (end > this.#bytes.length) {
      throw UNUSUAL;
    }
    return end;
  }

  bytes(): Uint8Array {
    const end = this.end();
    const { buffer, byteOffset } = this.#bytes;
    const value = new Uint8Array(buffer, byteOffset + this.at, end - this.at);
    this.at = end;
    return value;
  }

  string(): string {
    const end = this.end();
    const start = this.at;
    this.at = end;
    return this.#isShortAscii(start, end)
      ? this.#bytes.toString("latin1", start, end)
      : this.#decode(start, end);
  }

  #isShortAscii(start: number, end: number): boolean {
    if (end - start > SHORT_TEXT) {
      return false;
    }
    for (let i = start; i < end; i++) {
      if ((this.#bytes[i] ?? 0) > 0x7f) {
        return false;
      }
    }
    return true;
  }

  #decode(start: number, end: number): string {
    try {
      return text.decode(this.#bytes.subarray(start, end));
    } catch {
      throw UNUSUAL;
    }
  }
}

type Fields = Record<string, unknown>;
/** Reads a message that ends at `end`. */
type MessageReader = (cursor: Cursor, end: number) => Message;
/** Reads a value into its field. */
type FieldReader = (message: Fields, cursor: Cursor) => void;
type ValueReader = (cursor: Cursor) => unknown;

/**
 * The reader of a message type. `undefined` = it has a feature that is not read here. `above` are
 * the types around it.
 */
function messageReader(desc: DescMessage, above: readonly DescMessage[]): MessageReader | undefined {
  const zero: Message & Fields = { ...create(desc) };
  if (above.includes(desc) || Object.getPrototypeOf(create(desc)) !== Object.prototype) {
    return undefined;
  }
  const readers = new Map<number, FieldReader>();
  for (const field of desc.fields) {
    const read = fieldReader(field, [...above, desc]);
    if (read === undefined) {
      return undefined;
    }
    readers.set(tagOf(field), read);
  }
  // Each message has lists and maps of its own.
  const lists = namesOf(desc, "list");
  const maps = namesOf(desc, "map");
  return (cursor, end) => {
    const message = { ...zero };
    for (const name of lists) {
      message[name] = [];
    }
    for (const name of maps) {
      message[name] = {};
    }
    while (cursor.at < end) {
      const read = readers.get(cursor.varint());
      if (read === undefined) {
        throw UNUSUAL;
      }
      read(message, cursor);
    }
    if (cursor.at !== end) {
      throw UNUSUAL;
    }
    return message;
  };
}

function namesOf(desc: DescMessage, kind: DescField["fieldKind"]): readonly string[] {
  return desc.fields.filter(({ fieldKind }) => fieldKind === kind).map(({ localName }) => localName);
}

/** protobuf.dev/programming-guides/encoding#structure */
const VARINT = 0;
const LENGTH = 2;

/** The number of a field with its wire type. Another wire type is unusual. */
function tagOf({ number, fieldKind, scalar }: DescField): number {
  const varint =
    fieldKind === "scalar" &&
    (scalar === ScalarType.BOOL || scalar === ScalarType.INT32 || scalar === ScalarType.INT64);
  return ((number << 3) | (varint ? VARINT : LENGTH)) >>> 0;
}

function fieldReader(field: DescField, above: readonly DescMessage[]): FieldReader | undefined {
  const { localName: name } = field;
  switch (field.fieldKind) {
    case "scalar": {
      const read = field.oneof === undefined && !field.longAsString ? scalarReader(field.scalar) : undefined;
      return (
        read &&
        ((message, cursor) => {
          message[name] = read(cursor);
        })
      );
    }
    case "message":
      return field.oneof === undefined ? partReader(name, field.message, above) : undefined;
    case "list":
      return listReader(field, above);
    case "map":
      return field.mapKey === ScalarType.STRING && field.scalar === ScalarType.STRING
        ? mapReader(name)
        : undefined;
    case "enum":
      return undefined;
  }
}

function scalarReader(scalar: ScalarType): ValueReader | undefined {
  switch (scalar) {
    case ScalarType.STRING:
      return (cursor) => cursor.string();
    case ScalarType.BYTES:
      return (cursor) => cursor.bytes();
    case ScalarType.BOOL:
      return (cursor) => cursor.varint() !== 0;
    case ScalarType.INT32:
      return (cursor) => cursor.int32();
    case ScalarType.INT64:
      return (cursor) => BigInt(cursor.varint());
    default:
      return undefined;
  }
}

function partReader(name: string, desc: DescMessage, above: readonly DescMessage[]): FieldReader | undefined {
  const read = messageReader(desc, above);
  return (
    read &&
    ((message, cursor) => {
      if (message[name] !== undefined) {
        throw UNUSUAL;
      }
      message[name] = read(cursor, cursor.end());
    })
  );
}

/** Numbers are packed in lists, and there are few of such. */
function listReader(
  { localName: name, message: desc, scalar }: DescField & { fieldKind: "list" },
  above: readonly DescMessage[],
): FieldReader | undefined {
  const readMessage = desc && messageReader(desc, above);
  const isText = scalar === ScalarType.STRING || scalar === ScalarType.BYTES;
  const read: ValueReader | undefined = isText
    ? scalarReader(scalar)
    : readMessage && ((cursor) => readMessage(cursor, cursor.end()));
  return (
    read &&
    ((message, cursor) => {
      (message[name] as unknown[]).push(read(cursor));
    })
  );
}

/** protobuf.dev/programming-guides/encoding#maps: a message with the fields 1 and 2. */
const MAP_KEY = (1 << 3) | LENGTH;
const MAP_VALUE = (2 << 3) | LENGTH;

function mapReader(name: string): FieldReader {
  return (message, cursor) => {
    const end = cursor.end();
    let key = "";
    let value = "";
    while (cursor.at < end) {
      switch (cursor.varint()) {
        case MAP_KEY:
          key = cursor.string();
          break;
        case MAP_VALUE:
          value = cursor.string();
          break;
        default:
          throw UNUSUAL;
      }
    }
    // An assignment to this name would not make a property.
    if (cursor.at !== end || key === "__proto__") {
      throw UNUSUAL;
    }
    (message[name] as Record<string, string>)[key] = value;
  };
}
