import { TimeSeriesService } from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "../call.ts";
import { ownBytes, toInt32, toText, toToken } from "../convert.ts";
import { resumed } from "../resumed.ts";
import { fromEvent, SPAN_OPTIONS, type SpanOptions, type StreamEvent, toSpan } from "./event.ts";

/** Which events to read. */
export interface QueryOptions extends SpanOptions, CallOptions {
  /** The most events, the earliest of the span. Absent or 0: all. */
  readonly limit?: number | undefined;
  /** Where an earlier query stopped, which had the same options but `limit`. */
  readonly cursor?: Uint8Array | undefined;
}

/** An event of a query. */
export interface QueriedEvent<T = Uint8Array<ArrayBuffer>> extends StreamEvent<T> {
  /**
   * A later query goes on behind this event. Only the last event of a page has it. `undefined` in
   * the last event of a query = the span is at its end.
   */
  readonly cursor: Uint8Array<ArrayBuffer> | undefined;
}

const QUERY_OPTIONS = { ...SPAN_OPTIONS, limit: true, cursor: true, ...CALL_OPTIONS } satisfies Record<
  keyof QueryOptions,
  true
>;

const QUERY = { method: TimeSeriesService.method.query, options: QUERY_OPTIONS };

/** The way to events by their time. */
export function queryCalls(invoker: Invoker) {
  return {
    /**
     * The events of a span of time in the order of their times, those of one time in the order of
     * their offsets. If the connection breaks meanwhile, or the gateway's time limit for one call
     * passes, the query goes on where it was. Leaving the loop ends the call. A timeout limits the
     * whole query. Throws reason `stream_not_found`.
     *
     * ```ts
     * const startMs = Date.parse("2026-01-01T00:00:00Z");
     * for await (const { offset, payload } of client.timeseries.query("logins", { startMs })) {
     *   ...
     * }
     * ```
     */
    query(stream: string, options: QueryOptions = {}): AsyncIterable<QueriedEvent, void, undefined> {
      return resumed(QUERY_OPTIONS, options, (rest, token) =>
        invoker.stream(
          QUERY,
          rest,
          (namespace) => toRequest(namespace, stream, rest, token),
          ({ events, nextCursor }) => {
            const cursor = nextCursor && ownBytes(nextCursor.token);
            const last = events.length - 1;
            return {
              items: events.map((event, i) => ({
                ...fromEvent(event),
                cursor: i === last ? cursor : undefined,
              })),
              token: cursor,
            };
          },
        ),
      );
    },
  };
}

function toRequest(namespace: string, stream: string, options: QueryOptions, token: Uint8Array | undefined) {
  const { limit = 0, cursor } = options;
  const from = token ?? (cursor === undefined ? undefined : toToken("cursor", cursor));
  return {
    namespace,
    stream: toText("stream", stream),
    ...toSpan(options),
    limit: toInt32("limit", limit),
    ...(from !== undefined && { cursor: { token: from } }),
  };
}
