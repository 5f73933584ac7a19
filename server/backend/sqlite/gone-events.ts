import { type EventPlace, expiredUntilMs } from "../streams.ts";

/** Which events of a stream are past its retention, or were past an earlier one. */
export interface GoneEvents {
  /** All of this time or earlier; 0 = none. */
  readonly untilMs: number;
  /** Of those before this offset ... */
  readonly earlierBelow: number;
  /** ... also all of this time or earlier. */
  readonly earlierUntilMs: number;
}

/** What {@link goneEvents} needs of a stream. */
export interface Retention {
  readonly retentionMs: number;
  readonly earlierBelow: number;
  readonly earlierUntilMs: number;
}

/** Which events of a stream are gone at `nowMs`. */
export function goneEvents(
  { retentionMs, earlierBelow, earlierUntilMs }: Retention,
  nowMs: number,
): GoneEvents {
  return { untilMs: Math.max(0, expiredUntilMs({ retentionMs }, nowMs)), earlierBelow, earlierUntilMs };
}

/** Whether an event is gone. */
export function isGone({ timestampMs, offset }: EventPlace, gone: GoneEvents): boolean {
  return timestampMs <= gone.untilMs || (timestampMs <= gone.earlierUntilMs && offset < gone.earlierBelow);
}
