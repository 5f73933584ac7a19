import type {
  AppendBatchRequest,
  AppendRequest,
  CreateStreamRequest,
  Event,
  QueryRequest,
  TailRequest,
} from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import type { EventQuery, EventRead, NewEvent, StreamCreate, Tags } from "../backend/streams.ts";
import {
  DAY_MS,
  MAX_APPEND_EVENTS,
  MAX_EVENT_TAGS,
  MAX_EVENT_TAGS_BYTES,
  MAX_EVENT_TIME_MS,
  MAX_RETENTION_DAYS,
  MAX_STREAM_PARTITIONS,
  MAX_STREAM_REPLICAS,
} from "../limits.ts";
import { checkCount, checkEach, checkKey, checkPart, checkValue, invalid } from "./check.ts";

/*
 * Checks of calls on streams, as those in `check.ts`. Each answers what the contract takes.
 */

/** The event of an append. */
export function checkAppend({ stream, event }: AppendRequest, maxValueBytes: number): NewEvent {
  checkKey("stream", stream);
  if (event === undefined) {
    throw invalid("event", "event must be there");
  }
  return checkPart("event", () => checkEvent(event, maxValueBytes));
}

/** The events of a batch. */
export function checkAppends(
  { stream, events }: AppendBatchRequest,
  maxValueBytes: number,
): readonly NewEvent[] {
  checkKey("stream", stream);
  checkCount("events", events.length, 1, MAX_APPEND_EVENTS);
  return checkEach("events", events, (event) => checkEvent(event, maxValueBytes));
}

/** The stream, the span of time and the tags of a query. */
export function checkSpan({
  stream,
  startTimeMillis,
  endTimeMillis,
  filterTags,
}: Pick<QueryRequest, "stream" | "startTimeMillis" | "endTimeMillis" | "filterTags">): Pick<
  EventQuery,
  "stream" | "startMs" | "endMs" | "tags"
> {
  checkKey("stream", stream);
  const startMs = checkFromMs("start_time_millis", startTimeMillis);
  const endMs = endTimeMillis === 0n ? Infinity : checkFromMs("end_time_millis", endTimeMillis);
  if (endTimeMillis !== 0n && endTimeMillis < startTimeMillis) {
    throw invalid("end_time_millis", "end_time_millis must not be before start_time_millis");
  }
  return { stream, startMs, endMs, tags: checkTags("filter_tags", filterTags) };
}

/** What a tail reads, and from where on. Infinity = the end of the stream. */
export function checkTail({
  stream,
  fromTimestampMillis,
  filterTags,
  fromOffset = 0n,
}: Pick<TailRequest, "stream" | "fromTimestampMillis" | "filterTags" | "fromOffset">): Pick<
  EventRead,
  "stream" | "minTimestampMs" | "tags" | "offset"
> {
  checkKey("stream", stream);
  if (fromOffset < -1n) {
    throw invalid("from_offset", "from_offset must be an offset, or -1 for the next event");
  }
  return {
    stream,
    minTimestampMs: checkFromMs("from_timestamp_millis", fromTimestampMillis),
    tags: checkTags("filter_tags", filterTags),
    // One that is too large for a number is behind the end all the same.
    offset: fromOffset === -1n ? Infinity : Math.min(Number(fromOffset), Number.MAX_SAFE_INTEGER),
  };
}

/** The first time of a span: 0 or more. No event is later than the number that it answers. */
export function checkFromMs(field: string, millis: bigint): number {
  if (millis < 0n) {
    throw invalid(field, `${field} must not be negative`);
  }
  return millis > MAX_EVENT_TIME_MS ? MAX_EVENT_TIME_MS + 1 : Number(millis);
}

/** The tags of an event, or those that a reader wants. Together they are bounded. */
export function checkTags(field: "tags" | "filter_tags", tags: Tags): Tags {
  let count = 0;
  let bytes = 0;
  for (const name in tags) {
    const value = tags[name] ?? "";
    if (name.length === 0) {
      throw invalid(field, `${field} must have no empty name`);
    }
    // JSON can carry lone surrogates, which have no UTF-8 form.
    if (!name.isWellFormed() || !value.isWellFormed()) {
      throw invalid(field, `${field} must be valid UTF-8`);
    }
    count++;
    bytes += Buffer.byteLength(name) + Buffer.byteLength(value);
  }
  if (count > MAX_EVENT_TAGS) {
    throw invalid(field, `${field} must be at most ${MAX_EVENT_TAGS}, and ${count} came`);
  }
  if (bytes > MAX_EVENT_TAGS_BYTES) {
    throw invalid(field, `${field} must have at most ${MAX_EVENT_TAGS_BYTES} bytes, and ${bytes} came`);
  }
  return tags;
}

/** A stream to create. 0 days = those of the namespace. */
export function checkCreate({ stream, config }: CreateStreamRequest): StreamCreate {
  checkKey("stream", stream);
  const { retentionDays = 0, partitions = 0, replicationFactor = 0 } = config ?? {};
  checkPart("config", () => {
    checkCount("retention_days", retentionDays, 0, MAX_RETENTION_DAYS);
    checkCount("partitions", partitions, 0, MAX_STREAM_PARTITIONS);
    checkCount("replication_factor", replicationFactor, 0, MAX_STREAM_REPLICAS);
  });
  return { stream, retentionMs: retentionDays * DAY_MS, partitions, replicationFactor };
}

function checkEvent(event: Event, maxValueBytes: number): NewEvent {
  const { timestampMillis, payload, tags, offset } = event;
  if (timestampMillis < 0n || timestampMillis > MAX_EVENT_TIME_MS) {
    throw invalid("timestamp_millis", `timestamp_millis must be 0 (now) to ${MAX_EVENT_TIME_MS}`);
  }
  checkValue(payload, maxValueBytes, "payload");
  if (offset !== 0n) {
    throw invalid("offset", "offset must be 0: the gateway gives it");
  }
  return { timestampMs: Number(timestampMillis), payload, tags: checkTags("tags", tags) };
}
