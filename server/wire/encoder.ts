import { create, type DescField, type DescMessage, ScalarType, toBinary } from "@bufbuild/protobuf";
import type { AnyColumn, Columns } from "../calls/columns.ts";
import type { MessageWriter } from "./message-writer.ts";

/*
 * Encoders compiled from descriptors, once for each message type. They write the same bytes as
 * protobuf-es. Its `toBinary` makes a writer and two arrays for each message; these write all
 * messages into one buffer (`bench/encoder.ts`). Types with features that they lack (groups,
 * proto2, the JSON-like well-known types) go to `toBinary`.
 */

/** Writes a message, or an argument of `create` for one: absent fields are zero. */
export type Encoder = (message: object, writer: MessageWriter) => void;

type Fields = Readonly<Record<string, unknown>>;
/** Writes a field of a message, if it is set. */
type FieldEncoder = (message: Fields, writer: MessageWriter) => void;
/** Writes a value without its tag. */
type ValueEncoder = (value: unknown, writer: MessageWriter) => void;

const encoders = new WeakMap<DescMessage, Encoder>();

/** The encoder of a message type; the same for every call. */
export function encoderOf(desc: DescMessage): Encoder {
  const known = encoders.get(desc);
  if (known !== undefined) {
    return known;
  }
  const fields: FieldEncoder[] = [];
  const encoder: Encoder = isCompilable(desc)
    ? (message, writer) => {
        for (const field of fields) {
          field(message as Fields, writer);
        }
        writeUnknown(message, writer);
      }
    : (message, writer) => writer.raw(toBinary(desc, create(desc, message as Fields)));
  // Stored before its fields are compiled, so that a recursive type finds it.
  encoders.set(desc, encoder);
  if (isCompilable(desc)) {
    for (const field of desc.fields.toSorted((a, b) => a.number - b.number)) {
      fields.push(fieldEncoder(field));
    }
  }
  return encoder;
}

/**
 * Encodes the messages of a batch by index, without making objects. Throws TypeError for a column
 * that is no scalar field.
 */
export function columnsEncoder(
  desc: DescMessage,
  columns: Columns<object>,
): (row: number, writer: MessageWriter) => void {
  const writers = Object.entries(columns.fields)
    .map(([name, column]) => {
      const field = desc.fields.find(({ localName }) => localName === name);
      if (field?.fieldKind !== "scalar" || field.oneof !== undefined) {
        throw new TypeError(`not a scalar field: ${name}`);
      }
      return { field, column };
    })
    .sort((a, b) => a.field.number - b.field.number)
    .map(({ field, column }) => columnWriter(field, column));
  const { last } = columns;
  const lastRow = last === undefined ? -1 : columns.length - 1;
  return (row, writer) => {
    for (const write of writers) {
      write(row, writer);
    }
    if (row === lastRow && last !== undefined) {
      encoderOf(desc)(last, writer);
    }
  };
}

function columnWriter(
  field: DescField & { fieldKind: "scalar" },
  column: AnyColumn,
): (row: number, writer: MessageWriter) => void {
  const { tag, write } = taggedValue(field.number, field);
  const implicit = !field.proto.proto3Optional;
  if ("copyTo" in column) {
    return (row, writer) => {
      const bytes = column.bytesOf(row);
      if (!(implicit && bytes === 0)) {
        writer.varint(tag);
        writer.varint(bytes);
        writer.value(column, row, bytes);
      }
    };
  }
  return (row, writer) => {
    const value = column[row];
    if (!(implicit && isZero(value))) {
      writer.varint(tag);
      write(value, writer);
    }
  };
}

/** proto3 outside google.protobuf, whose types have special forms in `create`. */
function isCompilable({ file, typeName, fields }: DescMessage): boolean {
  return (
    file.proto.syntax === "proto3" &&
    !typeName.startsWith("google.protobuf.") &&
    fields.every(({ message }) => message?.typeName.startsWith("google.protobuf.") !== true)
  );
}

/** How protobuf-es stores unknown fields. */
interface Unknown {
  readonly $unknown?: readonly {
    readonly no: number;
    readonly wireType: number;
    readonly data: Uint8Array;
  }[];
}

function writeUnknown(message: Unknown, writer: MessageWriter): void {
  const { $unknown } = message;
  if ($unknown !== undefined) {
    for (const { no, wireType, data } of $unknown) {
      writer.varint(((no << 3) | wireType) >>> 0);
      writer.raw(data);
    }
  }
}

function fieldEncoder(field: DescField): FieldEncoder {
  switch (field.fieldKind) {
    case "list":
      return listEncoder(field);
    case "map":
      return mapEncoder(field);
    case "scalar":
    case "enum":
    case "message":
      return singularEncoder(field);
  }
}

function singularEncoder(field: DescField & { fieldKind: "scalar" | "enum" | "message" }): FieldEncoder {
  const { localName: name } = field;
  const { tag, write } = taggedValue(field.number, field);
  if (field.oneof !== undefined) {
    const { localName: group } = field.oneof;
    return (message, writer) => {
      const chosen = message[group] as { readonly case?: string; readonly value?: unknown } | undefined;
      if (chosen?.case === name) {
        writer.varint(tag);
        write(chosen.value, writer);
      }
    };
  }
  // Without presence a zero is not on the wire. A message or an `optional` field is on the wire
  // whenever it is set.
  const implicit = field.fieldKind !== "message" && !field.proto.proto3Optional;
  return (message, writer) => {
    const value = message[name];
    if (value !== undefined && !(implicit && isZero(value))) {
      writer.varint(tag);
      write(value, writer);
    }
  };
}

function listEncoder(field: DescField & { fieldKind: "list" }): FieldEncoder {
  const { localName: name, number } = field;
  const { tag, write } = taggedValue(number, field);
  if (!field.packed) {
    return (message, writer) => {
      for (const item of listOf(message[name])) {
        writer.varint(tag);
        write(item, writer);
      }
    };
  }
  const packedTag = tagOf(number, WireType.LENGTH);
  return (message, writer) => {
    const items = listOf(message[name]);
    if (items.length > 0) {
      writer.varint(packedTag);
      const start = writer.begin();
      for (const item of items) {
        write(item, writer);
      }
      writer.finish(start);
    }
  };
}

function mapEncoder(field: DescField & { fieldKind: "map" }): FieldEncoder {
  const { localName: name, number, mapKey } = field;
  const entryTag = tagOf(number, WireType.LENGTH);
  const keyTag = tagOf(1, SCALARS[mapKey].wireType);
  const writeKey = SCALARS[mapKey].write;
  const parseKey = mapKeyParser(mapKey);
  const { tag: valueTag, write: writeValue } = taggedValue(2, field);
  return (message, writer) => {
    for (const [key, value] of Object.entries(message[name] ?? {})) {
      writer.varint(entryTag);
      const start = writer.begin();
      writer.varint(keyTag);
      writeKey(parseKey(key), writer);
      writer.varint(valueTag);
      writeValue(value, writer);
      writer.finish(start);
    }
  };
}

/** A map's keys are property names, so they are text for every key type. */
function mapKeyParser(type: ScalarType): (key: string) => unknown {
  switch (type) {
    case ScalarType.STRING:
      return (key) => key;
    case ScalarType.BOOL:
      return (key) => key === "true";
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return BigInt;
    default:
      return Number;
  }
}

/** The type of a field's values, in protobuf-es's terms. */
interface ValueDesc {
  readonly scalar?: ScalarType | undefined;
  readonly message?: DescMessage | undefined;
}

/** Writes a value with its field's tag. A value that is neither scalar nor message is an enum. */
function taggedValue(number: number, { scalar, message }: ValueDesc): { tag: number; write: ValueEncoder } {
  if (message !== undefined) {
    const encode = encoderOf(message);
    return {
      tag: tagOf(number, WireType.LENGTH),
      write(value, writer) {
        const start = writer.begin();
        encode(value as object, writer);
        writer.finish(start);
      },
    };
  }
  const { wireType, write } = SCALARS[scalar ?? ScalarType.INT32];
  return { tag: tagOf(number, wireType), write };
}

/** protobuf.dev/programming-guides/encoding#structure */
const WireType = { VARINT: 0, BITS_64: 1, LENGTH: 2, BITS_32: 5 } as const;

function tagOf(number: number, wireType: number): number {
  return ((number << 3) | wireType) >>> 0;
}

const scalar = <T>(wireType: number, write: (value: T, writer: MessageWriter) => void) => ({
  wireType,
  write: write as ValueEncoder,
});

const SCALARS: Readonly<Record<ScalarType, { readonly wireType: number; readonly write: ValueEncoder }>> = {
  [ScalarType.STRING]: scalar<string>(WireType.LENGTH, (value, writer) => writer.string(value)),
  [ScalarType.BYTES]: scalar<Uint8Array>(WireType.LENGTH, (value, writer) => writer.bytes(value)),
  [ScalarType.BOOL]: scalar<boolean>(WireType.VARINT, (value, writer) => writer.varint(value ? 1 : 0)),
  [ScalarType.INT32]: scalar<number>(WireType.VARINT, (value, writer) => writer.int32(value)),
  [ScalarType.UINT32]: scalar<number>(WireType.VARINT, (value, writer) => writer.varint(value)),
  [ScalarType.SINT32]: scalar<number>(WireType.VARINT, (value, writer) =>
    writer.varint(((value << 1) ^ (value >> 31)) >>> 0),
  ),
  [ScalarType.INT64]: scalar<bigint>(WireType.VARINT, (value, writer) => writer.varint64(value)),
  [ScalarType.UINT64]: scalar<bigint>(WireType.VARINT, (value, writer) => writer.varint64(value)),
  [ScalarType.SINT64]: scalar<bigint>(WireType.VARINT, (value, writer) =>
    writer.varint64((value << 1n) ^ (value >> 63n)),
  ),
  [ScalarType.FIXED32]: scalar<number>(WireType.BITS_32, (value, writer) => writer.fixed32(value)),
  [ScalarType.SFIXED32]: scalar<number>(WireType.BITS_32, (value, writer) => writer.fixed32(value >>> 0)),
  [ScalarType.FIXED64]: scalar<bigint>(WireType.BITS_64, (value, writer) => writer.fixed64(value)),
  [ScalarType.SFIXED64]: scalar<bigint>(WireType.BITS_64, (value, writer) => writer.fixed64(value)),
  [ScalarType.FLOAT]: scalar<number>(WireType.BITS_32, (value, writer) => writer.float(value)),
  [ScalarType.DOUBLE]: scalar<number>(WireType.BITS_64, (value, writer) => writer.double(value)),
};

/** -0 is not zero: it is on the wire. */
function isZero(value: unknown): boolean {
  return value instanceof Uint8Array
    ? value.length === 0
    : value === "" || value === false || value === 0n || Object.is(value, 0);
}

function listOf(value: unknown): readonly unknown[] {
  return (value as readonly unknown[] | undefined) ?? [];
}
