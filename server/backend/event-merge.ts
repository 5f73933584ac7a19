import type { EventChunk } from "./event-chunk.ts";
import type { EventPlace, HeldEvent } from "./streams.ts";

/** Which events {@link mergeChunks} yields. */
export interface MergeRange {
  /** Only this place and later ones. */
  readonly from: EventPlace;
  /** Only events before this time, in milliseconds since 1970. Infinity = there is no end. */
  readonly endMs: number;
}

/** The next event of a chunk in the order of times. */
interface Cursor {
  readonly chunk: EventChunk;
  rank: number;
  timeMs: number;
  offset: number;
}

/**
 * Yields the events of a range, in the order of times, those of one time in the order of offsets.
 * The chunks must be all that have some of it, in the order of `minMs` and then of `firstOffset`;
 * others may be among them. A chunk is asked for when its first event may be the next one.
 */
export function* mergeChunks(
  chunks: Iterable<EventChunk>,
  { from, endMs }: MergeRange,
): Generator<HeldEvent, undefined> {
  const open: Cursor[] = [];
  const waiting = chunks[Symbol.iterator]();
  try {
    let coming = waiting.next();
    for (;;) {
      while (coming.done !== true && mayComeFirst(coming.value, open[0])) {
        const chunk = coming.value;
        coming = chunk.minMs < endMs ? waiting.next() : { done: true, value: undefined };
        const rank = chunk.maxMs < from.timestampMs ? chunk.count : chunk.rankOf(from);
        if (rank < chunk.count) {
          const cursor = { chunk, rank, timeMs: 0, offset: 0 };
          settle(cursor);
          rise(open, cursor);
        }
      }
      const first = open[0];
      if (first === undefined || first.timeMs >= endMs) {
        return;
      }
      yield first.chunk.at(first.offset - first.chunk.firstOffset);
      if (++first.rank < first.chunk.count) {
        settle(first);
        sink(open, first);
      } else {
        const last = open.pop();
        if (last !== undefined && last !== first) {
          sink(open, last);
        }
      }
    }
  } finally {
    waiting.return?.();
  }
}

function settle(cursor: Cursor): void {
  const place = cursor.chunk.placeOf(cursor.rank);
  cursor.timeMs = cursor.chunk.timeAt(place);
  cursor.offset = cursor.chunk.firstOffset + place;
}

/** Whether a chunk can have an event before another one. */
function mayComeFirst({ minMs, firstOffset }: EventChunk, next: Cursor | undefined): boolean {
  return next === undefined || minMs < next.timeMs || (minMs === next.timeMs && firstOffset < next.offset);
}

function isBefore(a: Cursor, b: Cursor): boolean {
  return a.timeMs < b.timeMs || (a.timeMs === b.timeMs && a.offset < b.offset);
}

/** Adds a cursor to a heap whose first is the next. */
function rise(heap: Cursor[], cursor: Cursor): void {
  let free = heap.length;
  while (free > 0) {
    const above = (free - 1) >>> 1;
    const parent = heap[above];
    if (parent === undefined || isBefore(parent, cursor)) {
      break;
    }
    heap[free] = parent;
    free = above;
  }
  heap[free] = cursor;
}

/** Puts a cursor in the first place of a heap, and then where it belongs. */
function sink(heap: Cursor[], cursor: Cursor): void {
  let free = 0;
  for (;;) {
    let below = 2 * free + 1;
    const left = heap[below];
    const right = heap[below + 1];
    if (left === undefined) {
      break;
    }
    if (right !== undefined && isBefore(right, left)) {
      below++;
    }
    const child = heap[below];
    if (child === undefined || isBefore(cursor, child)) {
      break;
    }
    heap[free] = child;
    free = below;
  }
  heap[free] = cursor;
}
