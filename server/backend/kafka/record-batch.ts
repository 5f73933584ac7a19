import { MAX_EVENT_TIME_MS } from "../../limits.ts";
import { storeError } from "../store-errors.ts";
import { type HeldEvent, hasTags, type Tags } from "../streams.ts";
import { setTag } from "../tag-text.ts";
import {
  AT_ATTRIBUTES,
  AT_COUNT,
  AT_CRC,
  AT_FIRST_TIME,
  AT_FORMAT,
  AT_LAST_DELTA,
  AT_MAX_TIME,
  AT_SIZE,
  checksum,
  FORMAT,
  HEAD_BYTES,
  SIZE_END,
  TAG_PREFIX,
} from "./batch-layout.ts";
import { decompress } from "./decompress.ts";

const COMPRESSION_MASK = 0b111;
const APPEND_TIME = 1 << 3;
const CONTROL = 1 << 5;

/** A varint of 64 bits has at most so many bytes. */
const MAX_VARINT_BYTES = 10;
const NO_TAGS: Tags = Object.freeze({});

/**
 * Reads the record at which {@link walkBatch} stands. `undefined` = it lacks some of the tags.
 * The event has memory of its own.
 */
export function readEvent(
  offset: number,
  timestampMs: number,
  record: Cursor,
  tags: Tags,
): HeldEvent | undefined {
  const payload = readPayload(record);
  const has = readTags(record);
  return hasTags({ tags: has }, tags)
    ? { offset, timestampMs, payload: Buffer.from(payload), tags: has }
    : undefined;
}

/** A complete batch of a fetch. Its checksum is right. */
export interface RecordBatch {
  readonly bytes: Buffer;
  readonly firstOffset: number;
  /** The first offset behind it. */
  readonly nextOffset: number;
  /** No event of it is later. */
  readonly maxMs: number;
}

/**
 * Finds the batches of a fetch. An incomplete one at the end, which Kafka cuts off, is left out.
 * They are views of `records`. Throws {@link PrismError} `corrupt_data`.
 */
export function readBatches(records: Uint8Array): RecordBatch[] {
  const all = Buffer.from(records.buffer, records.byteOffset, records.length);
  const batches: RecordBatch[] = [];
  for (let start = 0; start + SIZE_END <= all.length; ) {
    const end = start + SIZE_END + all.readInt32BE(start + AT_SIZE);
    if (end < start + HEAD_BYTES) {
      throw damaged("a record batch is too short");
    }
    if (end > all.length) {
      break;
    }
    const bytes = all.subarray(start, end);
    checkBatch(bytes);
    const firstOffset = readInt64(bytes, 0);
    const nextOffset = firstOffset + bytes.readInt32BE(AT_LAST_DELTA) + 1;
    batches.push({ bytes, firstOffset, nextOffset, maxMs: withinTimes(readInt64(bytes, AT_MAX_TIME)) });
    start = end;
  }
  return batches;
}

function checkBatch(batch: Buffer): void {
  if (batch[AT_FORMAT] !== FORMAT) {
    throw damaged(`a record batch of format ${batch[AT_FORMAT]}`);
  }
  if (batch.readUInt32BE(AT_CRC) !== checksum(batch)) {
    throw damaged("a record batch has another checksum");
  }
}

/**
 * Is called with a record before that is read: the cursor stands at its key, and may stay anywhere.
 * Answers whether it wants more.
 */
export type RecordVisit = (offset: number, timestampMs: number, record: Cursor) => boolean;

/**
 * Visits the records of a batch from `fromOffset` on. Times that Prism does not take become the
 * nearest that it takes. Answers the offset at which `visit` wanted no more; `undefined` = it wants
 * more. Throws {@link PrismError} `corrupt_data`.
 */
export function walkBatch(
  { bytes: batch, firstOffset }: RecordBatch,
  fromOffset: number,
  visit: RecordVisit,
): number | undefined {
  const attributes = batch.readInt16BE(AT_ATTRIBUTES);
  if ((attributes & CONTROL) !== 0) {
    return undefined;
  }
  const lastDelta = batch.readInt32BE(AT_LAST_DELTA);
  const firstMs = readInt64(batch, AT_FIRST_TIME);
  const maxMs = readInt64(batch, AT_MAX_TIME);
  const count = batch.readInt32BE(AT_COUNT);
  const cursor = new Cursor(decompress(batch.subarray(HEAD_BYTES), attributes & COMPRESSION_MASK));
  for (let i = 0; i < count; i++) {
    cursor.enter();
    const delta = cursor.varint();
    const offsetDelta = cursor.varint();
    if (offsetDelta < 0 || offsetDelta > lastDelta) {
      throw damaged("a record is outside of its batch");
    }
    const offset = firstOffset + offsetDelta;
    if (offset >= fromOffset) {
      const timeMs = (attributes & APPEND_TIME) === 0 ? firstMs + delta : maxMs;
      if (!visit(offset, withinTimes(timeMs), cursor)) {
        return offset;
      }
    }
    cursor.leave();
  }
  return undefined;
}

/** The nearest time that Prism takes. */
function withinTimes(timeMs: number): number {
  return Math.min(Math.max(timeMs, 1), MAX_EVENT_TIME_MS);
}

/** Reads records from memory, and throws where one is cut off. */
export class Cursor {
  readonly bytes: Buffer;
  at = 0;
  /** Where the record ends. */
  #end = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** Goes into the next record, to its time. */
  enter(): void {
    this.#end = this.bytes.length;
    // Its size, which must leave room for its attributes.
    const size = this.varint();
    this.#end = this.at + size;
    if (size < 1 || this.#end > this.bytes.length) {
      throw damaged("a record is cut off");
    }
    this.at++;
  }

  /** Goes behind the record. */
  leave(): void {
    this.at = this.#end;
  }

  varint(): number {
    const first = this.bytes[this.at] ?? 0x80;
    if (first < 0x80 && this.at < this.#end) {
      this.at++;
      return (first >>> 1) ^ -(first & 1);
    }
    return this.#longVarint();
  }

  /** Exact up to 2^53, which is more than any size, offset or time that Prism takes. */
  #longVarint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      if (this.at >= this.#end) {
        throw damaged("a record is cut off");
      }
      const byte = this.bytes[this.at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
      }
      scale *= 0x80;
    }
    throw damaged("a number in a record is too long");
  }

  /** Goes over bytes with their size before them. Answers where they begin; -1 = null. */
  skip(): number {
    const size = this.varint();
    if (size < 0) {
      return -1;
    }
    const start = this.at;
    if (start + size > this.#end) {
      throw damaged("a record is cut off");
    }
    this.at = start + size;
    return start;
  }
}

/** The cursor stands at the key, and then at the headers. The payload is a view. */
function readPayload(cursor: Cursor): Buffer {
  cursor.skip();
  const start = cursor.skip();
  return start === -1 ? cursor.bytes.subarray(0, 0) : cursor.bytes.subarray(start, cursor.at);
}

function readTags(cursor: Cursor): Tags {
  const count = cursor.varint();
  if (count < 0) {
    throw damaged("a record has a negative number of headers");
  }
  let tags: Record<string, string> | undefined;
  for (let i = 0; i < count; i++) {
    const { bytes } = cursor;
    const nameStart = cursor.skip();
    const nameEnd = cursor.at;
    const valueStart = cursor.skip();
    if (nameStart === -1) {
      throw damaged("a header has no name");
    }
    const isTag = nameEnd - nameStart >= 2 && bytes[nameStart] === 0x74 && bytes[nameStart + 1] === 0x3a;
    if (!isTag) {
      continue;
    }
    const name = bytes.toString("utf8", nameStart + TAG_PREFIX.length, nameEnd);
    const value = valueStart === -1 ? "" : bytes.toString("utf8", valueStart, cursor.at);
    tags ??= {};
    setTag(tags, name, value);
  }
  return tags ?? NO_TAGS;
}

function damaged(what: string): Error {
  return storeError("corrupt_data", new Error(what));
}

/** Exact for safe integers. */
function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4);
}
