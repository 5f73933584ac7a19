import type { NewEvent } from "../streams.ts";
import { bytesOfText, writeText } from "../tag-text.ts";
import {
  AT_COUNT,
  AT_CRC,
  AT_FIRST_TIME,
  AT_FORMAT,
  AT_LAST_DELTA,
  AT_LEADER_EPOCH,
  AT_MAX_TIME,
  AT_PRODUCER_EPOCH,
  AT_PRODUCER_ID,
  AT_SEQUENCE,
  AT_SIZE,
  checksum,
  FORMAT,
  HEAD_BYTES,
  SIZE_END,
  TAG_PREFIX,
} from "./batch-layout.ts";

/** Who wrote a batch, and which of its batches it is: Kafka tells by it a batch sent twice. */
export interface BatchOrigin {
  readonly producerId: bigint;
  readonly epoch: number;
  /** The sequence of the first event. */
  readonly sequence: number;
}

/**
 * Encodes events, at least one, as a batch. `nowMs` is the time of events that have none. It can be
 * sent once {@link sealBatch} has completed it.
 */
export function encodeBatch(events: readonly NewEvent[], nowMs: number): Buffer {
  const firstMs = events[0]?.timestampMs || nowMs;
  let maxMs = firstMs;
  let size = HEAD_BYTES;
  const sizes: number[] = [];
  for (let i = 0; i < events.length; i++) {
    const event = events[i] as NewEvent;
    const timeMs = event.timestampMs || nowMs;
    const bytes = bytesOfRecord(event, timeMs - firstMs, i);
    maxMs = Math.max(maxMs, timeMs);
    sizes.push(bytes);
    size += bytesOfVarint(bytes) + bytes;
  }
  const batch = Buffer.allocUnsafe(size);
  batch.fill(0, 0, HEAD_BYTES);
  batch.writeInt32BE(size - SIZE_END, AT_SIZE);
  batch.writeInt32BE(-1, AT_LEADER_EPOCH);
  batch[AT_FORMAT] = FORMAT;
  batch.writeInt32BE(events.length - 1, AT_LAST_DELTA);
  writeInt64(batch, firstMs, AT_FIRST_TIME);
  writeInt64(batch, maxMs, AT_MAX_TIME);
  batch.writeInt32BE(events.length, AT_COUNT);
  let at = HEAD_BYTES;
  for (let i = 0; i < events.length; i++) {
    const event = events[i] as NewEvent;
    at = writeVarint(batch, at, sizes[i] ?? 0);
    at = writeRecord(batch, at, event, (event.timestampMs || nowMs) - firstMs, i);
  }
  return batch;
}

/** Writes in a batch where it comes from, and its checksum. */
export function sealBatch(batch: Buffer, { producerId, epoch, sequence }: BatchOrigin): void {
  batch.writeBigInt64BE(producerId, AT_PRODUCER_ID);
  batch.writeInt16BE(epoch, AT_PRODUCER_EPOCH);
  batch.writeInt32BE(sequence, AT_SEQUENCE);
  batch.writeUInt32BE(checksum(batch), AT_CRC);
}

/** The greatest time of a batch's events, in milliseconds. */
export function maxTimeOf(batch: Buffer): number {
  return Number(batch.readBigInt64BE(AT_MAX_TIME));
}

function bytesOfRecord({ payload, tags }: NewEvent, deltaMs: number, place: number): number {
  // The attributes, and -1 for the key.
  let bytes = 2 + bytesOfVarint(deltaMs) + bytesOfVarint(place);
  bytes += bytesOfVarint(payload.length) + payload.length;
  let count = 0;
  for (const name in tags) {
    const nameBytes = TAG_PREFIX.length + bytesOfText(name);
    const valueBytes = bytesOfText(tags[name] ?? "");
    bytes += bytesOfVarint(nameBytes) + nameBytes + bytesOfVarint(valueBytes) + valueBytes;
    count++;
  }
  return bytes + bytesOfVarint(count);
}

/** Answers where the record ends. */
function writeRecord(
  batch: Buffer,
  start: number,
  { payload, tags }: NewEvent,
  deltaMs: number,
  place: number,
): number {
  let at = start;
  batch[at++] = 0;
  at = writeVarint(batch, at, deltaMs);
  at = writeVarint(batch, at, place);
  at = writeVarint(batch, at, -1);
  at = writeVarint(batch, at, payload.length);
  batch.set(payload, at);
  at += payload.length;
  let count = 0;
  for (const _ in tags) {
    count++;
  }
  at = writeVarint(batch, at, count);
  for (const name in tags) {
    const value = tags[name] ?? "";
    at = writeVarint(batch, at, TAG_PREFIX.length + bytesOfText(name));
    batch[at++] = 0x74;
    batch[at++] = 0x3a;
    at = writeText(batch, at, name);
    at = writeVarint(batch, at, bytesOfText(value));
    at = writeText(batch, at, value);
  }
  return at;
}

function zigzag(value: number): number {
  return value >= 0 ? value * 2 : -value * 2 - 1;
}

function bytesOfVarint(value: number): number {
  let bytes = 1;
  for (let rest = zigzag(value); rest >= 0x80; rest = Math.floor(rest / 0x80)) {
    bytes++;
  }
  return bytes;
}

/** Answers where it ends. */
function writeVarint(batch: Buffer, start: number, value: number): number {
  let at = start;
  let rest = zigzag(value);
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) {
    batch[at++] = (rest % 0x80) | 0x80;
  }
  batch[at++] = rest;
  return at;
}

function writeInt64(bytes: Buffer, value: number, at: number): void {
  bytes.writeInt32BE(Math.floor(value / 2 ** 32), at);
  bytes.writeUInt32BE(value % 2 ** 32, at + 4);
}
