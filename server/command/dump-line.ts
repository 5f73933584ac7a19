import { MAX_KEY_BYTES, MAX_TTL_SECONDS } from "../limits.ts";
import { MAX_VALUE_BYTES, toJsonBytes } from "./values.ts";

/**
 * The most bytes of a line: the largest value with every byte escaped as six characters, and its
 * key.
 */
export const MAX_LINE_BYTES = 6 * MAX_VALUE_BYTES + 64 * 1024;

/** An entry in a line of a dump. */
export interface EntryLine {
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

/** What a line of a dump says. `text` is without its line feed. Throws {@link LineError}. */
export function parseLine(text: string): EntryLine | ListLine {
  const fields = parseObject(text);
  return "list" in fields ? toListLine(fields) : toEntryLine(fields);
}

type Fields = Readonly<Record<string, unknown>>;

function toListLine({ list, values, append, ...others }: Fields): ListLine {
  refuseOthers(others);
  if (append !== undefined && typeof append !== "boolean") {
    throw new LineError("append must be true or false");
  }
  if (!Array.isArray(values)) {
    throw new LineError("values must be an array");
  }
  return { list: toKey("list", list), append: append === true, values: values.map(toListValue) };
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

function toValue(value: unknown, base64: unknown): string | Buffer {
  if (base64 === undefined) {
    return toText("value", value);
  }
  if (value !== undefined) {
    throw new LineError("value and value_base64: expected one of both");
  }
  const text = toText("value_base64", base64);
  const bytes = Buffer.from(text, "base64");
  // Node leaves out what is no base64.
  if (bytes.toString("base64") !== text) {
    throw new LineError("value_base64 is no base64 with padding");
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
