import type { Invoker } from "./call.ts";
import { aggregateCalls } from "./timeseries/aggregate.ts";
import { appendCalls } from "./timeseries/append.ts";
import { queryCalls } from "./timeseries/query.ts";
import { streamCalls } from "./timeseries/streams.ts";
import { tailCalls } from "./timeseries/tail.ts";
import { typedCalls } from "./timeseries/typed.ts";
import { writerCalls } from "./timeseries/writer.ts";

/**
 * Streams of events, such as audit trails, metrics and sensor values. A stream is one sequence: its
 * events have the offsets 0, 1, 2 and so on, each a time, a payload and tags. Names of streams are
 * 1 to 1,024 bytes of UTF-8. Every call fails with a `PrismError`.
 *
 * ```ts
 * await client.timeseries.append("logins", "alice", { tags: { city: "Bern" } });
 * for await (const { timestampMs, payload } of client.timeseries.query("logins")) { ... }
 * ```
 */
export type TimeSeriesApi = ReturnType<typeof appendCalls> &
  Pick<ReturnType<typeof writerCalls>, "writer"> &
  ReturnType<typeof queryCalls> &
  ReturnType<typeof tailCalls> &
  ReturnType<typeof aggregateCalls> &
  ReturnType<typeof streamCalls> &
  ReturnType<typeof typedCalls>;

/** The calls of {@link TimeSeriesApi}. */
export function createTimeSeriesApi(invoker: Invoker): TimeSeriesApi {
  const appends = appendCalls(invoker);
  const writers = writerCalls(invoker);
  const queries = queryCalls(invoker);
  const streams = streamCalls(invoker);
  const tails = tailCalls(invoker, streams);
  return {
    ...appends,
    writer: writers.writer,
    ...queries,
    ...tails,
    ...aggregateCalls(invoker),
    ...streams,
    ...typedCalls({ ...appends, ...writers, ...queries, ...tails }),
  };
}
