import type { DatabaseSync } from "node:sqlite";
import { isRefusal } from "../contract.ts";
import { decideStream, refuseExpired } from "../decide-stream.ts";
import { type EventChunk, moveChunk } from "../event-chunk.ts";
import {
  type EventsAppended,
  expiredUntilMs,
  type StreamConfig,
  type StreamCreate,
  streamOfAppend,
} from "../streams.ts";
import type { ChunkWriter } from "./chunk-writer.ts";
import { type Failure, refusalFailure } from "./errors.ts";
import type { PackedAppend } from "./packed-append.ts";
import { prepare } from "./query.ts";

/** What calls on streams do to the database. If one throws, the transaction must undo it. */
export interface StreamWriter {
  appendEvents(namespace: string, append: PackedAppend, nowMs: number): EventsAppended | Failure;
  createStream(namespace: string, create: StreamCreate, nowMs: number): undefined | Failure;
  deleteStream(namespace: string, stream: string): boolean;
}

/** What a writer needs of a stream's row. */
interface HeldStream extends StreamConfig {
  readonly id: number;
  readonly nextOffset: number;
  readonly lastMs: number;
  readonly earlierUntilMs: number;
  /** `null` = never. */
  readonly sweepAtMs: number | null;
}

/** Prepares the statements that write streams. Their events go to `chunkWriter`. */
export function createStreamWriter(db: DatabaseSync, chunkWriter: ChunkWriter): StreamWriter {
  const find = createFind(db);
  const insert = prepare<[id: number]>(
    db,
    `INSERT INTO stream
       (namespace, name, retention_ms, partitions, replication_factor, created_at_ms, next_offset, last_ms,
        gone_below, gone_until_ms, sweep_at_ms)
     VALUES (?, CAST(? AS BLOB), ?, ?, ?, ?, 0, 0, 0, 0, NULL) RETURNING id`,
  );
  const note = db.prepare("UPDATE stream SET next_offset = ?, last_ms = ?, sweep_at_ms = ? WHERE id = ?");
  const configure = db.prepare(
    `UPDATE stream SET retention_ms = ?, last_ms = ?, sweep_at_ms = 0 WHERE id = ?`,
  );
  const setGone = db.prepare("UPDATE stream SET gone_below = next_offset, gone_until_ms = ? WHERE id = ?");
  const remove = prepare<[1]>(
    db,
    `UPDATE stream SET name = NULL, sweep_at_ms = 0 WHERE namespace = ? AND name = CAST(? AS BLOB) RETURNING 1`,
  );

  function make(namespace: string, stream: string, config: StreamConfig, nowMs: number): HeldStream {
    const { retentionMs, partitions, replicationFactor } = config;
    const row = insert.get(namespace, stream, retentionMs, partitions, replicationFactor, nowMs);
    if (row === undefined) {
      throw new Error("an insert has no id");
    }
    return { ...config, id: row[0], nextOffset: 0, lastMs: 0, earlierUntilMs: 0, sweepAtMs: null };
  }

  return {
    appendEvents(namespace, append, nowMs) {
      const held = find(namespace, append.stream);
      const config = held ?? streamOfAppend(append);
      const untilMs = expiredUntilMs(config, nowMs);
      const offset = held?.nextOffset ?? 0;
      const chunks = placeChunks(append.chunks, offset);
      const places = expiredPlaces(chunks, offset, untilMs);
      const [firstExpired] = places;
      if (firstExpired !== undefined && append.refusesExpired) {
        return refusalFailure(refuseExpired(firstExpired));
      }
      const { id, lastMs, sweepAtMs } = held ?? make(namespace, append.stream, config, nowMs);
      let latestMs = lastMs;
      let soonestMs = sweepAtMs ?? Infinity;
      for (const chunk of chunks) {
        // Nobody would see the others.
        if (chunk.maxMs > untilMs) {
          chunkWriter.add(id, chunk, latestMs);
          latestMs = Math.max(latestMs, chunk.maxMs);
          soonestMs = Math.min(
            soonestMs,
            config.retentionMs === 0 ? Infinity : chunk.maxMs + config.retentionMs,
          );
        }
      }
      const nextOffset = chunks.at(-1)?.nextOffset ?? offset;
      note.get(nextOffset, latestMs, soonestMs === Infinity ? null : soonestMs, id);
      return { offset, nowMs: append.nowMs, expired: places.length };
    },
    createStream(namespace, { stream, ...wanted }, nowMs) {
      const held = find(namespace, stream);
      const config = decideStream(held, wanted);
      if (isRefusal(config)) {
        return refusalFailure(config);
      }
      if (held === undefined) {
        make(namespace, stream, config, nowMs);
      } else if (config.retentionMs !== held.retentionMs) {
        const untilMs = expiredUntilMs(held, nowMs);
        configure.get(config.retentionMs, held.lastMs <= untilMs ? 0 : held.lastMs, held.id);
        // What is gone by now stays so, although it may still be there.
        if (untilMs >= held.earlierUntilMs) {
          setGone.get(untilMs, held.id);
        }
      }
      return undefined;
    },
    /** Leaves its events to the sweep. */
    deleteStream: (namespace, stream) => remove.get(namespace, stream) !== undefined,
  };
}

function createFind(db: DatabaseSync): (namespace: string, stream: string) => HeldStream | undefined {
  const find = prepare<
    [
      id: number,
      retentionMs: number,
      partitions: number,
      replicationFactor: number,
      nextOffset: number,
      lastMs: number,
      earlierUntilMs: number,
      sweepAtMs: number | null,
    ]
  >(
    db,
    `SELECT id, retention_ms, partitions, replication_factor, next_offset, last_ms, gone_until_ms, sweep_at_ms
     FROM stream WHERE namespace = ? AND name = CAST(? AS BLOB)`,
  );
  return (namespace, stream) => {
    const row = find.get(namespace, stream);
    if (row === undefined) {
      return undefined;
    }
    const [id, retentionMs, partitions, replicationFactor, nextOffset, lastMs, earlierUntilMs, sweepAtMs] =
      row;
    return { id, retentionMs, partitions, replicationFactor, nextOffset, lastMs, earlierUntilMs, sweepAtMs };
  };
}

/** Gives chunks their offsets. */
function placeChunks(encoded: readonly Uint8Array[], firstOffset: number): readonly EventChunk[] {
  let offset = firstOffset;
  return encoded.map((bytes) => {
    const chunk = moveChunk(bytes, offset);
    offset = chunk.nextOffset;
    return chunk;
  });
}

/** Which events of an append are past the retention, by their places in it. */
function expiredPlaces(
  chunks: readonly EventChunk[],
  firstOffset: number,
  untilMs: number,
): readonly number[] {
  const places: number[] = [];
  for (const chunk of chunks) {
    if (chunk.minMs <= untilMs) {
      for (let place = 0; place < chunk.count; place++) {
        if (chunk.timeAt(place) <= untilMs) {
          places.push(chunk.firstOffset + place - firstOffset);
        }
      }
    }
  }
  return places;
}
