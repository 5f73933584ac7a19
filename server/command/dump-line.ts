import type { ItemFacts, RecordItem } from "../../client/node.ts";
import { MAX_KEY_BYTES, MAX_TTL_SECONDS } from "../limits.ts";
import { factsFromJson, factsToJson } from "./item-facts.ts";
import { MAX_VALUE_BYTES, toJsonBytes } from "./values.ts";

/**
 * The most bytes of a line: the largest value with every byte escaped as six characters, and its
 * key.
 */
export const MAX_LINE_BYTES = 6 * MAX_VALUE_BYTES + 64 * 1024;

/** An entry in a line of a dump. */
interface EntryLine {
  readonly key: string;
  readonly value: string | Buffer;
  /** When it expires, since 1970; `undefined` = never. */
  readonly expiresAtMs: number | undefined;
}

/** Values of a list in a line of a dump. */
export interface ListLine {
  readonly list: string;
  readonly values: readonly (string | Buffer)[];
  /** True: they come behind those of earlier lines. False: the list has no others. */
  readonly append: boolean;
}

/** An item in a line of a dump. */
interface DumpedItem extends Omit<ItemFacts, "ttlSeconds"> {
  readonly key: string | Buffer;
  readonly value: string | Buffer;
  /** When it expires, since 1970; `undefined` = never. */
  readonly expiresAtMs: number | undefined;
}

/** Items of a record in a line of a dump. */
export interface RecordLine {
  readonly record: string;
  readonly items: readonly DumpedItem[];
  /** True: they come beside those of earlier lines. False: the record has no others. */
  readonly append: boolean;
}

/** What a line of a dump says. */
export type DumpLine = EntryLine | ListLine | RecordLine;

/** A line is not one of a dump. The message says why. */
export class LineError extends Error {
  override readonly name = "LineError";
}

/** The line of an entry, with its line feed. */
export function entryLine(key: string, value: Uint8Array, expiresAtMs: number | undefined): string {
  const json = toJsonBytes(value);
  // Put together by hand: an object for each line takes twice as long.
  const field =
    "value" in json ? `"value":${JSON.stringify(json.value)}` : `"value_base64":"${json.value_base64}"`;
  const time = expiresAtMs === undefined ? "" : `,"expires_at":"${new Date(expiresAtMs).toISOString()}"`;
  return `{"key":${JSON.stringify(key)},${field}${time}}\n`;
}

/** The line of some values of a list, with its line feed. */
export function listLine(list: string, values: readonly Uint8Array[], append: boolean): string {
  const told = values.map((value) => {
    const json = toJsonBytes(value);
    return "value" in json ? json.value : json;
  });
  return `${JSON.stringify({ list, ...(append && { append }), values: told })}\n`;
}

/** The line of some items of a record, with its line feed. */
export function recordLine(record: string, items: readonly RecordItem[], append: boolean): string {
  const told = items.map(({ key, value, updatedAtMs, ttlSeconds, ...facts }) => ({
    ...toJsonBytes(key, "key"),
    ...toJsonBytes(value),
    ...(ttlSeconds && { expires_at: new Date(updatedAtMs + ttlSeconds * 1000).toISOString() }),
    ...factsToJson(facts),
  }));
  return `${JSON.stringify({ record, ...(append && { append }), items: told })}\n`;
}

/** What a line of a dump says. `text` is without its line feed. Throws {@link LineError}. */
export function parseLine(text: string): DumpLine {
  const fields = parseObject(text);
  if ("list" in fields) {
    return toListLine(fields);
  }
  return "record" in fields ? toRecordLine(fields) : toEntryLine(fields);
}

type Fields = Readonly<Record<string, unknown>>;

function toListLine({ list, values, append, ...others }: Fields): ListLine {
  refuseOthers(others);
  return {
    list: toKey("list", list),
    append: toAppend(append),
    values: toArray("values", values).map(toListValue),
  };
}

function toRecordLine({ record, items, append, ...others }: Fields): RecordLine {
  refuseOthers(others);
  return {
    record: toKey("record", record),
    append: toAppend(append),
    items: toArray("items", items).map(toItem),
  };
}

function toItem(item: unknown): DumpedItem {
  if (typeof item !== "object" || item === null) {
    throw new LineError("items must be objects");
  }
  const { key, key_base64, value, value_base64, expires_at, ...rest } = item as Fields;
  const { compression, encryption, chunking, ...others } = rest;
  refuseOthers(others);
  return {
    key: toValue(key, key_base64, "key"),
    value: toValue(value, value_base64),
    expiresAtMs: expires_at === undefined ? undefined : toTime(expires_at),
    ...factsFromJson({ compression, encryption, chunking }),
  };
}

function toAppend(append: unknown): boolean {
  if (append !== undefined && typeof append !== "boolean") {
    throw new LineError("append must be true or false");
  }
  return append === true;
}

function toArray(field: string, items: unknown): readonly unknown[] {
  if (!Array.isArray(items)) {
    throw new LineError(`${field} must be an array`);
  }
  return items;
}

function toListValue(value: unknown): string | Buffer {
  if (typeof value !== "object" || value === null) {
    return toValue(value, undefined);
  }
  const { value_base64: base64, ...others } = value as Fields;
  refuseOthers(others);
  return toValue(undefined, base64);
}

function refuseOthers(others: Fields): void {
  const [other] = Object.keys(others);
  if (other !== undefined) {
    throw new LineError(`there is no field ${JSON.stringify(other)}`);
  }
}

function toEntryLine(fields: Fields): EntryLine {
  const { key, value, value_base64: base64, expires_at: expiresAt, ...others } = fields;
  refuseOthers(others);
  return {
    key: toKey("key", key),
    value: toValue(value, base64),
    expiresAtMs: expiresAt === undefined ? undefined : toTime(expiresAt),
  };
}

function parseObject(text: string): Fields {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new LineError("it is not JSON");
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) {
    throw new LineError("it is no JSON object");
  }
  return parsed as Fields;
}

function toKey(field: string, key: unknown): string {
  const text = toText(field, key);
  if (text === "" || text.length > MAX_KEY_BYTES || Buffer.byteLength(text) > MAX_KEY_BYTES) {
    throw new LineError(`${field} must be 1 to ${MAX_KEY_BYTES} bytes of UTF-8`);
  }
  return text;
}

function toText(field: string, text: unknown): string {
  if (typeof text !== "string" || !text.isWellFormed()) {
    throw new LineError(`${field} must be ${text === undefined ? "there" : "text of whole characters"}`);
  }
  return text;
}

function toValue(value: unknown, base64: unknown, field = "value"): string | Buffer {
  if (base64 === undefined) {
    return toText(field, value);
  }
  if (value !== undefined) {
    throw new LineError(`${field} and ${field}_base64: expected one of both`);
  }
  const text = toText(`${field}_base64`, base64);
  const bytes = Buffer.from(text, "base64");
  // Node leaves out what is no base64.
  if (bytes.toString("base64") !== text) {
    throw new LineError(`${field}_base64 is no base64 with padding`);
  }
  return bytes;
}

/** ISO 8601 with a time zone, as {@link entryLine} writes it. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

function toTime(expiresAt: unknown): number {
  const ms = typeof expiresAt === "string" && TIME.test(expiresAt) ? Date.parse(expiresAt) : Number.NaN;
  if (Number.isNaN(ms)) {
    throw new LineError('expires_at must be a time like "2026-01-31T12:00:00.000Z"');
  }
  if (ms > Date.now() + MAX_TTL_SECONDS * 1000) {
    throw new LineError("expires_at must be within 100 years");
  }
  return ms;
}
