import { storeError } from "./store-errors.ts";
import type { EventPlace, HeldEvent, NewEvent, Tags } from "./streams.ts";
import { bytesOfText, setTag, writeText } from "./tag-text.ts";

/** The most time between two events of a chunk, in milliseconds. */
export const CHUNK_SPAN_MS = 3_600_000;
/** The most bytes of a chunk, but for one event that is larger. */
export const CHUNK_BYTES = 256 * 1024;
/** The most events of a chunk. */
export const CHUNK_EVENTS = 4096;

/*
 * A chunk is a head, a row for each event, the order of times, and for each event its tags and its
 * payload. Numbers are little-endian.
 *
 *   head   first offset, first time, last time: 64-bit floats; count: 32 bits; format, has order:
 *          8 bits
 *   row    time since the first time, where the event's bytes end, how many of them are tags:
 *          32 bits each
 *   order  the places of the events in the order of their times: 16 bits each. Only if `has order`
 *          is 1; if it is 0, the events are in that order themselves
 *   tag    size of the name, size of the value: 16 bits each; name, value: UTF-8
 */
const AT_COUNT = 24;
const AT_FORMAT = 28;
const AT_HAS_ORDER = 29;
const HEAD_BYTES = 32;
const AT_END = 4;
const AT_TAG_BYTES = 8;
const ROW_BYTES = 12;
const ORDER_BYTES = 2;
const TAG_HEAD_BYTES = 4;
/** The format that is written. Another one is of a later version of Prism. */
const FORMAT = 1;

const NO_TAGS: Tags = Object.freeze({});

/** Events with consecutive offsets, packed in one array of bytes. Nobody changes it. */
export class EventChunk {
  readonly bytes: Buffer;
  /** The offset of the first event. */
  readonly firstOffset: number;
  /** How many events it holds, at least one. */
  readonly count: number;
  /** The earliest time of its events, in milliseconds since 1970. */
  readonly minMs: number;
  /** Their latest time. */
  readonly maxMs: number;
  readonly #hasOrder: boolean;

  /** Reads the head of an encoded chunk. Throws {@link PrismError} `corrupt_data`. */
  constructor(encoded: Uint8Array) {
    const bytes = asBuffer(encoded);
    if (bytes.length < HEAD_BYTES || bytes[AT_FORMAT] !== FORMAT) {
      throw storeError("corrupt_data", new Error("no chunk of events"));
    }
    this.bytes = bytes;
    this.firstOffset = bytes.readDoubleLE(0);
    this.minMs = bytes.readDoubleLE(8);
    this.maxMs = bytes.readDoubleLE(16);
    this.count = bytes.readUInt32LE(AT_COUNT);
    this.#hasOrder = bytes[AT_HAS_ORDER] === 1;
    if (this.count === 0 || bytes.length < this.#start || this.#end(this.count - 1) !== bytes.length) {
      throw storeError("corrupt_data", new Error("a chunk of events is cut off"));
    }
  }

  /** The offset behind its last event. */
  get nextOffset(): number {
    return this.firstOffset + this.count;
  }

  /** The time of the event at a place, 0 to `count` - 1, in milliseconds since 1970. */
  timeAt(place: number): number {
    return this.minMs + this.bytes.readUInt32LE(rowAt(place));
  }

  /** The place of an event when they are in the order of their times, and then of their offsets. */
  placeOf(rank: number): number {
    return this.#hasOrder ? this.bytes.readUInt16LE(rowAt(this.count) + rank * ORDER_BYTES) : rank;
  }

  /** The event at a place, 0 to `count` - 1. Its payload is a view of the chunk. */
  at(place: number): HeldEvent {
    const row = rowAt(place);
    const tagBytes = this.bytes.readUInt32LE(row + AT_TAG_BYTES);
    const start = this.#startOf(place);
    return {
      offset: this.firstOffset + place,
      timestampMs: this.timeAt(place),
      payload: this.bytes.subarray(start + tagBytes, this.#end(place)),
      tags: tagBytes === 0 ? NO_TAGS : readTags(this.bytes, start, start + tagBytes),
    };
  }

  /** How many events come before a time, or at it and before an offset. */
  rankOf({ timestampMs, offset }: EventPlace): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const place = this.placeOf(middle);
      const timeMs = this.timeAt(place);
      if (timeMs < timestampMs || (timeMs === timestampMs && this.firstOffset + place < offset)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  /** Where the bytes of the first event begin. */
  get #start(): number {
    return rowAt(this.count) + (this.#hasOrder ? this.count * ORDER_BYTES : 0);
  }

  #startOf(place: number): number {
    return place === 0 ? this.#start : this.#end(place - 1);
  }

  #end(place: number): number {
    return this.bytes.readUInt32LE(rowAt(place) + AT_END);
  }

  /**
   * Joins this chunk with the one behind it. `undefined` = together they have more than `maxBytes`,
   * or too long a time between them.
   */
  join(next: EventChunk, maxBytes: number): EventChunk | undefined {
    return EventChunk.joinAll([this, next], maxBytes);
  }

  /** The same for any number of chunks, each behind the one before it. */
  static joinAll(chunks: readonly EventChunk[], maxBytes: number): EventChunk | undefined {
    const { firstOffset = 0 } = chunks[0] ?? {};
    let minMs = Infinity;
    let maxMs = -Infinity;
    let count = 0;
    let bodies = 0;
    let hasOrder = false;
    for (const chunk of chunks) {
      hasOrder ||= chunk.#hasOrder || chunk.minMs < maxMs;
      minMs = Math.min(minMs, chunk.minMs);
      maxMs = Math.max(maxMs, chunk.maxMs);
      count += chunk.count;
      bodies += chunk.bytes.length - chunk.#start;
    }
    const size = rowAt(count) + bodies + (hasOrder ? count * ORDER_BYTES : 0);
    if (size > maxBytes || count > CHUNK_EVENTS || maxMs - minMs > CHUNK_SPAN_MS) {
      return undefined;
    }
    const joined = allocate({ firstOffset, minMs, maxMs, count, hasOrder }, size);
    let end = size - bodies;
    let row = HEAD_BYTES;
    for (const chunk of chunks) {
      chunk.#copyTo(joined, { first: 0, count: chunk.count, minMs }, { row, end });
      row += chunk.count * ROW_BYTES;
      end += chunk.bytes.length - chunk.#start;
    }
    return finish(joined, count, hasOrder);
  }

  /**
   * Cuts it into as few chunks as possible, each with at most this much time between its events.
   */
  split(spanMs: number): readonly EventChunk[] {
    const parts: EventChunk[] = [];
    for (let first = 0; first < this.count; ) {
      let minMs = Infinity;
      let maxMs = -Infinity;
      let lastMs = -Infinity;
      let hasOrder = false;
      let next = first;
      for (; next < this.count; next++) {
        const timeMs = this.timeAt(next);
        const earliestMs = Math.min(minMs, timeMs);
        const latestMs = Math.max(maxMs, timeMs);
        if (latestMs - earliestMs > spanMs) {
          break;
        }
        hasOrder ||= timeMs < lastMs;
        lastMs = timeMs;
        minMs = earliestMs;
        maxMs = latestMs;
      }
      const count = next - first;
      const end = rowAt(count) + (hasOrder ? count * ORDER_BYTES : 0);
      const head = { firstOffset: this.firstOffset + first, minMs, maxMs, count, hasOrder };
      const part = allocate(head, end + this.#end(next - 1) - this.#startOf(first));
      this.#copyTo(part, { first, count, minMs }, { row: HEAD_BYTES, end });
      parts.push(finish(part, count, hasOrder));
      first = next;
    }
    return parts;
  }

  /** Copies some of its events to another chunk: their rows to `row`, and their bytes to `end`. */
  #copyTo(
    to: Buffer,
    { first, count, minMs }: { readonly first: number; readonly count: number; readonly minMs: number },
    { row, end }: { readonly row: number; readonly end: number },
  ): void {
    const start = this.#startOf(first);
    to.set(this.bytes.subarray(start, this.#end(first + count - 1)), end);
    for (let i = first, at = row; i < first + count; i++, at += ROW_BYTES) {
      to.writeUInt32LE(this.timeAt(i) - minMs, at);
      to.writeUInt32LE(this.#end(i) - start + end, at + AT_END);
      to.writeUInt32LE(this.bytes.readUInt32LE(rowAt(i) + AT_TAG_BYTES), at + AT_TAG_BYTES);
    }
  }
}

/**
 * Packs the events of an append in chunks. The offsets of each follow those of the chunk before it.
 * `nowMs` is the time of events that have none. Tags have at most 65,535 bytes each.
 */
export function encodeEvents(
  events: readonly NewEvent[],
  firstOffset: number,
  nowMs: number,
): readonly EventChunk[] {
  const chunks: EventChunk[] = [];
  let first = 0;
  while (first < events.length) {
    const part = partFrom(events, first, nowMs);
    chunks.push(encodePart(events, first, part, { firstOffset: firstOffset + first, nowMs }));
    first += part.count;
  }
  return chunks;
}

/** Gives an encoded chunk another first offset, in place: nobody else may use its bytes. */
export function moveChunk(encoded: Uint8Array, firstOffset: number): EventChunk {
  const bytes = asBuffer(encoded);
  bytes.writeDoubleLE(firstOffset, 0);
  return new EventChunk(bytes);
}

/** What goes into one chunk. */
interface Part {
  readonly count: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly hasOrder: boolean;
  /** The size of the chunk, without the order. */
  readonly bytes: number;
}

/** The events from `first` on that fit in one chunk: at least one. */
function partFrom(events: readonly NewEvent[], first: number, nowMs: number): Part {
  let minMs = Infinity;
  let maxMs = -Infinity;
  let bytes = HEAD_BYTES;
  let count = 0;
  let lastMs = -Infinity;
  let hasOrder = false;
  for (; first + count < events.length && count < CHUNK_EVENTS; count++) {
    const { timestampMs, payload, tags } = events[first + count] as NewEvent;
    const timeMs = timestampMs === 0 ? nowMs : timestampMs;
    const size = ROW_BYTES + ORDER_BYTES + bytesOfTags(tags) + payload.length;
    const earliestMs = Math.min(timeMs, minMs);
    const latestMs = Math.max(timeMs, maxMs);
    if (count > 0 && (bytes + size > CHUNK_BYTES || latestMs - earliestMs > CHUNK_SPAN_MS)) {
      break;
    }
    hasOrder ||= timeMs < lastMs;
    lastMs = timeMs;
    minMs = earliestMs;
    maxMs = latestMs;
    bytes += size;
  }
  return { count, minMs, maxMs, hasOrder, bytes: bytes - count * ORDER_BYTES };
}

function encodePart(
  events: readonly NewEvent[],
  first: number,
  { count, minMs, maxMs, hasOrder, bytes }: Part,
  { firstOffset, nowMs }: { readonly firstOffset: number; readonly nowMs: number },
): EventChunk {
  const orderBytes = hasOrder ? count * ORDER_BYTES : 0;
  const chunk = allocate({ firstOffset, minMs, maxMs, count, hasOrder }, bytes + orderBytes);
  let row = HEAD_BYTES;
  let end = rowAt(count) + orderBytes;
  for (let i = first; i < first + count; i++) {
    const { timestampMs, payload, tags } = events[i] as NewEvent;
    const start = end;
    for (const name in tags) {
      end = writeTag(chunk, end, name, tags[name] ?? "");
    }
    chunk.writeUInt32LE((timestampMs === 0 ? nowMs : timestampMs) - minMs, row);
    chunk.writeUInt32LE(end - start, row + AT_TAG_BYTES);
    chunk.set(payload, end);
    end += payload.length;
    chunk.writeUInt32LE(end, row + AT_END);
    row += ROW_BYTES;
  }
  return finish(chunk, count, hasOrder);
}

type Head = Pick<EventChunk, "firstOffset" | "minMs" | "maxMs" | "count"> & { readonly hasOrder: boolean };

/**
 * Memory of its own for a chunk, with its head. A part of Node's pool would keep the whole pool as
 * long as the chunk.
 */
function allocate({ firstOffset, minMs, maxMs, count, hasOrder }: Head, size: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(size);
  bytes.writeDoubleLE(firstOffset, 0);
  bytes.writeDoubleLE(minMs, 8);
  bytes.writeDoubleLE(maxMs, 16);
  bytes.writeUInt32LE(count, AT_COUNT);
  bytes.writeUInt32LE(0, AT_FORMAT);
  bytes[AT_FORMAT] = FORMAT;
  bytes[AT_HAS_ORDER] = hasOrder ? 1 : 0;
  return bytes;
}

/** Writes the order of times, if there is one; everything else is written. */
function finish(bytes: Buffer, count: number, hasOrder: boolean): EventChunk {
  if (hasOrder) {
    const times = Array.from({ length: count }, (_, i) => bytes.readUInt32LE(rowAt(i)));
    const order = Array.from(times.keys()).sort((a, b) => (times[a] ?? 0) - (times[b] ?? 0) || a - b);
    let at = rowAt(count);
    for (const place of order) {
      at = bytes.writeUInt16LE(place, at);
    }
  }
  return new EventChunk(bytes);
}

function rowAt(place: number): number {
  return HEAD_BYTES + place * ROW_BYTES;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

function bytesOfTags(tags: Tags): number {
  let bytes = 0;
  for (const name in tags) {
    bytes += TAG_HEAD_BYTES + bytesOfText(name) + bytesOfText(tags[name] ?? "");
  }
  return bytes;
}

/** Answers where the tag ends. */
function writeTag(bytes: Buffer, at: number, name: string, value: string): number {
  const nameEnd = writeText(bytes, at + TAG_HEAD_BYTES, name);
  const end = writeText(bytes, nameEnd, value);
  bytes.writeUInt16LE(nameEnd - at - TAG_HEAD_BYTES, at);
  bytes.writeUInt16LE(end - nameEnd, at + 2);
  return end;
}

function readTags(bytes: Buffer, start: number, end: number): Tags {
  const tags: Record<string, string> = {};
  for (let at = start; at < end; ) {
    const nameEnd = at + TAG_HEAD_BYTES + bytes.readUInt16LE(at);
    const valueEnd = nameEnd + bytes.readUInt16LE(at + 2);
    const name = bytes.toString("utf8", at + TAG_HEAD_BYTES, nameEnd);
    const value = bytes.toString("utf8", nameEnd, valueEnd);
    setTag(tags, name, value);
    at = valueEnd;
  }
  return tags;
}
