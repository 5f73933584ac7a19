import { CHUNK_SPAN_MS } from "../event-chunk.ts";

/**
 * The most time between the first and the last event of a chunk, by its class. To find the chunks
 * that have a time, SQLite looks back in each class by this much. With one class, a single wide
 * chunk would make it pass many narrow ones.
 */
export const SPANS_MS: readonly number[] = [0, 63, 4095, 262_143, CHUNK_SPAN_MS];

/** The class of a chunk, by the times of its events. */
export function spanClassOf({ minMs, maxMs }: { readonly minMs: number; readonly maxMs: number }): number {
  const spanClass = SPANS_MS.findIndex((spanMs) => maxMs - minMs <= spanMs);
  if (spanClass === -1) {
    throw new Error("a chunk spans too much time");
  }
  return spanClass;
}
