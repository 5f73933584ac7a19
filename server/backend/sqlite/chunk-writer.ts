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
 * Writes chunks. It holds some back, because single events that come close together share a row:
 * that saves most of the room and of the time to read them.
 */
export interface ChunkWriter {
  /** Takes the next chunk of a stream. */
  add(streamId: number, chunk: EventChunk): void;
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

  function write(streamId: number, chunk: EventChunk): void {
    const before =
      chunk.bytes.length <= MAX_REWRITTEN_BYTES ? findSmall.get(streamId, chunk.firstOffset - 1) : undefined;
    const joined = before && new EventChunk(before[1]).join(chunk, 2 * MAX_REWRITTEN_BYTES);
    if (before === undefined || joined === undefined) {
      insert.get(...columnsOf(chunk), streamId);
    } else {
      update.get(...columnsOf(joined), before[0]);
    }
  }

  /** Joins all at once, because each join copies what it joins. */
  function writeTogether(streamId: number, { chunks }: HeldChunks): void {
    const joined = chunks.length > 1 ? EventChunk.joinAll(chunks, MAX_JOINED_BYTES) : undefined;
    for (const chunk of joined === undefined ? chunks : [joined]) {
      write(streamId, chunk);
    }
  }

  return {
    add(streamId, chunk) {
      const before = held.get(streamId);
      if (before?.take(chunk) === true) {
        return;
      }
      if (before !== undefined) {
        writeTogether(streamId, before);
      }
      held.set(streamId, new HeldChunks(chunk));
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
  #bytes: number;
  #minMs: number;
  #maxMs: number;

  constructor(chunk: EventChunk) {
    this.chunks = [chunk];
    this.#bytes = chunk.bytes.length;
    this.#minMs = chunk.minMs;
    this.#maxMs = chunk.maxMs;
  }

  /** Takes one more chunk, if it fits. */
  take(chunk: EventChunk): boolean {
    const bytes = this.#bytes + chunk.bytes.length;
    const minMs = Math.min(this.#minMs, chunk.minMs);
    const maxMs = Math.max(this.#maxMs, chunk.maxMs);
    const isNext = this.chunks.at(-1)?.nextOffset === chunk.firstOffset;
    if (!isNext || bytes > MAX_JOINED_BYTES || maxMs - minMs > CHUNK_SPAN_MS) {
      return false;
    }
    this.chunks.push(chunk);
    this.#bytes = bytes;
    this.#minMs = minMs;
    this.#maxMs = maxMs;
    return true;
  }
}

function columnsOf(chunk: EventChunk) {
  const { nextOffset, minMs, maxMs, bytes } = chunk;
  return [nextOffset - 1, spanClassOf(chunk), minMs, maxMs, bytes] as const;
}
