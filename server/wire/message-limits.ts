import { type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { PrismError } from "../errors.ts";
import { MAX_AROUND_BYTES, MAX_AROUND_ITEMS_BYTES, MAX_MESSAGE_DEPTH, MIN_ITEM_BYTES } from "../limits.ts";

/*
 * The bounds of a request follow from its type. Reading costs grow with everything that is not a
 * value: a few KB of gzip can hold millions of fields. So a type without values has a small bound,
 * and other types may be as large as their values.
 */

/** The bounds of the messages of a type. */
export interface MessageLimits {
  /** Of the whole message, in JSON or protobuf, uncompressed. */
  readonly maxBytes: number;
  /** Of everything except the content of `bytes` fields. */
  readonly maxAroundBytes: number;
}

/** The bounds of a type whose values have at most `maxValueBytes`. */
export function messageLimits(desc: DescMessage, maxValueBytes: number): MessageLimits {
  const { values, items } = contentsOf(desc, new Set());
  const maxAroundBytes = items ? MAX_AROUND_ITEMS_BYTES : MAX_AROUND_BYTES;
  const maxBytes = values || items ? maxMessageBytes(maxValueBytes) : maxAroundBytes;
  return { maxBytes, maxAroundBytes: Math.min(maxBytes, maxAroundBytes) };
}

/** The bound of any message: the largest value as base64 in JSON, and room for keys and names. */
export function maxMessageBytes(maxValueBytes: number): number {
  return Math.ceil(maxValueBytes / 3) * 4 + 64 * 1024;
}

/**
 * Whether a type has `bytes` fields, and repeated fields, directly or in its messages. `known` are
 * the types above it.
 */
function contentsOf(desc: DescMessage, known: Set<DescMessage>): { values: boolean; items: boolean } {
  const found = { values: false, items: false };
  if (known.has(desc)) {
    return found;
  }
  known.add(desc);
  for (const field of desc.fields) {
    found.values ||= field.scalar === ScalarType.BYTES;
    found.items ||= field.fieldKind === "list" || field.fieldKind === "map";
    if (field.message !== undefined) {
      const { values, items } = contentsOf(field.message, known);
      found.values ||= values;
      found.items ||= items;
    }
  }
  return found;
}

/** The error for a message above {@link MessageLimits.maxBytes}. */
export function messageTooLarge({ maxBytes, maxAroundBytes }: MessageLimits): PrismError {
  const kind =
    maxBytes > maxAroundBytes ? "one whose value has limits.max_value_bytes, in JSON" : "one without a value";
  return new PrismError(
    "value_too_large",
    `the request is larger than ${maxBytes} bytes, which is the limit of ${kind}`,
  );
}

/** The error for a message above {@link MessageLimits.maxAroundBytes}. */
export function aroundTooLarge({ maxAroundBytes }: MessageLimits): PrismError {
  return new PrismError(
    "value_too_large",
    `the request has more than ${maxAroundBytes} bytes besides its values, which is the limit`,
  );
}

/**
 * Makes a check, before decoding, that a large protobuf message is large because of its values.
 * Throws {@link aroundTooLarge}, and Error for what is no protobuf.
 */
export function createAroundCheck(desc: DescMessage, limits: MessageLimits): (message: Uint8Array) => void {
  const layout = layoutOf(desc);
  return (message) => {
    // Most messages are too small to matter.
    if (message.byteLength > limits.maxAroundBytes) {
      const reader = new BinaryReader(message);
      walk(layout, reader, reader.len, { values: 0, items: 0, depth: 0, limits });
    }
  };
}

/** The fields of a message that matter here. */
type Layout = Map<number, FieldLayout>;

interface FieldLayout {
  readonly isValue: boolean;
  readonly isItem: boolean;
  readonly message: Layout | undefined;
}

const layouts = new WeakMap<DescMessage, Layout>();

function layoutOf(desc: DescMessage): Layout {
  let layout = layouts.get(desc);
  if (layout === undefined) {
    layout = new Map();
    // Stored before its fields are read, so that a recursive type finds it.
    layouts.set(desc, layout);
    for (const { fieldKind, number, scalar, message } of desc.fields) {
      const isMap = fieldKind === "map";
      layout.set(number, {
        // An entry of a map is not a message of a known type, so all of it counts.
        isValue: scalar === ScalarType.BYTES && !isMap,
        isItem: isMap || fieldKind === "list",
        message: message === undefined || isMap ? undefined : layoutOf(message),
      });
    }
  }
  return layout;
}

interface Walk {
  /** The bytes of values so far. */
  values: number;
  /** The items of repeated fields so far. */
  items: number;
  depth: number;
  readonly limits: MessageLimits;
}

function walk(layout: Layout, reader: BinaryReader, end: number, state: Walk): void {
  if (++state.depth > MAX_MESSAGE_DEPTH) {
    throw new Error(`messages lie in each other more than ${MAX_MESSAGE_DEPTH} deep`);
  }
  // Groups have no known type; their content counts like the fields around them.
  let groups = 0;
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = groups > 0 ? undefined : layout.get(number);
    if (field?.isItem) {
      state.items++;
    }
    if (wireType === WireType.StartGroup) {
      groups++;
    } else if (wireType === WireType.EndGroup) {
      groups--;
    } else if (wireType === WireType.LengthDelimited) {
      const length = reader.uint32();
      if (length > end - reader.pos) {
        throw new Error("premature EOF");
      }
      if (field?.message !== undefined) {
        walk(field.message, reader, reader.pos + length, state);
      } else {
        reader.pos += length;
        state.values += field?.isValue ? length : 0;
      }
    } else {
      reader.skip(wireType, number);
    }
    if (reader.pos - state.values + state.items * MIN_ITEM_BYTES > state.limits.maxAroundBytes) {
      throw aroundTooLarge(state.limits);
    }
  }
  state.depth--;
}
