import { DAY_MS } from "../../limits.ts";

/**
 * The largest batch of records that a topic takes. It is more than one append can have, because an
 * append is one batch, and less than a broker reads in one request (socket.request.max.bytes). The
 * records of a compressed batch may have as many.
 */
export const MAX_BATCH_BYTES = 96 * 1024 * 1024;

/** As late or as early as can be: an event may have any time. */
const ANY_MS = "9223372036854775807";

/** Options that Kafka has since 3.6. Before that every time was taken. */
const BOUNDS_OF_TIMES = ["message.timestamp.after.max.ms", "message.timestamp.before.max.ms"] as const;

/** Kafka removes whole segments: events stay this part of their retention longer, or less. */
const SEGMENTS = 10;
const MIN_SEGMENT_MS = 60_000;
const MAX_SEGMENT_MS = 7 * DAY_MS;

/** An option of a topic. */
export interface TopicOption {
  readonly name: string;
  readonly value: string;
}

/** What makes the retention of a topic, in milliseconds; 0 = for ever. */
export function retentionOptions(retentionMs: number): TopicOption[] {
  const segmentMs =
    retentionMs === 0
      ? MAX_SEGMENT_MS
      : Math.min(MAX_SEGMENT_MS, Math.max(MIN_SEGMENT_MS, Math.floor(retentionMs / SEGMENTS)));
  return [
    { name: "retention.ms", value: String(retentionMs === 0 ? -1 : retentionMs) },
    { name: "segment.ms", value: String(segmentMs) },
  ];
}

/**
 * The options of a new topic that is on `replicas` brokers. `boundsTimes`: the brokers have options
 * that bound the times of events.
 */
export function topicOptions(retentionMs: number, replicas: number, boundsTimes: boolean): TopicOption[] {
  return [
    ...retentionOptions(retentionMs),
    { name: "cleanup.policy", value: "delete" },
    { name: "message.timestamp.type", value: "CreateTime" },
    ...(boundsTimes ? BOUNDS_OF_TIMES.map((name) => ({ name, value: ANY_MS })) : []),
    { name: "max.message.bytes", value: String(MAX_BATCH_BYTES) },
    // With two of three, one may be away and an acknowledged event is still on another.
    { name: "min.insync.replicas", value: replicas >= 3 ? "2" : "1" },
  ];
}

/** What {@link retentionOf} has to know of a topic. */
export const RETENTION_KEYS = ["retention.ms", "cleanup.policy"];

/** The retention that a topic's options make, in milliseconds; 0 = for ever. */
export function retentionOf(options: readonly { name: string; value?: string | null | undefined }[]): number {
  const of = (key: string) => options.find(({ name }) => name === key)?.value ?? "";
  const retentionMs = Number(of("retention.ms"));
  // A topic that is only compacted keeps the latest of each key, however old it is.
  const deletes = of("cleanup.policy") === "" || of("cleanup.policy").split(",").includes("delete");
  return deletes && retentionMs > 0 ? Math.min(retentionMs, Number.MAX_SAFE_INTEGER) : 0;
}
