import { countExpired } from "../decide-stream.ts";
import { CHUNK_BYTES, type EventChunk, encodeEvents } from "../event-chunk.ts";
import { mergeChunks } from "../event-merge.ts";
import {
  bytesOfEvent,
  type EventPage,
  type EventPlace,
  type EventQuery,
  type EventRead,
  type EventsAppended,
  expiredUntilMs,
  type HeldEvent,
  hasTags,
  type NewEvent,
  type OffsetPage,
  type StreamConfig,
  type StreamState,
} from "../streams.ts";
import { type Place, SortedChunks } from "./sorted-chunks.ts";

/** The most events that one page looks at. A chunk that it passes over counts as one. */
const MAX_LOOKS = 8192;

/**
 * Chunks of neighbours are joined up to this size: a chunk of one event takes several times the
 * memory that the event needs. Each event is copied a few times.
 */
const JOINED_BYTES = CHUNK_BYTES / 16;

/** The events of one stream. All times are in milliseconds since 1970. */
export class EventLog {
  config: StreamConfig;
  readonly #createdAtMs: number;
  readonly #byOffset = new SortedChunks<EventChunk>();
  readonly #byTime = new SortedChunks<EventChunk>();
  /** No chunk has more time between its first and its last event. */
  #spanMs = 0;
  #nextOffset = 0;

  constructor(config: StreamConfig, createdAtMs: number) {
    this.config = config;
    this.#createdAtMs = createdAtMs;
  }

  /** The number of chunks, including those that are expired and not yet reclaimed. */
  get chunks(): number {
    return this.#byOffset.size;
  }

  /** When the first chunk can be dropped. `undefined` = there is none, or it stays for ever. */
  get expiresAtMs(): number | undefined {
    const { retentionMs } = this.config;
    const first = this.#byTime.first();
    return first === undefined || retentionMs === 0 ? undefined : first.maxMs + retentionMs;
  }

  /** Stores copies of the events. */
  append(events: readonly NewEvent[], nowMs: number): EventsAppended {
    const offset = this.#nextOffset;
    this.#nextOffset += events.length;
    for (const chunk of encodeEvents(events, offset, nowMs)) {
      this.#add(chunk);
    }
    const expired = countExpired(events, expiredUntilMs(this.config, nowMs), nowMs);
    return { offset, nowMs, expired };
  }

  query({ startMs, endMs, after, tags, maxEvents, maxBytes }: EventQuery, nowMs: number): EventPage {
    const events: HeldEvent[] = [];
    let bytes = 0;
    let looks = 0;
    let last: EventPlace | undefined;
    const start = this.#visible(startMs, nowMs);
    const from = after === undefined || after.timestampMs < start.timestampMs ? start : placeAfter(after);
    for (const event of this.#inTime(from, endMs)) {
      if (events.length >= maxEvents || bytes >= maxBytes || looks >= MAX_LOOKS) {
        return { events, next: last };
      }
      looks++;
      last = { timestampMs: event.timestampMs, offset: event.offset };
      if (hasTags(event, tags)) {
        events.push(event);
        bytes += bytesOfEvent(event);
      }
    }
    return { events, next: undefined };
  }

  read({ offset, minTimestampMs, tags, maxEvents, maxBytes }: EventRead, nowMs: number): OffsetPage {
    if (offset >= this.#nextOffset) {
      return { events: [], next: this.#nextOffset, ended: true };
    }
    const events: HeldEvent[] = [];
    let bytes = 0;
    let looks = 0;
    let next = offset;
    const { timestampMs: minMs } = this.#visible(minTimestampMs, nowMs);
    for (const chunk of this.#byOffset.from(({ nextOffset }) => (nextOffset <= offset ? -1 : 1))) {
      looks++;
      let place = chunk.maxMs < minMs ? chunk.count : Math.max(next - chunk.firstOffset, 0);
      for (; place < chunk.count; place++) {
        if (events.length >= maxEvents || bytes >= maxBytes || looks >= MAX_LOOKS) {
          return { events, next: chunk.firstOffset + place, ended: false };
        }
        looks++;
        const event = chunk.timeAt(place) < minMs ? undefined : chunk.at(place);
        if (event !== undefined && hasTags(event, tags)) {
          events.push(event);
          bytes += bytesOfEvent(event);
        }
      }
      next = chunk.nextOffset;
    }
    return { events, next: this.#nextOffset, ended: true };
  }

  describe(nowMs: number): StreamState {
    const start = this.#visible(0, nowMs);
    const [first] = this.#inTime(start, Infinity);
    return {
      ...this.config,
      createdAtMs: this.#createdAtMs,
      firstOffset: this.#firstOffset(start.timestampMs),
      nextOffset: this.#nextOffset,
      firstTimestampMs: first?.timestampMs,
      lastTimestampMs: first && this.#lastMs(),
    };
  }

  /** Drops some chunks that are expired at `nowMs`, at most `maxChunks`. Answers how many. */
  reclaim(nowMs: number, maxChunks: number): number {
    const untilMs = expiredUntilMs(this.config, nowMs);
    let dropped = 0;
    for (; dropped < maxChunks; dropped++) {
      const first = this.#byTime.first();
      if (first === undefined || first.maxMs > untilMs) {
        break;
      }
      this.#remove(first);
    }
    return dropped;
  }

  /** Adds a chunk behind the others. Joins it with those before it that are not larger. */
  #add(added: EventChunk): void {
    let chunk = added;
    for (;;) {
      const before = this.#byOffset.last();
      if (before?.nextOffset !== chunk.firstOffset || before.count > chunk.count) {
        break;
      }
      const joined = before.join(chunk, JOINED_BYTES);
      if (joined === undefined) {
        break;
      }
      this.#remove(before);
      chunk = joined;
    }
    this.#byOffset.add(chunk, placeByOffset(chunk));
    this.#byTime.add(chunk, placeByTime(chunk));
    this.#spanMs = Math.max(this.#spanMs, chunk.maxMs - chunk.minMs);
  }

  #remove(chunk: EventChunk): void {
    this.#byOffset.remove(placeByOffset(chunk));
    this.#byTime.remove(placeByTime(chunk));
    if (this.#byOffset.size === 0) {
      this.#spanMs = 0;
    }
  }

  /** The first place at `fromMs` or later whose event is not expired. */
  #visible(fromMs: number, nowMs: number): EventPlace {
    return { timestampMs: Math.max(fromMs, expiredUntilMs(this.config, nowMs) + 1), offset: 0 };
  }

  /** The events of a span in the order of their times. */
  #inTime(from: EventPlace, endMs: number): Generator<HeldEvent, undefined> {
    // No chunk that begins earlier reaches the span.
    const earliestMs = from.timestampMs - this.#spanMs;
    return mergeChunks(
      this.#byTime.from(({ minMs }) => minMs - earliestMs),
      { from, endMs },
    );
  }

  /** The offset of the first event at `minMs` or later, or that of the next event. */
  #firstOffset(minMs: number): number {
    for (const chunk of this.#byOffset.from(() => 1)) {
      for (let place = chunk.maxMs < minMs ? chunk.count : 0; place < chunk.count; place++) {
        if (chunk.timeAt(place) >= minMs) {
          return chunk.firstOffset + place;
        }
      }
    }
    return this.#nextOffset;
  }

  /** The latest time of all events. */
  #lastMs(): number {
    let lastMs = this.#byTime.last()?.maxMs ?? 0;
    // An earlier chunk can end later, if it begins within the longest span of the end.
    const earliestMs = lastMs - this.#spanMs;
    for (const { maxMs } of this.#byTime.from(({ minMs }) => minMs - earliestMs)) {
      lastMs = Math.max(lastMs, maxMs);
    }
    return lastMs;
  }
}

function placeByOffset({ firstOffset }: EventChunk): Place<EventChunk> {
  return (chunk) => chunk.firstOffset - firstOffset;
}

function placeByTime({ minMs, firstOffset }: EventChunk): Place<EventChunk> {
  return (chunk) => chunk.minMs - minMs || chunk.firstOffset - firstOffset;
}

function placeAfter({ timestampMs, offset }: EventPlace): EventPlace {
  return { timestampMs, offset: offset + 1 };
}
