import type { DatabaseSync } from "node:sqlite";
import { EventChunk } from "../event-chunk.ts";
import { mergeChunks } from "../event-merge.ts";
import { storeError } from "../store-errors.ts";
import {
  bytesOfEvent,
  type EventPage,
  type EventPlace,
  type EventQuery,
  type EventRead,
  type HeldEvent,
  hasTags,
  type OffsetPage,
  type StreamConfig,
  type StreamState,
} from "../streams.ts";
import { type GoneEvents, goneEvents, isGone } from "./gone-events.ts";
import { MAX_ROWS_PER_STEP } from "./page.ts";
import { prepare } from "./query.ts";
import { SPANS_MS } from "./span-class.ts";

/**
 * A page looks at this many chunks, or bytes of chunks. Bounds how long the event loop stands
 * still.
 */
const MAX_CHUNKS_PER_PAGE = 1024;
const MAX_CHUNK_BYTES_PER_PAGE = 2 * 1024 * 1024;

/** The reading statements of streams. All answer at once. `nowMs` counts from 1970. */
export interface StreamReader {
  /** One page by time. `undefined` = there is no such stream. */
  query(namespace: string, query: EventQuery, nowMs: number): EventPage | undefined;
  /** One page by offset. `undefined` = there is no such stream. */
  read(namespace: string, read: EventRead, nowMs: number): OffsetPage | undefined;
  describe(namespace: string, stream: string, nowMs: number): StreamState | undefined;
  /** Whether a sweep would find anything. */
  hasExpired(nowMs: number): boolean;
}

/** What a reader needs of a stream's row. */
interface FoundStream {
  readonly id: number;
  readonly config: StreamConfig;
  readonly createdAtMs: number;
  readonly nextOffset: number;
  readonly lastMs: number;
  readonly gone: GoneEvents;
}

/**
 * Makes a {@link StreamReader}. Its methods throw SQLite's errors and PrismError `corrupt_data`.
 */
export function createStreamReader(db: DatabaseSync): StreamReader {
  const find = createFind(db);
  const chunks = createFindChunks(db);
  const due = prepare<[1]>(db, "SELECT 1 FROM stream WHERE sweep_at_ms <= ? LIMIT 1");

  /** Reads a stream and its events at one moment. */
  function reading<T>(
    namespace: string,
    stream: string,
    nowMs: number,
    read: (found: FoundStream) => T,
  ): T | undefined {
    db.exec("BEGIN");
    try {
      const found = find(namespace, stream, nowMs);
      return found && read(found);
    } finally {
      db.exec("COMMIT");
    }
  }

  return {
    query: (namespace, query, nowMs) =>
      reading(namespace, query.stream, nowMs, (found) => pageByTime(chunks, found, query)),
    read: (namespace, read, nowMs) =>
      reading(namespace, read.stream, nowMs, (found) => pageByOffset(chunks, found, read)),
    describe: (namespace, stream, nowMs) =>
      reading(namespace, stream, nowMs, (found) => stateOf(chunks, found)),
    hasExpired: (nowMs) => due.get(nowMs) !== undefined,
  };
}

function createFind(
  db: DatabaseSync,
): (namespace: string, stream: string, nowMs: number) => FoundStream | undefined {
  const find = prepare<
    [
      id: number,
      retentionMs: number,
      partitions: number,
      replicationFactor: number,
      createdAtMs: number,
      nextOffset: number,
      lastMs: number,
      earlierBelow: number,
      earlierUntilMs: number,
    ]
  >(
    db,
    `SELECT id, retention_ms, partitions, replication_factor, created_at_ms, next_offset, last_ms, gone_below,
       gone_until_ms
     FROM stream WHERE namespace = ? AND name = CAST(? AS BLOB)`,
  );
  return (namespace, stream, nowMs) => {
    const row = find.get(namespace, stream);
    if (row === undefined) {
      return undefined;
    }
    const [id, retentionMs, partitions, replicationFactor, createdAtMs, nextOffset, lastMs, ...earlier] = row;
    const [earlierBelow, earlierUntilMs] = earlier;
    return {
      id,
      config: { retentionMs, partitions, replicationFactor },
      createdAtMs,
      nextOffset,
      lastMs,
      gone: goneEvents({ retentionMs, earlierBelow, earlierUntilMs }, nowMs),
    };
  };
}

/** Finds chunks that have an event which is not gone. Leaving a loop early ends the search. */
interface FindChunks {
  /**
   * Those that have an event at a place or later, and one before `endMs`, in the order of their
   * first times and then of their offsets.
   */
  byTime(stream: FoundStream, from: EventPlace, endMs: number): Iterable<EventChunk>;
  /**
   * All chunks from an offset on. `undefined` stands for one that has no event of `minMs` or later.
   */
  byOffset(stream: FoundStream, offset: number, minMs: number): Iterable<FoundChunk>;
  /** Those that have an event of `minMs` or later, in the order of their offsets. */
  since(stream: FoundStream, minMs: number): Iterable<EventChunk>;
}

interface FoundChunk {
  readonly lastOffset: number;
  readonly chunk: EventChunk | undefined;
}

function createFindChunks(db: DatabaseSync): FindChunks {
  const isThere = "NOT (last_offset < ?2 AND max_ms <= ?3)";
  // SQLite merges the classes, each of which an index has in this order.
  const ofClass = SPANS_MS.map(
    (spanMs, spanClass) =>
      `SELECT id, min_ms, last_offset FROM event_chunk
       WHERE stream_id = ?1 AND span_class = ${spanClass} AND min_ms < ?6
         AND (min_ms, last_offset) >= ${spanMs === 0 ? "(?4, ?5)" : `(?4 - ${spanMs}, 0)`}
         AND (max_ms, last_offset) >= (?4, ?5) AND ${isThere}`,
  );
  const byTime = prepare<[id: number]>(db, `${ofClass.join(" UNION ALL ")} ORDER BY min_ms, last_offset`);
  const byOffset = prepare<[lastOffset: number, id: number | null]>(
    db,
    `SELECT last_offset, iif(max_ms >= ?4 AND ${isThere}, id, NULL) FROM event_chunk
     WHERE stream_id = ?1 AND last_offset >= ?5 ORDER BY last_offset`,
  );
  const since = prepare<[id: number]>(
    db,
    `SELECT id FROM event_chunk WHERE stream_id = ?1 AND max_ms >= ?4 AND ${isThere} ORDER BY last_offset`,
  );
  const data = prepare<[data: Uint8Array]>(db, "SELECT data FROM event_chunk WHERE id = ?");

  function read(id: number): EventChunk {
    const row = data.get(id);
    if (row === undefined) {
      throw storeError("corrupt_data", new Error("a chunk is in an index only"));
    }
    return new EventChunk(row[0]);
  }

  return {
    *byTime({ id, gone }, { timestampMs, offset }, endMs) {
      const rows = byTime.iterate(id, gone.earlierBelow, gone.earlierUntilMs, timestampMs, offset, endMs);
      for (const [chunk] of rows) {
        yield read(chunk);
      }
    },
    *byOffset({ id, gone }, offset, minMs) {
      const rows = byOffset.iterate(id, gone.earlierBelow, gone.earlierUntilMs, minMs, offset);
      for (const [lastOffset, chunk] of rows) {
        yield { lastOffset, chunk: chunk === null ? undefined : read(chunk) };
      }
    },
    *since({ id, gone }, minMs) {
      for (const [chunk] of since.iterate(id, gone.earlierBelow, gone.earlierUntilMs, minMs)) {
        yield read(chunk);
      }
    },
  };
}

/** The first place of a query, behind all that is gone by the present retention. */
function firstPlace({ startMs, after }: Pick<EventQuery, "startMs" | "after">, gone: GoneEvents): EventPlace {
  const start = { timestampMs: Math.max(startMs, gone.untilMs + 1), offset: 0 };
  const next = after && { timestampMs: after.timestampMs, offset: after.offset + 1 };
  return next !== undefined && isBefore(start, next) ? next : start;
}

function placeOf(event: HeldEvent | undefined): EventPlace | undefined {
  return event && { timestampMs: event.timestampMs, offset: event.offset };
}

function isBefore(a: EventPlace, b: EventPlace): boolean {
  return a.timestampMs < b.timestampMs || (a.timestampMs === b.timestampMs && a.offset < b.offset);
}

function pageByTime(find: FindChunks, stream: FoundStream, query: EventQuery): EventPage {
  const { endMs, tags, maxEvents, maxBytes } = query;
  const from = firstPlace(query, stream.gone);
  /** The first event of the first chunk that the page does not look at. */
  let cut: EventPlace | undefined;

  function* boundedChunks(): Generator<EventChunk, undefined> {
    let chunks = 0;
    let bytes = 0;
    for (const chunk of find.byTime(stream, from, endMs)) {
      const place = { timestampMs: chunk.minMs, offset: chunk.firstOffset };
      // Those that begin earlier have to be looked at: a page that they fill would get nowhere.
      if (isBefore(from, place)) {
        // The next page begins behind an offset.
        if ((chunks >= MAX_CHUNKS_PER_PAGE || bytes >= MAX_CHUNK_BYTES_PER_PAGE) && place.offset > 0) {
          cut = place;
          return;
        }
        chunks++;
        bytes += chunk.bytes.length;
      }
      yield chunk;
    }
  }

  const events: HeldEvent[] = [];
  let bytes = 0;
  for (const event of mergeChunks(boundedChunks(), { from, endMs })) {
    if (cut !== undefined && !isBefore(event, cut)) {
      break;
    }
    if (isGone(event, stream.gone) || !hasTags(event, tags)) {
      continue;
    }
    if (events.length >= maxEvents || bytes >= maxBytes) {
      return { events, next: placeOf(events.at(-1)) };
    }
    events.push(event);
    bytes += bytesOfEvent(event);
  }
  return { events, next: cut && { ...cut, offset: cut.offset - 1 } };
}

function pageByOffset(find: FindChunks, stream: FoundStream, read: EventRead): OffsetPage {
  const { gone, nextOffset } = stream;
  const { offset, tags, maxEvents, maxBytes } = read;
  const minMs = Math.max(read.minTimestampMs, gone.untilMs + 1);
  const events: HeldEvent[] = [];
  const pageUntil = (next: number): OffsetPage => ({ events, next, ended: next >= nextOffset });
  let bytes = 0;
  let rows = 0;
  let chunkBytes = 0;
  for (const { lastOffset, chunk } of offset < nextOffset ? find.byOffset(stream, offset, minMs) : []) {
    const { firstOffset, count } = chunk ?? { firstOffset: lastOffset + 1, count: 0 };
    for (let place = Math.max(0, offset - firstOffset); place < count; place++) {
      const event = chunk?.at(place);
      if (event !== undefined && event.timestampMs >= minMs && !isGone(event, gone) && hasTags(event, tags)) {
        if (events.length >= maxEvents || bytes >= maxBytes) {
          return pageUntil(event.offset);
        }
        events.push(event);
        bytes += bytesOfEvent(event);
      }
    }
    rows++;
    chunkBytes += chunk?.bytes.length ?? 0;
    if (rows >= MAX_ROWS_PER_STEP || chunkBytes >= MAX_CHUNK_BYTES_PER_PAGE) {
      return pageUntil(lastOffset + 1);
    }
  }
  return pageUntil(nextOffset);
}

function stateOf(find: FindChunks, stream: FoundStream): StreamState {
  const { config, createdAtMs, nextOffset, lastMs, gone } = stream;
  const state = { ...config, createdAtMs, nextOffset };
  if (lastMs <= gone.untilMs) {
    return { ...state, firstOffset: nextOffset, firstTimestampMs: undefined, lastTimestampMs: undefined };
  }
  return {
    ...state,
    firstOffset: firstOffsetOf(find, stream),
    firstTimestampMs: firstTimeOf(find, stream),
    lastTimestampMs: lastMs,
  };
}

/** The first offset whose event is not gone. */
function firstOffsetOf(find: FindChunks, stream: FoundStream): number {
  const { gone, nextOffset } = stream;
  // All of a chunk can be gone, some for one reason and some for another.
  for (const chunk of find.since(stream, gone.untilMs + 1)) {
    for (let place = 0; place < chunk.count; place++) {
      const offset = chunk.firstOffset + place;
      if (!isGone({ offset, timestampMs: chunk.timeAt(place) }, gone)) {
        return offset;
      }
    }
  }
  return nextOffset;
}

/** The earliest time of the events that are not gone. */
function firstTimeOf(find: FindChunks, stream: FoundStream): number | undefined {
  const { gone } = stream;
  let firstMs = Infinity;
  for (const chunk of find.byTime(stream, { timestampMs: gone.untilMs + 1, offset: 0 }, Infinity)) {
    if (chunk.minMs >= firstMs) {
      break;
    }
    for (let place = 0; place < chunk.count; place++) {
      const timestampMs = chunk.timeAt(place);
      if (timestampMs < firstMs && !isGone({ timestampMs, offset: chunk.firstOffset + place }, gone)) {
        firstMs = timestampMs;
      }
    }
  }
  return firstMs === Infinity ? undefined : firstMs;
}
