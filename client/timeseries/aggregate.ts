import {
  TimeSeriesService,
  type AggregateRow as WireRow,
} from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "../call.ts";
import { fromInt64, toArray, toInt64, toText } from "../convert.ts";
import { SPAN_OPTIONS, type SpanOptions, type Tags, toSpan } from "./event.ts";

/** Which events to sum up, and how. */
export interface AggregateOptions extends SpanOptions, CallOptions {
  /** The tag whose value is the number of an event. Absent or "": its payload is. */
  readonly valueTag?: string | undefined;
  /**
   * The length of a bucket of time. Buckets begin at whole multiples of it since 1970, in UTC.
   * Absent or 0: the whole span is one.
   */
  readonly bucketMs?: number | undefined;
  /** Tags whose values tell groups apart, at most 8. Absent: there is one group. */
  readonly groupBy?: (Iterable<string> & object) | undefined;
}

/** What the events of one bucket and group come to. Without numbers those about them are absent. */
export interface AggregateRow {
  /** Where the bucket begins, in milliseconds since 1970. */
  readonly startMs: number;
  /** The values of the tags that tell groups apart. */
  readonly tags: Tags;
  /** The number of events. */
  readonly count: number;
  /** How many of them have a number. */
  readonly numbers: number;
  readonly sum?: number | undefined;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly avg?: number | undefined;
  /** Half of the numbers are at most this: off by at most 1%, as the others. */
  readonly p50?: number | undefined;
  readonly p95?: number | undefined;
  readonly p99?: number | undefined;
}

const AGGREGATE_OPTIONS = {
  ...SPAN_OPTIONS,
  valueTag: true,
  bucketMs: true,
  groupBy: true,
  ...CALL_OPTIONS,
} satisfies Record<keyof AggregateOptions, true>;

const AGGREGATE = { method: TimeSeriesService.method.aggregate, options: AGGREGATE_OPTIONS };

/** The way to sums of events. */
export function aggregateCalls(invoker: Invoker) {
  return {
    /**
     * Sums up the events of a span of time: a row for each bucket and group that has events, the
     * earliest bucket first. A number is decimal text as in JSON. Throws reason `stream_not_found`,
     * and `value_too_large` for more than 10,000 rows.
     *
     * ```ts
     * const { timeseries } = client;
     * const rows = await timeseries.aggregate("heat", { bucketMs: 60_000, groupBy: ["room"] });
     * ```
     */
    async aggregate(stream: string, options: AggregateOptions = {}): Promise<AggregateRow[]> {
      const { valueTag = "", bucketMs = 0, groupBy = [] } = options;
      const { rows } = await invoker.unary(AGGREGATE, options, (namespace) => ({
        namespace,
        stream: toText("stream", stream),
        ...toSpan(options),
        valueTag: toText("valueTag", valueTag),
        bucketMillis: toInt64("bucketMs", bucketMs),
        groupByTags: toArray("groupBy", groupBy, (tag) => toText("groupBy", tag)),
      }));
      return rows.map(fromRow);
    },
  };
}

function fromRow({ startTimeMillis, tags, count, numbers, sum, ...rest }: WireRow): AggregateRow {
  const { min, max, avg, p50, p95, p99 } = rest;
  return {
    startMs: fromInt64("start_time_millis", startTimeMillis),
    tags,
    count: fromInt64("count", count),
    numbers: fromInt64("numbers", numbers),
    ...(sum !== undefined && { sum, min, max, avg, p50, p95, p99 }),
  };
}
