import type { Event as WireEvent } from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { requireKnown } from "../call.ts";
import { describe, fromInt64, ownBytes, toBytes, toInt64, toText, type Value } from "../convert.ts";
import { invalidField } from "../errors.ts";

/** Labels of an event, by their names. */
export type Tags = Readonly<Record<string, string>>;

/** What is said of an event besides its payload. */
export interface EventFacts {
  /** When it happened, in milliseconds since 1970. Absent or 0: now, by the store's clock. */
  readonly timestampMs?: number | undefined;
  /** At most 64, with at most 4,096 bytes together. Absent: none. */
  readonly tags?: Tags | undefined;
}

/** An event to append. Text is stored as UTF-8. */
export interface NewEvent<T = Value> extends EventFacts {
  /** May be empty. */
  readonly payload: T;
}

/** An event of a stream. */
export interface StreamEvent<T = Uint8Array<ArrayBuffer>> {
  /** Its place in the stream, 0 or more. */
  readonly offset: number;
  /** When it happened, in milliseconds since 1970. */
  readonly timestampMs: number;
  readonly payload: T;
  readonly tags: Tags;
}

/** Which events of a span of time. */
export interface SpanOptions {
  /** The first time, in milliseconds since 1970. Absent or 0: from the first event. */
  readonly startMs?: number | undefined;
  /** The span ends before this time. Absent or 0: to the last event. */
  readonly endMs?: number | undefined;
  /** Only events that have all of these tags, with these values. Absent: all. */
  readonly tags?: Tags | undefined;
}

/** The names of {@link EventFacts}. */
export const EVENT_FACTS = { timestampMs: true, tags: true } as const satisfies Record<
  keyof EventFacts,
  true
>;

/** The names of {@link SpanOptions}. */
export const SPAN_OPTIONS = { startMs: true, endMs: true, tags: true } as const satisfies Record<
  keyof SpanOptions,
  true
>;

const NEW_EVENT = { payload: true, ...EVENT_FACTS } as const satisfies Record<keyof NewEvent, true>;

/** An event of a request. Throws `invalid_field`. */
export function toEvent(event: unknown) {
  if (typeof event !== "object" || event === null || Array.isArray(event)) {
    throw invalidField(`events must be objects with payload, not ${describe(event)}`);
  }
  requireKnown(NEW_EVENT, event);
  const { payload, timestampMs = 0, tags = {} } = event as NewEvent;
  return {
    payload: toBytes("payload", payload),
    timestampMillis: toInt64("timestampMs", timestampMs),
    tags: toTags(tags),
  };
}

/** Tags of a request. Throws `invalid_field`. */
export function toTags(tags: unknown): Record<string, string> {
  if (typeof tags !== "object" || tags === null || Symbol.iterator in tags) {
    throw invalidField(`tags must be an object of texts, not ${describe(tags)}`);
  }
  return Object.fromEntries(
    Object.entries(tags).map(([name, value]) => [toText("tag", name), toText(`tag ${name}`, value)]),
  );
}

/** The fields of a span in a request. Throws `invalid_field`. */
export function toSpan({ startMs = 0, endMs = 0, tags = {} }: SpanOptions) {
  return {
    startTimeMillis: toInt64("startMs", startMs),
    endTimeMillis: toInt64("endMs", endMs),
    filterTags: toTags(tags),
  };
}

/** An event of an answer. */
export function fromEvent({ offset, timestampMillis, payload, tags }: WireEvent): StreamEvent {
  return {
    offset: fromInt64("offset", offset),
    timestampMs: fromInt64("timestamp_millis", timestampMillis),
    payload: ownBytes(payload),
    tags,
  };
}
