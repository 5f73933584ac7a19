import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonValue,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import { PrismError } from "../errors.ts";
import { oneOf } from "../nearest.ts";
import { decodeBase64 } from "./base64.ts";
import { JsonCode, JsonText } from "./json-text.ts";
import type { MessageLimits } from "./message-limits.ts";
import { JSON_OPTIONS } from "./wire-format.ts";

/*
 * Requests in JSON. The text is read along the descriptor: unknown fields are refused where they
 * begin, base64 is checked strictly, and no more is built than the type has room for. The result is
 * a plain object with the message's fields. protobuf-es turns it into a message, because it knows
 * the JSON of each type. (Its own reader allows white space in base64, parses everything before it
 * checks anything, and looks for repeated names character by character, which takes ten times as
 * long as all else.)
 */

/** What to do with fields that a message does not have. */
export type UnknownFields = "reject" | "ignore";

/** Reads a message. Throws PrismError, or an Error of protobuf-es for a value of the wrong type. */
export type JsonReader = (bytes: Uint8Array) => Message;

/** The reader of a message type. */
export function createJsonReader(
  desc: DescMessage,
  limits: MessageLimits,
  unknownFields: UnknownFields,
): JsonReader {
  const shape = shapeOf(desc);
  const ignore = unknownFields === "ignore";
  const options = { ignoreUnknownFields: ignore };
  return (bytes) => {
    const json = new JsonText(JSON_OPTIONS.textDecoder.decode(bytes), limits);
    const plain = readMessage(shape, { json, ignore, path: [] });
    json.end();
    // `bytes` fields hold bytes already, which protobuf-es accepts.
    return fromJson(desc, plain as JsonValue, options);
  };
}

const { QUOTE, COMMA, COLON, OPEN_LIST, CLOSE_LIST, N, OPEN_OBJECT, CLOSE_OBJECT } = JsonCode;

/** The state of reading one text. */
interface Reading {
  readonly json: JsonText;
  readonly ignore: boolean;
  /** The fields and list indexes that lead to the current message. */
  readonly path: (string | number)[];
}

type ReadValue = (reading: Reading) => unknown;

/** A field as it appears in JSON. */
interface Slot {
  /** One of the field's two names in JSON. */
  readonly name: string;
  readonly read: ReadValue;
}

interface Shape {
  readonly desc: DescMessage;
  /** By both names (protobuf.dev/programming-guides/json#field-names). */
  readonly slots: Map<string, Slot>;
}

const shapes = new WeakMap<DescMessage, Shape>();

function shapeOf(desc: DescMessage): Shape {
  let shape = shapes.get(desc);
  if (shape === undefined) {
    shape = { desc, slots: new Map() };
    // Stored before its fields are read, so that a recursive type finds it.
    shapes.set(desc, shape);
    for (const field of desc.fields) {
      const slot = { name: field.jsonName, read: fieldReader(field) };
      shape.slots.set(field.jsonName, slot).set(field.name, slot);
    }
  }
  return shape;
}

function readMessage({ desc, slots }: Shape, reading: Reading): Record<string, unknown> {
  const { json } = reading;
  const plain: Record<string, unknown> = {};
  json.enter(OPEN_OBJECT);
  if (json.peek() !== CLOSE_OBJECT) {
    do {
      const name = json.string();
      json.expect(COLON);
      const slot = slots.get(name);
      if (slot === undefined) {
        readUnknown(desc, name, reading);
      } else if (Object.hasOwn(plain, slot.name)) {
        throw new PrismError("malformed_request", `field ${slot.name} is set more than once`);
      } else {
        plain[slot.name] = slot.read(reading);
      }
    } while (json.takes(COMMA));
  }
  json.leave(CLOSE_OBJECT);
  return plain;
}

function readUnknown(desc: DescMessage, name: string, { json, ignore, path }: Reading): void {
  if (ignore) {
    json.any();
    return;
  }
  const cut = name.slice(0, MAX_QUOTED);
  const known = desc.fields.flatMap((field) => [...new Set([field.jsonName, field.name])]);
  throw new PrismError("invalid_field", `${desc.name} has no field "${escaped(cut)}"; ${oneOf(known, cut)}`, {
    field: pathOf([...path, escaped(cut)]),
  });
}

/** Enough of a name to find it by. */
const MAX_QUOTED = 60;

/**
 * A caller's text in quotes on one line. Characters that are invisible or change the text direction
 * are escaped.
 */
function escaped(text: string): string {
  return JSON.stringify(text)
    .slice(1, -1)
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/** `["item", 3, "name"]` as `item[3].name`. */
function pathOf(path: readonly (string | number)[]): string {
  return path.reduce<string>(
    (text, step) => (typeof step === "number" ? `${text}[${step}]` : text === "" ? step : `${text}.${step}`),
    "",
  );
}

function fieldReader(field: DescField): ReadValue {
  const readValue = valueReader(field);
  switch (field.fieldKind) {
    case "list":
      return within(field.name, (reading) => readList(readValue, reading));
    case "map":
      return within(field.name, (reading) => readMap(readValue, reading));
    case "message":
      return within(field.name, readValue);
    case "scalar":
      return field.scalar === ScalarType.BYTES ? within(field.name, readValue) : readValue;
    case "enum":
      return readValue;
  }
}

/** Reads one of a field's values. */
function valueReader({ scalar, message }: DescField): ReadValue {
  if (scalar === ScalarType.BYTES) {
    return readBytes;
  }
  if (message === undefined) {
    return ({ json }) => json.scalar();
  }
  // They have special forms in JSON.
  if (message.typeName.startsWith("google.protobuf.")) {
    return ({ json }) => json.any();
  }
  const shape = shapeOf(message);
  return (reading) => readMessage(shape, reading);
}

/** protobuf-es decides what null means. */
function within(field: string, read: ReadValue): ReadValue {
  return (reading) => {
    if (reading.json.peek() === N) {
      return reading.json.scalar();
    }
    reading.path.push(field);
    const value = read(reading);
    reading.path.pop();
    return value;
  };
}

function readBytes({ json, path }: Reading): Uint8Array {
  const bytes = json.peek() === QUOTE ? decodeBase64(json.value()) : undefined;
  if (bytes === undefined) {
    const field = pathOf(path);
    throw new PrismError(
      "invalid_field",
      `${field} is not base64: bytes are base64 or base64url in JSON, such as "d29ybGQ=" for "world"`,
      { field },
    );
  }
  return bytes;
}

function readList(readItem: ReadValue, reading: Reading): unknown[] {
  const { json, path } = reading;
  const items: unknown[] = [];
  json.enter(OPEN_LIST);
  if (json.peek() !== CLOSE_LIST) {
    do {
      json.item();
      path.push(items.length);
      items.push(json.peek() === N ? json.scalar() : readItem(reading));
      path.pop();
    } while (json.takes(COMMA));
  }
  json.leave(CLOSE_LIST);
  return items;
}

function readMap(readItem: ReadValue, reading: Reading): Record<string, unknown> {
  const { json, path } = reading;
  // Any key is possible, even __proto__.
  const entries: Record<string, unknown> = Object.create(null);
  json.enter(OPEN_OBJECT);
  if (json.peek() !== CLOSE_OBJECT) {
    do {
      json.item();
      const key = json.string();
      json.expect(COLON);
      if (key in entries) {
        throw new PrismError("malformed_request", `${pathOf(path)} has a key more than once`);
      }
      entries[key] = json.peek() === N ? json.scalar() : readItem(reading);
    } while (json.takes(COMMA));
  }
  json.leave(CLOSE_OBJECT);
  return entries;
}
