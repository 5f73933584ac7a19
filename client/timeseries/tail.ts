import { TimeSeriesService } from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { CALL_OPTIONS, type CallOptions, checkTimeout, type Invoker, requireKnown } from "../call.ts";
import { describe, toInt64, toText } from "../convert.ts";
import { invalidField } from "../errors.ts";
import { isPassing } from "../resumed.ts";
import { fromEvent, type StreamEvent, type Tags, toTags } from "./event.ts";
import type { streamCalls } from "./streams.ts";

/** From where on to read a stream, and which events. */
export interface TailOptions extends CallOptions {
  /**
   * The first offset. `"end"`: that of the next event that is appended. Absent or 0: the first of
   * the stream.
   */
  readonly fromOffset?: number | "end" | undefined;
  /** Only events of this time or later, in milliseconds since 1970. Absent or 0: all. */
  readonly startMs?: number | undefined;
  /** Only events that have all of these tags, with these values. Absent: all. */
  readonly tags?: Tags | undefined;
}

/** How long a tail that broke tries to go on. */
const MAX_AWAY_MS = 60_000;

/** A call that lasted so long reached the gateway, though the stream may have been quiet. */
const MIN_LASTING_MS = 5000;

/** Between two tries to go on, besides what the gateway asks for. */
const PAUSE_MS = 500;

const TAIL_OPTIONS = { fromOffset: true, startMs: true, tags: true, ...CALL_OPTIONS } satisfies Record<
  keyof TailOptions,
  true
>;

const TAIL = { method: TimeSeriesService.method.tail, options: TAIL_OPTIONS };

/** The way to events as they come. */
export function tailCalls(
  invoker: Invoker,
  { describeStream }: Pick<ReturnType<typeof streamCalls>, "describeStream">,
) {
  /** The offset to begin with. The end is asked for once, so that a break does not move it. */
  async function firstOffset(stream: string, options: TailOptions): Promise<bigint> {
    const { fromOffset = 0, namespace, signal, timeoutMs } = options;
    if (fromOffset === "end") {
      const { nextOffset } = await describeStream(stream, { namespace, signal, timeoutMs });
      return BigInt(nextOffset);
    }
    if (typeof fromOffset !== "number") {
      throw invalidField(`fromOffset must be a whole number or "end", not ${describe(fromOffset)}`);
    }
    return toInt64("fromOffset", fromOffset);
  }

  return {
    /**
     * The events of a stream in the order of their offsets, each once: those that are there, and
     * then those that come. It does not end by itself; leave the loop or abort the signal. If the
     * connection breaks, it goes on behind the last event; it fails if the gateway is away for a
     * minute. A timeout limits the whole tail. Throws reason `stream_not_found`, also when the
     * stream is deleted.
     *
     * ```ts
     * for await (const { payload } of client.timeseries.tail("logins", { fromOffset: "end" })) {
     *   ...
     * }
     * ```
     */
    async *tail(stream: string, options: TailOptions = {}): AsyncGenerator<StreamEvent, void, undefined> {
      requireKnown(TAIL_OPTIONS, options);
      const { startMs = 0, tags = {} } = options;
      const timeoutMs = checkTimeout(options.timeoutMs, 0);
      const endMs = timeoutMs === 0 ? Infinity : performance.now() + timeoutMs;
      let fromOffset = await firstOffset(stream, options);
      let giveUpMs = 0;
      for (;;) {
        const begunMs = performance.now();
        let hasEvent = false;
        try {
          const leftMs = Math.max(1, Math.ceil(endMs - begunMs));
          const rest = timeoutMs === 0 ? options : { ...options, timeoutMs: leftMs };
          const request = (namespace: string) => ({
            namespace,
            stream: toText("stream", stream),
            fromTimestampMillis: toInt64("startMs", startMs),
            filterTags: toTags(tags),
            fromOffset,
          });
          for await (const { event } of invoker.stream(TAIL, rest, request, same)) {
            if (event !== undefined) {
              hasEvent = true;
              fromOffset = event.offset + 1n;
              yield fromEvent(event);
            }
          }
          return;
        } catch (error) {
          const nowMs = performance.now();
          if (hasEvent || nowMs - begunMs >= MIN_LASTING_MS) {
            giveUpMs = nowMs + MAX_AWAY_MS;
          }
          if (!isPassing(error) || nowMs >= Math.min(giveUpMs, endMs)) {
            throw error;
          }
          await invoker.pause(Math.min(PAUSE_MS + error.retryAfterMs, endMs - nowMs), options);
        }
      }
    },
  };
}

function same<T>(message: T): T {
  return message;
}
