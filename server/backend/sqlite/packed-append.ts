import { encodeEvents } from "../event-chunk.ts";
import type { EventAppend } from "../streams.ts";

/** An append with its events packed, so that they need not be packed again for the other thread. */
export interface PackedAppend extends Omit<EventAppend, "events"> {
  /** The time of the events that came without one, in milliseconds since 1970. */
  readonly nowMs: number;
  /** Encoded chunks, with offsets that count from 0. They share no memory with the request. */
  readonly chunks: readonly Uint8Array[];
}

/** Packs an append that came at `nowMs`. */
export function packAppend({ events, ...append }: EventAppend, nowMs: number): PackedAppend {
  return { ...append, nowMs, chunks: encodeEvents(events, 0, nowMs).map(({ bytes }) => bytes) };
}

/** How many bytes it holds. */
export function bytesOfAppend({ stream, chunks }: PackedAppend): number {
  return chunks.reduce((sum, { length }) => sum + length, stream.length);
}
