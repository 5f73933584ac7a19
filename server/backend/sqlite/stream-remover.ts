import type { DatabaseSync } from "node:sqlite";
import { ERASE_STEP_BYTES } from "../../limits.ts";
import { type GoneEvents, goneEvents } from "./gone-events.ts";
import { prepare } from "./query.ts";
import { SPANS_MS } from "./span-class.ts";
import { isUsedUp, type StepBounds, within } from "./step-bounds.ts";

/** Removes chunks that nobody can read any more, in small steps. */
export interface StreamRemover {
  /**
   * Removes up to `maxRows` rows of deleted streams and of those that are due; answers how many.
   */
  sweep(maxRows: number, nowMs: number): number;
  /** Removes rows of a namespace, of all its streams. */
  erase(namespace: string, left: StepBounds): void;
}

/** A stream of which something may be removed. */
type DueRow = readonly [
  id: number,
  isDeleted: 0 | 1,
  retentionMs: number,
  earlierBelow: number,
  earlierUntilMs: number,
  sweepAtMs: number,
];

/** Prepares the statements that remove chunks and deleted streams. */
export function createStreamRemover(db: DatabaseSync): StreamRemover {
  const due = prepare<DueRow>(
    db,
    `SELECT id, name IS NULL, retention_ms, gone_below, gone_until_ms, sweep_at_ms
     FROM stream WHERE sweep_at_ms <= ? ORDER BY sweep_at_ms LIMIT 1`,
  );
  const names = prepare<[bytes: number, id: number]>(
    db,
    "SELECT 0, id FROM stream WHERE namespace = ? AND name IS NOT NULL",
  );
  const unname = db.prepare("UPDATE stream SET name = NULL, sweep_at_ms = 0 WHERE id = ?");
  const deleted = prepare<[id: number]>(
    db,
    "SELECT id FROM stream WHERE namespace = ? AND name IS NULL LIMIT 1",
  );
  const removeDeleted = createRemoveDeleted(db);
  const removeGone = createRemoveGone(db);
  return {
    sweep(maxRows, nowMs) {
      const left: StepBounds = { rows: maxRows, bytes: ERASE_STEP_BYTES };
      while (!isUsedUp(left)) {
        const row = due.get(nowMs);
        if (row === undefined) {
          break;
        }
        const [id, isDeleted, retentionMs, earlierBelow, earlierUntilMs, sweepAtMs] = row;
        // The stream counts too, because it may have nothing.
        left.rows--;
        if (isDeleted === 1) {
          removeDeleted(id, left);
        } else {
          const gone = goneEvents({ retentionMs, earlierBelow, earlierUntilMs }, nowMs);
          removeGone({ id, retentionMs, gone, all: sweepAtMs === 0 }, left);
        }
      }
      return maxRows - left.rows;
    },
    erase(namespace, left) {
      for (const [, id] of [...within(names.iterate(namespace), left)]) {
        unname.get(id);
      }
      while (!isUsedUp(left)) {
        const row = deleted.get(namespace);
        if (row === undefined) {
          return;
        }
        left.rows--;
        removeDeleted(row[0], left);
      }
    },
  };
}

/** Removes the chunks of a deleted stream, and after them its row. */
function createRemoveDeleted(db: DatabaseSync): (id: number, left: StepBounds) => void {
  const chunks = prepare<[bytes: number, lastOffset: number]>(
    db,
    "SELECT length(data), last_offset FROM event_chunk WHERE stream_id = ? ORDER BY last_offset",
  );
  const removeChunks = db.prepare("DELETE FROM event_chunk WHERE stream_id = ? AND last_offset <= ?");
  const removeStream = db.prepare("DELETE FROM stream WHERE id = ?");
  return (id, left) => {
    const last = [...within(chunks.iterate(id), left)].at(-1);
    if (last !== undefined) {
      removeChunks.run(id, last[1]);
    }
    if (!isUsedUp(left)) {
      removeStream.run(id);
    }
  };
}

interface DueStream {
  readonly id: number;
  readonly retentionMs: number;
  readonly gone: GoneEvents;
  /** Whether what was past an earlier retention is looked for too. It is once after a change. */
  readonly all: boolean;
}

/**
 * Removes the chunks of a stream that have only events that are gone, and notes when to come again.
 */
function createRemoveGone(db: DatabaseSync): (stream: DueStream, left: StepBounds) => void {
  const chunks = prepare<[bytes: number, id: number]>(
    db,
    `SELECT length(data), id FROM event_chunk
     WHERE stream_id = ? AND span_class = ? AND min_ms <= ?
       AND (max_ms <= ? OR (last_offset < ? AND max_ms <= ?)) ORDER BY min_ms`,
  );
  const remove = db.prepare("DELETE FROM event_chunk WHERE id = ?");
  const first = prepare<[maxMs: number]>(
    db,
    `SELECT max_ms FROM event_chunk WHERE stream_id = ? AND span_class = ? ORDER BY min_ms, last_offset LIMIT 1`,
  );
  const note = db.prepare("UPDATE stream SET sweep_at_ms = ? WHERE id = ?");

  function nextSweep(id: number, retentionMs: number): number | null {
    if (retentionMs === 0) {
      return null;
    }
    const ends = SPANS_MS.flatMap((_, spanClass) => first.get(id, spanClass) ?? []);
    return ends.length === 0 ? null : Math.min(...ends) + retentionMs;
  }

  return ({ id, retentionMs, gone, all }, left) => {
    const { untilMs, earlierBelow, earlierUntilMs } = gone;
    const fromMs = all ? Math.max(untilMs, earlierUntilMs) : untilMs;
    for (const spanClass of SPANS_MS.keys()) {
      const rows = chunks.iterate(id, spanClass, fromMs, untilMs, earlierBelow, earlierUntilMs);
      for (const [, chunk] of [...within(rows, left)]) {
        remove.get(chunk);
      }
    }
    if (!isUsedUp(left)) {
      note.get(nextSweep(id, retentionMs), id);
    }
  };
}
