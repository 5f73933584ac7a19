import { TimeSeriesService } from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "../call.ts";
import { fromInt64, toArray, toText, type Value } from "../convert.ts";
import { EVENT_FACTS, type EventFacts, type NewEvent, toEvent } from "./event.ts";

/** The options of an append: what is said of the event, and those of every call. */
export interface AppendOptions extends EventFacts, CallOptions {}

/** What became of an event. */
export interface Appended {
  /** Its place in the stream, 0 or more. */
  readonly offset: number;
  /** The time that was kept for it, in milliseconds since 1970. */
  readonly timestampMs: number;
}

const { method } = TimeSeriesService;
const APPEND_OPTIONS = { ...EVENT_FACTS, ...CALL_OPTIONS } satisfies Record<keyof AppendOptions, true>;

const APPEND = { method: method.append, options: APPEND_OPTIONS };
const APPEND_BATCH = { method: method.appendBatch, options: CALL_OPTIONS };

/** Appends events of a request; answers their offsets. */
export async function sendBatch(
  invoker: Invoker,
  stream: string,
  events: readonly ReturnType<typeof toEvent>[],
  options: CallOptions,
): Promise<number[]> {
  const { offsets } = await invoker.unary(APPEND_BATCH, options, (namespace) => ({
    namespace,
    stream: toText("stream", stream),
    events: [...events],
  }));
  return offsets.map((offset) => fromInt64("offset", offset));
}

/** The calls that append. */
export function appendCalls(invoker: Invoker) {
  return {
    /**
     * Appends an event. A stream that is not there is made. Text is stored as UTF-8. An append that
     * fails with a lost connection may have been made.
     *
     * ```ts
     * const tags = { city: "Bern" };
     * const { offset } = await client.timeseries.append("logins", "alice", { tags });
     * ```
     */
    async append(stream: string, payload: Value, options: AppendOptions = {}): Promise<Appended> {
      const { timestampMs, tags } = options;
      const { offset, timestampMillis } = await invoker.unary(APPEND, options, (namespace) => ({
        namespace,
        stream: toText("stream", stream),
        event: toEvent({ payload, timestampMs, tags }),
      }));
      return {
        offset: fromInt64("offset", offset),
        timestampMs: fromInt64("timestamp_millis", timestampMillis),
      };
    },

    /**
     * Appends 1 to 1,000 events in their order, all of them or none. Answers their offsets, which
     * come one after the other. `writer` makes batches of events that come one by one.
     */
    async appendBatch(
      stream: string,
      events: Iterable<NewEvent> & object,
      options: CallOptions = {},
    ): Promise<number[]> {
      return await sendBatch(invoker, stream, toArray("events", events, toEvent), options);
    },
  };
}
