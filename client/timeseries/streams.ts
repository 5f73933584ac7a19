import { TimeSeriesService } from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { CALL_OPTIONS, type CallOptions, type Invoker } from "../call.ts";
import { fromInt64, toInt32, toText } from "../convert.ts";
import { NAME_OPTIONS, type NameOptions, readPages, toPageRequest } from "../pages.ts";

/** What holds for a stream. */
export interface StreamConfig {
  /**
   * Days for which events are kept, counted from their own time. Absent or 0 in a call: those of
   * the namespace, and without such for ever. 0 in an answer: for ever.
   */
  readonly retentionDays?: number | undefined;
  /** Into how many parts the store divides it. Absent or 0: as the store does by itself. */
  readonly partitions?: number | undefined;
  /** How many copies the store keeps. Absent or 0: as the store does by itself. */
  readonly replicationFactor?: number | undefined;
}

/** The options of `createStream`. */
export interface CreateStreamOptions extends StreamConfig, CallOptions {}

/** What a stream is. */
export interface StreamDescription extends Required<StreamConfig> {
  readonly retentionDays: number;
  readonly partitions: number;
  readonly replicationFactor: number;
  /** When it was made, in milliseconds since 1970. `undefined` = the store does not tell. */
  readonly createdAtMs: number | undefined;
  /** No event with a smaller offset is left. As large as `nextOffset`: none is left at all. */
  readonly firstOffset: number;
  /** The offset of the next event. 0: the stream never had one. */
  readonly nextOffset: number;
  /** The earliest time of its events, in milliseconds since 1970. `undefined` = it has none. */
  readonly firstTimestampMs: number | undefined;
  /** The latest time of its events. `undefined` = it has none. */
  readonly lastTimestampMs: number | undefined;
}

const { method } = TimeSeriesService;
const CREATE_OPTIONS = {
  retentionDays: true,
  partitions: true,
  replicationFactor: true,
  ...CALL_OPTIONS,
} satisfies Record<keyof CreateStreamOptions, true>;

const CREATE = { method: method.createStream, options: CREATE_OPTIONS };
const DELETE = { method: method.deleteStream, options: CALL_OPTIONS };
const DESCRIBE = { method: method.describeStream, options: CALL_OPTIONS };
const LIST = { method: method.listStreams, options: NAME_OPTIONS };

/** The calls on streams as a whole. */
export function streamCalls(invoker: Invoker) {
  /**
   * The names of streams in pages of at most 1,024; a page may have none. The next one is asked for
   * while the loop has this one. A timeout limits the call for each page.
   */
  async function* streamPages(options: NameOptions = {}): AsyncGenerator<readonly string[], void, undefined> {
    const read = (pageToken: Uint8Array) =>
      invoker.unary(LIST, options, (namespace) => toPageRequest(namespace, options, pageToken));
    for await (const { streams } of readPages(read)) {
      yield streams;
    }
  }

  return {
    streamPages,

    /**
     * The names of the streams that there are, by the order of their UTF-8 bytes. A stream is there
     * from its first event, or from `createStream`, until it is deleted. A timeout limits the call
     * for each page.
     *
     * ```ts
     * for await (const stream of client.timeseries.streams({ prefix: "sensor/" })) { ... }
     * ```
     */
    async *streams(options: NameOptions = {}): AsyncGenerator<string, void, undefined> {
      for await (const page of streamPages(options)) {
        yield* page;
      }
    },

    /**
     * Makes a stream. If it is there, this changes its retention; another number of partitions or
     * copies throws reason `stream_differs`.
     */
    async createStream(stream: string, options: CreateStreamOptions = {}): Promise<void> {
      const { retentionDays = 0, partitions = 0, replicationFactor = 0 } = options;
      await invoker.unary(CREATE, options, (namespace) => ({
        namespace,
        stream: toText("stream", stream),
        config: {
          retentionDays: toInt32("retentionDays", retentionDays),
          partitions: toInt32("partitions", partitions),
          replicationFactor: toInt32("replicationFactor", replicationFactor),
        },
      }));
    },

    /** Deletes a stream with its events. Answers whether it was there. */
    async deleteStream(stream: string, options: CallOptions = {}): Promise<boolean> {
      const { found } = await invoker.unary(DELETE, options, (namespace) => ({
        namespace,
        stream: toText("stream", stream),
      }));
      return found;
    },

    /** What a stream is, and where it begins and ends. Throws reason `stream_not_found`. */
    async describeStream(stream: string, options: CallOptions = {}): Promise<StreamDescription> {
      const told = await invoker.unary(DESCRIBE, options, (namespace) => ({
        namespace,
        stream: toText("stream", stream),
      }));
      const { config, firstTimestampMillis: first, lastTimestampMillis: last } = told;
      return {
        retentionDays: config?.retentionDays ?? 0,
        partitions: config?.partitions ?? 0,
        replicationFactor: config?.replicationFactor ?? 0,
        createdAtMs: fromInt64("created_at_millis", told.createdAtMillis) || undefined,
        firstOffset: fromInt64("first_offset", told.firstOffset),
        nextOffset: fromInt64("next_offset", told.nextOffset),
        firstTimestampMs: first === undefined ? undefined : fromInt64("first_timestamp_millis", first),
        lastTimestampMs: last === undefined ? undefined : fromInt64("last_timestamp_millis", last),
      };
    },
  };
}
