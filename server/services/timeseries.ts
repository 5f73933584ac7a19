import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  QueryRequest,
  QueryResponseSchema,
  StreamConfigSchema,
  TimeSeriesService,
} from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { answerOf, type Call, isRefusal, Refusal, type StreamStore } from "../backend/contract.ts";
import type {
  EventPlace,
  EventQuery,
  EventsAppended,
  NewEvent,
  StreamState,
  Tags,
} from "../backend/streams.ts";
import type { Handlers } from "../calls/implement.ts";
import { readPageToken, type TokenScope, writePageToken } from "../calls/page-token.ts";
import { seriesOf } from "../calls/record.ts";
import type { PrismError } from "../errors.ts";
import { DAY_MS, SCAN_PAGE_BYTES, SCAN_PAGE_ENTRIES } from "../limits.ts";
import type { Route } from "../namespaces/live-namespace.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { aggregateEvents } from "./aggregate-events.ts";
import { checkKey, checkLimit, invalid } from "./check.ts";
import { checkAppend, checkAppends, checkCreate, checkSpan } from "./check-event.ts";
import { onlyOf } from "./commits.ts";
import { noSuchStream, toEvent } from "./event-messages.ts";
import { readNamePage } from "./name-pages.ts";
import { tailEvents } from "./tail-events.ts";

/** prism.timeseries.v1.TimeSeriesService: check, route, call, reply. */
export function createTimeSeries(
  router: NamespaceRouter,
  { maxValueBytes }: { readonly maxValueBytes: number },
): Handlers<typeof TimeSeriesService> {
  return {
    async append(request, call) {
      const event = checkAppend(request, maxValueBytes);
      const route = router.route("streams", request.namespace, call);
      const appended = await appendAll(route, request.stream, [event], call);
      const { offset, nowMs } = answerOf(isRefusal(appended) ? ofSingle(appended) : appended);
      return { offset: BigInt(offset), timestampMillis: BigInt(event.timestampMs || nowMs) };
    },

    async appendBatch(request, call) {
      const events = checkAppends(request, maxValueBytes);
      const route = router.route("streams", request.namespace, call);
      const { offset, nowMs } = answerOf(await appendAll(route, request.stream, events, call));
      return { offsets: events.map((_, i) => BigInt(offset + i)), timestampMillis: BigInt(nowMs) };
    },

    query(request, call) {
      const span = checkSpan(request);
      const limit = checkLimit(request.limit);
      return pages(router.route("streams", request.namespace, call), request, span, limit, call);
    },

    tail: (request, call) => tailEvents(router, request, call),

    async createStream(request, call) {
      const create = checkCreate(request);
      const { namespace, store } = router.route("streams", request.namespace, call);
      answerOf(onlyOf(await store.createStream(namespace, [create], call)));
      return { success: true };
    },

    async deleteStream(request, call) {
      checkKey("stream", request.stream);
      const { namespace, store } = router.route("streams", request.namespace, call);
      return { found: answerOf(onlyOf(await store.deleteStream(namespace, [request.stream], call))) };
    },

    async describeStream(request, call) {
      checkKey("stream", request.stream);
      const { namespace, store } = router.route("streams", request.namespace, call);
      const state = answerOf(onlyOf(await store.describeStream(namespace, [request.stream], call)));
      if (state === undefined) {
        throw noSuchStream();
      }
      return toDescription(state);
    },

    async listStreams(request, call) {
      const route = () => {
        const { namespace, store } = router.route("streamNames", request.namespace, call);
        return { namespace, read: store.pageStreams };
      };
      const { names, ...reply } = await readNamePage(request, route, call);
      return { streams: names, ...reply };
    },

    aggregate: (request, call) => aggregateEvents(router, request, call),
  };
}

/**
 * Appends to one stream, and counts the events that nobody will see. What the namespace says of
 * retention and of late events goes with it.
 */
async function appendAll(
  { namespace, store }: Route<StreamStore>,
  stream: string,
  events: readonly NewEvent[],
  call: Call,
): Promise<EventsAppended | Refusal> {
  const append = { stream, events, retentionMs: 0, refusesExpired: false };
  const appended = onlyOf(await store.appendEvents(namespace, [append], call));
  if (!isRefusal(appended) && appended.expired > 0) {
    seriesOf(call)?.expire(appended.expired);
  }
  return appended;
}

/** The refusal of a single event with the name that it has in its request. */
function ofSingle({ reason, message, field, cause }: Refusal): Refusal {
  const named = (text: string) => text.replace(/^events\[0\]/, "event");
  return new Refusal(reason, named(message), { field: field && named(field), cause });
}

/**
 * The pages of a query, a message each. The next page is fetched when the reader wants it. Not a
 * generator: that would hold the last page as long as a slow reader takes.
 */
function pages(
  { namespace, store }: Route<StreamStore>,
  { $typeName: typeName, startTimeMillis, endTimeMillis, cursor }: QueryRequest,
  span: Pick<EventQuery, "stream" | "startMs" | "endMs" | "tags">,
  limit: number,
  call: Call,
): AsyncIterable<MessageInitShape<typeof QueryResponseSchema>[]> {
  const times = [`${startTimeMillis}`, `${endTimeMillis}`];
  const scope = [typeName, namespace, span.stream, ...times, textOf(span.tags)];
  let left = limit;
  let after = cursor && cursor.token.length > 0 ? placeOf(scope, cursor.token) : undefined;
  let more = true;

  async function next(): Promise<IteratorResult<MessageInitShape<typeof QueryResponseSchema>[], undefined>> {
    if (!more) {
      return { done: true, value: undefined };
    }
    const query = {
      ...span,
      after,
      maxEvents: Math.min(left, SCAN_PAGE_ENTRIES),
      maxBytes: SCAN_PAGE_BYTES,
    };
    const page = answerOf(onlyOf(await store.queryEvents(namespace, [query], call)));
    if (page === undefined) {
      throw noSuchStream();
    }
    left -= page.events.length;
    after = page.next;
    more = after !== undefined && left > 0;
    const nextCursor = after && { token: tokenAt(scope, after) };
    return { done: false, value: [{ events: page.events.map(toEvent), ...(nextCursor && { nextCursor }) }] };
  }
  return { [Symbol.asyncIterator]: () => ({ next }) };
}

/** Tags in an order that does not depend on the request's. */
function textOf(tags: Tags): string {
  return JSON.stringify(Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The time and the offset of a place, 8 bytes each. */
const PLACE_BYTES = 16;

function tokenAt(scope: TokenScope, { timestampMs, offset }: EventPlace): Uint8Array {
  const position = Buffer.alloc(PLACE_BYTES);
  position.writeDoubleBE(timestampMs, 0);
  position.writeDoubleBE(offset, PLACE_BYTES / 2);
  return writePageToken(scope, position);
}

/** Throws {@link PrismError} `invalid_field` for what is no token of this query. */
function placeOf(scope: TokenScope, token: Uint8Array): EventPlace {
  const { buffer, byteOffset, length } = readPageToken(scope, token, "cursor", PLACE_BYTES);
  if (length === PLACE_BYTES) {
    const position = new DataView(buffer, byteOffset, length);
    const place = { timestampMs: position.getFloat64(0), offset: position.getFloat64(PLACE_BYTES / 2) };
    if (Number.isSafeInteger(place.timestampMs) && Number.isSafeInteger(place.offset)) {
      return place;
    }
  }
  throw invalid("cursor", "cursor has no place of an event");
}

function toDescription(state: StreamState) {
  const { retentionMs, partitions, replicationFactor, firstTimestampMs, lastTimestampMs } = state;
  const config: MessageInitShape<typeof StreamConfigSchema> = {
    // Where the store is Kafka, somebody else may have said another time. A part of a day is one.
    retentionDays: Math.ceil(retentionMs / DAY_MS),
    partitions,
    replicationFactor,
  };
  return {
    config,
    createdAtMillis: BigInt(state.createdAtMs ?? 0),
    firstOffset: BigInt(state.firstOffset),
    nextOffset: BigInt(state.nextOffset),
    ...(firstTimestampMs !== undefined && { firstTimestampMillis: BigInt(firstTimestampMs) }),
    ...(lastTimestampMs !== undefined && { lastTimestampMillis: BigInt(lastTimestampMs) }),
  };
}
