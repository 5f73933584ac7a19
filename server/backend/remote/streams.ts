import type {
  DescMessage,
  DescMethodServerStreaming,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import {
  type Event,
  type EventSchema,
  type TailRequestSchema,
  TimeSeriesService,
} from "../../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { PrismError } from "../../errors.ts";
import { DAY_MS } from "../../limits.ts";
import type { Call } from "../contract.ts";
import {
  bytesOfEvent,
  type EventAppend,
  type EventPage,
  type EventPlace,
  type EventQuery,
  type EventRead,
  type EventsAppended,
  type HeldEvent,
  type NewEvent,
  type OffsetPage,
  type StreamCreate,
  type StreamState,
} from "../streams.ts";
import { answeredWrongly, toPrismError } from "./errors.ts";
import type { Ask, Plugin } from "./plugin.ts";

const { appendBatch, query, tail, createStream, describeStream, deleteStream } = TimeSeriesService.method;

/** Where the calls that are streams go. */
interface Options {
  readonly plugin: () => Plugin;
}

/** The call for each method about streams. */
export const STREAMS = {
  async appendEvents(ask: Ask, namespace: string, { stream, events }: EventAppend): Promise<EventsAppended> {
    const request = { namespace, stream, events: events.map(toEvent) };
    const { offsets, timestampMillis } = await ask(appendBatch, request);
    const [first] = offsets;
    if (first === undefined || offsets.length !== events.length) {
      throw answeredWrongly(`${offsets.length} offsets to ${events.length} events`);
    }
    // The plugin alone knows how many were too old.
    return { offset: Number(first), nowMs: Number(timestampMillis), expired: 0 };
  },

  async queryEvents(
    ask: Ask,
    namespace: string,
    wanted: EventQuery,
    options: Options,
    call: Call,
  ): Promise<EventPage | undefined> {
    return await ifThere(async () => {
      if (wanted.endMs > wanted.startMs) {
        return await readPage(namespace, wanted, options, call);
      }
      // The wire refuses an end before the start.
      await describe(ask, namespace, wanted.stream);
      return { events: [], next: undefined };
    });
  },

  async readEvents(
    ask: Ask,
    namespace: string,
    read: EventRead,
    options: Options,
    call: Call,
  ): Promise<OffsetPage | undefined> {
    return await ifThere(async () => {
      const { nextOffset } = await describe(ask, namespace, read.stream);
      return read.offset >= nextOffset
        ? { events: [], next: nextOffset, ended: true }
        : await readUntilEnd(namespace, read, nextOffset, options, call);
    });
  },

  async createStream(
    ask: Ask,
    namespace: string,
    { stream, retentionMs, partitions, replicationFactor }: StreamCreate,
  ): Promise<undefined> {
    const config = { retentionDays: Math.ceil(retentionMs / DAY_MS), partitions, replicationFactor };
    const { success } = await ask(createStream, { namespace, stream, config });
    if (!success) {
      throw answeredWrongly("success: false");
    }
    return undefined;
  },

  describeStream: (ask: Ask, namespace: string, stream: string): Promise<StreamState | undefined> =>
    ifThere(() => describe(ask, namespace, stream)),

  async deleteStream(ask: Ask, namespace: string, stream: string): Promise<boolean> {
    const found = await ifThere(async () => (await ask(deleteStream, { namespace, stream })).found);
    return found ?? false;
  },
} as const;

/** What `ask` answers; `undefined` if the plugin says that there is no such stream. */
export async function ifThere<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    // A foreign plugin may tell no more than NOT_FOUND.
    const isMissing =
      error instanceof PrismError &&
      (error.reason === "stream_not_found" || error.reason === "key_not_found");
    if (isMissing) {
      return undefined;
    }
    throw error;
  }
}

/** What a stream is. Throws PrismError. */
export async function describe(ask: Ask, namespace: string, stream: string): Promise<StreamState> {
  const state = await ask(describeStream, { namespace, stream });
  const { config, firstTimestampMillis: first, lastTimestampMillis: last } = state;
  return {
    retentionMs: (config?.retentionDays ?? 0) * DAY_MS,
    partitions: config?.partitions ?? 1,
    replicationFactor: config?.replicationFactor ?? 1,
    createdAtMs: Number(state.createdAtMillis) || undefined,
    firstOffset: Number(state.firstOffset),
    nextOffset: Number(state.nextOffset),
    firstTimestampMs: first === undefined ? undefined : Number(first),
    lastTimestampMs: last === undefined ? undefined : Number(last),
  };
}

/** Where the last page of a call ended, and how its query goes on there. */
interface Left {
  readonly place: EventPlace;
  readonly startTimeMillis: bigint;
  readonly cursor: { readonly token: Uint8Array };
}

/** Of each call with pages to come. */
const leftBy = new WeakMap<Call, Left>();

/**
 * One page of a query. It has whole messages, because only behind one the plugin tells where to go
 * on. A call that does not come from there, but from a place, begins with the events of its time
 * and skips those before it. Throws PrismError.
 */
async function readPage(
  namespace: string,
  wanted: EventQuery,
  { plugin }: Options,
  call: Call,
): Promise<EventPage> {
  const { stream, startMs, endMs, tags, after, maxEvents, maxBytes } = wanted;
  const kept = leftBy.get(call);
  const left = kept?.place === after ? kept : undefined;
  leftBy.delete(call);
  const skipped = left === undefined ? after : undefined;
  const startTimeMillis = left?.startTimeMillis ?? BigInt(Math.max(startMs, after?.timestampMs ?? 0));
  const request = {
    namespace,
    stream,
    startTimeMillis,
    endTimeMillis: endMs === Infinity ? 0n : BigInt(endMs),
    filterTags: { ...tags },
    limit: skipped === undefined ? maxEvents : 0,
    ...(left && { cursor: left.cursor }),
  };
  const events: HeldEvent[] = [];
  let bytes = 0;
  let next: EventPlace | undefined;
  await eachMessage({ plugin, call }, query, request, (message) => {
    for (const sent of message.events) {
      const event = fromEvent(sent);
      if (skipped !== undefined && !isBehind(event, skipped)) {
        continue;
      }
      if (events.length === maxEvents) {
        next = events.at(-1);
        return false;
      }
      events.push(event);
      bytes += bytesOfEvent(event);
    }
    const cursor = message.nextCursor;
    const last = events.at(-1);
    if (cursor === undefined || last === undefined || (events.length < maxEvents && bytes < maxBytes)) {
      return true;
    }
    next = last;
    leftBy.set(call, { place: next, startTimeMillis, cursor });
    return false;
  });
  return { events, next };
}

/** Whether an event comes after a place, in the order of times. */
function isBehind({ timestampMs, offset }: EventPlace, place: EventPlace): boolean {
  return timestampMs > place.timestampMs || (timestampMs === place.timestampMs && offset > place.offset);
}

/**
 * One page of the events that are there from an offset on. All before `nextOffset` was there when
 * the read began. Throws PrismError.
 */
async function readUntilEnd(
  namespace: string,
  read: EventRead,
  nextOffset: number,
  { plugin }: Options,
  call: Call,
): Promise<OffsetPage> {
  const { offset, maxEvents, maxBytes } = read;
  const request = { namespace, ...toTail(read, offset), untilEnd: true };
  const events: HeldEvent[] = [];
  let next = offset;
  let bytes = 0;
  const ended = await eachMessage({ plugin, call }, tail, request, ({ event: sent }) => {
    const event = fromTail(sent);
    events.push(event);
    next = event.offset + 1;
    bytes += bytesOfEvent(event);
    return events.length < maxEvents && bytes < maxBytes;
  });
  return { events, next: ended ? Math.max(next, nextOffset) : next, ended };
}

/** The request for a tail, but for its namespace. */
export function toTail(
  { stream, tags, minTimestampMs }: EventRead,
  offset: number,
): Omit<MessageInitShape<typeof TailRequestSchema>, "$typeName" | "namespace"> {
  return {
    stream,
    fromTimestampMillis: BigInt(minTimestampMs),
    filterTags: { ...tags },
    fromOffset: BigInt(offset),
  };
}

/** The event of a message of a tail. Throws PrismError if it has none. */
export function fromTail(event: Event | undefined): HeldEvent {
  if (event === undefined) {
    throw answeredWrongly("a message of a tail without an event");
  }
  return fromEvent(event);
}

/**
 * Hands over the messages of a stream until `take` answers false. Answers whether the stream has
 * ended before. Throws PrismError.
 */
async function eachMessage<I extends DescMessage, O extends DescMessage>(
  { plugin, call }: Pick<Options, "plugin"> & { readonly call: Call },
  method: DescMethodServerStreaming<I, O>,
  request: MessageInitShape<I> & { readonly namespace: string },
  take: (message: MessageShape<O>) => boolean,
): Promise<boolean> {
  const leaving = new AbortController();
  try {
    const signal = AbortSignal.any([call.signal, leaving.signal]);
    const messages = await plugin().stream(method, request, call, signal);
    for (;;) {
      const { done, value } = await messages.next();
      if (done === true) {
        return true;
      }
      if (!take(value)) {
        return false;
      }
    }
  } catch (error) {
    throw toPrismError(error, { call, write: false });
  } finally {
    leaving.abort();
  }
}

function toEvent({ timestampMs, payload, tags }: NewEvent): MessageInitShape<typeof EventSchema> {
  return { timestampMillis: BigInt(timestampMs), payload, tags: { ...tags } };
}

function fromEvent({ timestampMillis, payload, tags, offset }: Event): HeldEvent {
  return { timestampMs: Number(timestampMillis), payload, tags, offset: Number(offset) };
}
