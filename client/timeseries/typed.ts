import type { CallOptions } from "../call.ts";
import type { Codec } from "../codec.ts";
import type { Appended, AppendOptions, appendCalls } from "./append.ts";
import type { NewEvent, StreamEvent } from "./event.ts";
import type { QueriedEvent, QueryOptions, queryCalls } from "./query.ts";
import type { TailOptions, tailCalls } from "./tail.ts";
import type { EventWriter, WriterOptions, writerCalls } from "./writer.ts";

/** The calls that a {@link TypedTimeSeriesApi} is made of. */
type Calls = ReturnType<typeof appendCalls> &
  ReturnType<typeof queryCalls> &
  ReturnType<typeof tailCalls> &
  ReturnType<typeof writerCalls>;

/** The calls of `client.timeseries` that read and write payloads, with payloads of one type. */
export interface TypedTimeSeriesApi<T> {
  /** As `client.timeseries.append`. */
  append(stream: string, payload: T, options?: AppendOptions): Promise<Appended>;
  /** As `client.timeseries.appendBatch`. */
  appendBatch(
    stream: string,
    events: Iterable<NewEvent<T>> & object,
    options?: CallOptions,
  ): Promise<number[]>;
  /** As `client.timeseries.writer`. */
  writer(stream: string, options?: WriterOptions): EventWriter<T>;
  /**
   * As `client.timeseries.query`. Throws also what the codec throws for a payload of another type.
   */
  query(stream: string, options?: QueryOptions): AsyncIterable<QueriedEvent<T>, void, undefined>;
  /** As `client.timeseries.tail`. */
  tail(stream: string, options?: TailOptions): AsyncIterable<StreamEvent<T>, void, undefined>;
}

/** The way to typed payloads. */
export function typedCalls(calls: Calls) {
  return {
    /**
     * The calls that read and write payloads, with payloads of one type: `json()` or a codec of
     * your own says how they are stored.
     *
     * ```ts
     * const clicks = client.timeseries.as(json<Click>());
     * await clicks.append("clicks", { page: "/", x: 10, y: 20 });
     * ```
     */
    as<T>(codec: Codec<T>): TypedTimeSeriesApi<T> {
      return withCodec(calls, codec);
    },
  };
}

function withCodec<T>(calls: Calls, codec: Codec<T>): TypedTimeSeriesApi<T> {
  const encode = (payload: T) => codec.encode(payload);
  return {
    async append(stream, payload, options) {
      return await calls.append(stream, encode(payload), options);
    },
    async appendBatch(stream, events, options) {
      const encoded = Array.from(events, (event) => ({ ...event, payload: encode(event.payload) }));
      return await calls.appendBatch(stream, encoded, options);
    },
    writer(stream, options = {}) {
      return calls.createWriter(stream, options, encode);
    },
    async *query(stream, options) {
      for await (const event of calls.query(stream, options)) {
        yield { ...event, payload: await codec.decode(event.payload) };
      }
    },
    async *tail(stream, options) {
      for await (const event of calls.tail(stream, options)) {
        yield { ...event, payload: await codec.decode(event.payload) };
      }
    },
  };
}
