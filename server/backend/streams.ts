/*
 * What calls on streams take and answer. The calls are in contract.ts. Names of streams obey the
 * rules of keys.
 */

/** Labels of an event, by their names. */
export type Tags = Readonly<Record<string, string>>;

/** An event to append. */
export interface NewEvent {
  /** When it happened, in milliseconds since 1970. 0 = now, by the store's own clock. */
  readonly timestampMs: number;
  /** May be empty. */
  readonly payload: Uint8Array;
  readonly tags: Tags;
}

/** An event as its store holds it. */
export interface HeldEvent extends NewEvent {
  /** Never 0. */
  readonly timestampMs: number;
  readonly offset: number;
}

/** Events to append to one stream: all of them or none. */
export interface EventAppend {
  readonly stream: string;
  /** At least one. */
  readonly events: readonly NewEvent[];
  /** The retention of a stream that this append makes, in milliseconds; 0 = for ever. */
  readonly retentionMs: number;
  /**
   * True: an event that is older than the retention refuses the append as `invalid_field`. False:
   * such an event gets an offset like any other, and nobody sees it.
   */
  readonly refusesExpired: boolean;
}

/** What became of an append. */
export interface EventsAppended {
  /** The offset of the first event. */
  readonly offset: number;
  /** The time that events without one got, in milliseconds since 1970. */
  readonly nowMs: number;
  /** How many of the events were older than the retention. */
  readonly expired: number;
}

/** What events a reader wants, and how many at a time. */
interface EventFilter {
  readonly stream: string;
  /** Only events with all of these tags, with these values. None = all events. */
  readonly tags: Tags;
  /** Most events wanted, 1 or more. */
  readonly maxEvents: number;
  /** The page ends with the event that brings {@link bytesOfEvent} to this many bytes or more. */
  readonly maxBytes: number;
}

/** A place in the order of times, and at one time in the order of offsets. */
export type EventPlace = Pick<HeldEvent, "timestampMs" | "offset">;

/** One step of reading a span of time. */
export interface EventQuery extends EventFilter {
  /** The first time of the span. */
  readonly startMs: number;
  /**
   * The first time after the span. At or before `startMs`: no events. Infinity = there is no end.
   */
  readonly endMs: number;
  /** Only events after this place. `undefined` = from the start. */
  readonly after: EventPlace | undefined;
  /** Present: events that are alike may come as one. */
  readonly merge?: EventMerge;
}

/**
 * Which events are alike for a reader that counts them: those of one bucket with the same payload
 * and the same tags. A store may merge them near its disks, and then sends fewer. The bounds of the
 * page are those of the events before they are merged. Other stores ignore this.
 */
export interface EventMerge {
  /** The length of a bucket in milliseconds. Buckets begin at multiples of it; 0 = there is one. */
  readonly bucketMs: number;
  /** A longer payload may come as an empty one. */
  readonly maxPayloadBytes: number;
  /** False: tags may come as none. */
  readonly tags: boolean;
}

/**
 * Some of the events of a span, in the order of {@link EventPlace}. Merged ones are in the order of
 * their buckets.
 */
export interface EventPage {
  readonly events: readonly HeldEvent[];
  /**
   * For each event, how many it stands for. Its time is that of one of them, and its offset means
   * nothing. Absent = none were merged.
   */
  readonly counts?: readonly number[];
  /**
   * The `after` of the next page. `undefined` = this is the last page. A page may have fewer events
   * than wanted, or none, without being the last: a store looks at a bounded number of events.
   */
  readonly next: EventPlace | undefined;
}

/** One step of reading a stream by offset. */
export interface EventRead extends EventFilter {
  /**
   * The first offset to look at. Infinity = the end of the stream. One that is no longer kept
   * counts as the first that is, and one behind the end as the end.
   */
  readonly offset: number;
  /** Only events of this time or later; 0 = all. */
  readonly minTimestampMs: number;
}

/** Some of the events behind an offset, in the order of offsets. */
export interface OffsetPage {
  readonly events: readonly HeldEvent[];
  /**
   * Where to go on: everything before it was looked at. Less than the offset asked for: that one is
   * behind the end, and this is the end. A reader that was there sees that the stream was made
   * again.
   */
  readonly next: number;
  /** True: at the moment of the read there was nothing at `next` or behind. */
  readonly ended: boolean;
}

/** A read that waits at the end of the stream. */
export interface EventWait extends EventRead {
  /** The longest wait in milliseconds; 0 = until the call ends. */
  readonly waitMs: number;
}

/** What holds for a stream. */
export interface StreamConfig {
  /** For how long events are kept, from their own time, in milliseconds; 0 = for ever. */
  readonly retentionMs: number;
  /** 0 in a {@link StreamCreate} = as it is; of a new stream 1. */
  readonly partitions: number;
  /** As `partitions`. */
  readonly replicationFactor: number;
}

/** A stream to make. */
export interface StreamCreate extends StreamConfig {
  readonly stream: string;
}

/** A stream as its store holds it. */
export interface StreamState extends StreamConfig {
  /** In milliseconds since 1970. `undefined` = the store does not tell. */
  readonly createdAtMs: number | undefined;
  /** No event with a smaller offset is visible. */
  readonly firstOffset: number;
  /** The offset of the next event. */
  readonly nextOffset: number;
  /** The earliest time of the visible events. `undefined` = there is none. */
  readonly firstTimestampMs: number | undefined;
  /** Their latest time. `undefined` = there is none. */
  readonly lastTimestampMs: number | undefined;
}

/** The configuration of a stream that an append makes. */
export function streamOfAppend({ retentionMs }: Pick<EventAppend, "retentionMs">): StreamConfig {
  return { retentionMs, partitions: 1, replicationFactor: 1 };
}

/** Events of this time or earlier are past the retention. -Infinity = it never ends. */
export function expiredUntilMs({ retentionMs }: Pick<StreamConfig, "retentionMs">, nowMs: number): number {
  return retentionMs === 0 ? -Infinity : nowMs - retentionMs;
}

/** Whether an event has all tags that a reader wants. */
export function hasTags({ tags }: Pick<NewEvent, "tags">, wanted: Tags): boolean {
  for (const name in wanted) {
    if (!Object.hasOwn(tags, name) || tags[name] !== wanted[name]) {
      return false;
    }
  }
  return true;
}

/** What an event counts besides its own bytes: its place and its time. */
export const AROUND_EVENT_BYTES = 32;

/** What an event counts in a page, in bytes; tags by their UTF-16 length. */
export function bytesOfEvent({ payload, tags }: NewEvent): number {
  let bytes = AROUND_EVENT_BYTES + payload.length;
  for (const name in tags) {
    bytes += name.length + (tags[name]?.length ?? 0);
  }
  return bytes;
}

/** What events count together. */
export function bytesOfEvents(events: readonly NewEvent[]): number {
  let bytes = 0;
  for (const event of events) {
    bytes += bytesOfEvent(event);
  }
  return bytes;
}
