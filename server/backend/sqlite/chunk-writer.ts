import type { DatabaseSync } from "node:sqlite";
import { CHUNK_SPAN_MS, EventChunk } from "../event-chunk.ts";
import { prepare } from "./query.ts";
import { spanClassOf } from "./span-class.ts";

/** Chunks of a group are joined up to this size. */
const MAX_JOINED_BYTES = 16 * 1024;

/**
 * A row up to this size is written again with what follows. It costs what a row of its own would.
 */
const MAX_REWRITTEN_BYTES = 2048;

/**
 * Late events that are in one chunk have at most this much time between them, in milliseconds. A
 * query has to read all chunks that have its time between their first and their last, and late
 * events can make any number of those.
 */
const LATE_SPAN_MS = 60_000;

/**
 * Writes chunks. It holds some back, because single events that come close together share a row:
 * that saves most of the room and of the time to read them.
 */
export interface ChunkWriter {
  /** Takes the next chunk of a stream. `lastMs` is the latest time of all before it. */
  add(streamId: number, chunk: EventChunk, lastMs: number): void;
  /** Writes what is held back. Belongs before all that reads chunks, and before the commit. */
  flush(): void;
  /** Says that the transaction was undone: forgets what is held back. */
  undone(): void;
}

/** Prepares the statements that write chunks. */
export function createChunkWriter(db: DatabaseSync): ChunkWriter {
  // Because of RETURNING, SQLite undoes only the statement if there is no room, and not the
  // transaction.
  const insert = db.prepare(
    `INSERT INTO event_chunk (last_offset, span_class, min_ms, max_ms, data, stream_id)
     VALUES (?, ?, ?, ?, ?, ?) RETURNING 1`,
  );
  const update = db.prepare(
    `UPDATE event_chunk SET last_offset = ?, span_class = ?, min_ms = ?, max_ms = ?, data = ?
     WHERE id = ? RETURNING 1`,
  );
  const findSmall = prepare<[id: number, data: Uint8Array]>(
    db,
    `SELECT id, data FROM event_chunk
     WHERE stream_id = ? AND last_offset = ? AND length(data) <= ${MAX_REWRITTEN_BYTES}`,
  );
  const held = new Map<number, HeldChunks>();

  function write(streamId: number, chunk: EventChunk, lastMs: number): void {
    const small =
      chunk.bytes.length <= MAX_REWRITTEN_BYTES ? findSmall.get(streamId, chunk.firstOffset - 1) : undefined;
    const before = small && new EventChunk(small[1]);
    const joined =
      before && mayShare(before, chunk, lastMs) ? before.join(chunk, 2 * MAX_REWRITTEN_BYTES) : undefined;
    if (small === undefined || joined === undefined) {
      insert.get(...columnsOf(chunk), streamId);
    } else {
      update.get(...columnsOf(joined), small[0]);
    }
  }

  /** Joins all at once, because each join copies what it joins. */
  function writeTogether(streamId: number, { chunks, lastMs }: HeldChunks): void {
    const joined = chunks.length > 1 ? EventChunk.joinAll(chunks, MAX_JOINED_BYTES) : undefined;
    let latestMs = lastMs;
    for (const chunk of joined === undefined ? chunks : [joined]) {
      write(streamId, chunk, latestMs);
      latestMs = Math.max(latestMs, chunk.maxMs);
    }
  }

  function hold(streamId: number, chunk: EventChunk, lastMs: number): void {
    const before = held.get(streamId);
    if (before?.take(chunk, lastMs) === true) {
      return;
    }
    if (before !== undefined) {
      writeTogether(streamId, before);
    }
    held.set(streamId, new HeldChunks(chunk, lastMs));
  }

  return {
    add(streamId, chunk, lastMs) {
      const isLate = chunk.minMs < lastMs;
      let latestMs = lastMs;
      for (const part of isLate && spanOf(chunk) > LATE_SPAN_MS ? chunk.split(LATE_SPAN_MS) : [chunk]) {
        hold(streamId, part, latestMs);
        latestMs = Math.max(latestMs, part.maxMs);
      }
    },
    flush() {
      for (const [streamId, chunks] of held) {
        writeTogether(streamId, chunks);
      }
      held.clear();
    },
    undone: () => held.clear(),
  };
}

/** Chunks of a stream, each behind the one before it, that fit in one row. */
class HeldChunks {
  readonly chunks: EventChunk[];
  /** The latest time of all before them, in milliseconds since 1970. */
  readonly lastMs: number;
  #bytes: number;
  #span: Span;

  constructor(chunk: EventChunk, lastMs: number) {
    this.chunks = [chunk];
    this.lastMs = lastMs;
    this.#bytes = chunk.bytes.length;
    this.#span = chunk;
  }

  /** Takes one more chunk, if it fits. `lastMs` is the latest time of all before it. */
  take(chunk: EventChunk, lastMs: number): boolean {
    const bytes = this.#bytes + chunk.bytes.length;
    const isNext = this.chunks.at(-1)?.nextOffset === chunk.firstOffset;
    if (!isNext || bytes > MAX_JOINED_BYTES || !mayShare(this.#span, chunk, lastMs)) {
      return false;
    }
    this.chunks.push(chunk);
    this.#bytes = bytes;
    this.#span = together(this.#span, chunk);
    return true;
  }
}

/** The first and the last time of events. */
type Span = Pick<EventChunk, "minMs" | "maxMs">;

function spanOf({ minMs, maxMs }: Span): number {
  return maxMs - minMs;
}

function together(a: Span, b: Span): Span {
  return { minMs: Math.min(a.minMs, b.minMs), maxMs: Math.max(a.maxMs, b.maxMs) };
}

/**
 * Whether events may share a row with those before them, of which some may be late. `lastMs` is the
 * latest time of all before them.
 */
function mayShare(before: Span, events: Span, lastMs: number): boolean {
  const isInOrder = before.maxMs >= lastMs && events.minMs >= before.maxMs;
  return spanOf(together(before, events)) <= (isInOrder ? CHUNK_SPAN_MS : LATE_SPAN_MS);
}

function columnsOf(chunk: EventChunk) {
  const { nextOffset, minMs, maxMs, bytes } = chunk;
  return [nextOffset - 1, spanClassOf(chunk), minMs, maxMs, bytes] as const;
}
