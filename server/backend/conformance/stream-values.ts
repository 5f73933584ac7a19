import { expect } from "vitest";
import { answerOf, type StreamStore } from "../contract.ts";
import {
  bytesOfEvents,
  type EventAppend,
  type EventPlace,
  type EventQuery,
  type EventRead,
  type EventsAppended,
  type HeldEvent,
  type NewEvent,
  type OffsetPage,
  type StreamConfig,
  type StreamState,
  type Tags,
} from "../streams.ts";
import { AWKWARD_KEYS, answersOf, CALL, type Harness, NAMESPACE, present } from "./harness.ts";
import { latin1, only, toBytes } from "./record-values.ts";

/** A time that no test's clock has reached, far from both ends of what can be kept. */
export const LATER_MS = 1_900_000_000_000;

/** The last time that an event can have: the end of the year 9999. */
export const LAST_MS = 253_402_300_799_999;

/** On the wire a retention is a number of days. */
export const DAY_MS = 86_400_000;

const MAX_BYTES = 16 * 1024 * 1024;

/** Names of streams that a store could confuse: those that it takes. */
export function awkwardStreams({ streamLimits }: Harness): string[] {
  return AWKWARD_KEYS.filter((name) => streamLimits?.takesName(name) ?? true);
}

/** Numbers of partitions and replicas, or the only ones that the store takes. */
export function shapeFor(
  { streamLimits }: Harness,
  shape: Pick<StreamConfig, "partitions" | "replicationFactor">,
): Pick<StreamConfig, "partitions" | "replicationFactor"> {
  return streamLimits === undefined ? shape : { partitions: 1, replicationFactor: 1 };
}

/** An event to append; the payload may be text, each character a byte. */
export function event(timestampMs: number, payload: string | Uint8Array = "", tags: Tags = {}): NewEvent {
  return { timestampMs, payload: toBytes(payload), tags };
}

/** An append of events to one stream. */
export function append(
  stream: string,
  events: readonly NewEvent[],
  { retentionMs = 0, refusesExpired = false }: Partial<EventAppend> = {},
): EventAppend {
  return { stream, events, retentionMs, refusesExpired };
}

/** Appends to one stream. Throws a refusal. */
export async function appendTo(
  streams: StreamStore,
  stream: string,
  events: readonly NewEvent[],
  { namespace = NAMESPACE, ...rest }: Partial<EventAppend> & { readonly namespace?: string } = {},
): Promise<EventsAppended> {
  return answerOf(only(await streams.appendEvents(namespace, [append(stream, events, rest)], CALL)));
}

/**
 * The events of a span of time, page by page. By default all of them. Expects what holds for every
 * page. `between` runs after each one.
 */
export async function query(
  streams: StreamStore,
  stream: string,
  span: Partial<EventQuery> = {},
  { namespace = NAMESPACE, between = async () => {} }: { namespace?: string; between?: () => unknown } = {},
): Promise<HeldEvent[]> {
  const all: EventQuery = {
    stream,
    tags: {},
    startMs: 0,
    endMs: Infinity,
    maxEvents: 1000,
    maxBytes: MAX_BYTES,
    after: undefined,
    ...span,
  };
  const found: HeldEvent[] = [];
  let { after } = all;
  do {
    const page = present(
      answerOf((await streams.queryEvents(namespace, [{ ...all, after }], CALL))[0] ?? undefined),
    );
    expectWithin(page.events, all);
    expect(page.next === undefined || after === undefined || isBefore(after, page.next)).toBe(true);
    found.push(...page.events);
    after = page.next;
    await between();
  } while (after !== undefined);
  return found;
}

/** One page of a read by offset. By default it begins at the first event and has no filter. */
export async function readPage(
  streams: StreamStore,
  stream: string,
  read: Partial<EventRead> = {},
  namespace: string = NAMESPACE,
): Promise<OffsetPage | undefined> {
  const all: EventRead = {
    stream,
    tags: {},
    offset: 0,
    minTimestampMs: 0,
    maxEvents: 1000,
    maxBytes: MAX_BYTES,
    ...read,
  };
  const page = answerOf((await streams.readEvents(namespace, [all], CALL))[0] ?? undefined);
  expectWithin(page?.events ?? [], all);
  return page;
}

/** The events of a stream in the order of offsets, page by page. By default all of them. */
export async function read(
  streams: StreamStore,
  stream: string,
  from: Partial<EventRead> = {},
  namespace: string = NAMESPACE,
): Promise<HeldEvent[]> {
  const found: HeldEvent[] = [];
  let { offset = 0 } = from;
  for (;;) {
    const page = present(await readPage(streams, stream, { ...from, offset }, namespace));
    found.push(...page.events);
    if (page.ended) {
      return found;
    }
    expect(page.next).toBeGreaterThan(offset);
    offset = page.next;
  }
}

/** What a stream is. `undefined` = it is not there. */
export async function describeOne(
  streams: StreamStore,
  stream: string,
  namespace: string = NAMESPACE,
): Promise<StreamState | undefined> {
  const [state] = await answersOf(streams.describeStream(namespace, [stream], CALL));
  return state;
}

/** Creates a stream, or changes it. */
export async function create(
  streams: StreamStore,
  stream: string,
  { retentionMs = 0, partitions = 0, replicationFactor = 0 }: Partial<StreamConfig> = {},
  namespace: string = NAMESPACE,
): Promise<void> {
  const creates = [{ stream, retentionMs, partitions, replicationFactor }];
  await answersOf(streams.createStream(namespace, creates, CALL));
}

/** Deletes a stream. Answers whether it was there. */
export async function deleteOne(
  streams: StreamStore,
  stream: string,
  namespace: string = NAMESPACE,
): Promise<boolean> {
  return answerOf(only(await streams.deleteStream(namespace, [stream], CALL)));
}

/** The offsets of events. */
export function offsetsOf(events: readonly HeldEvent[]): number[] {
  return events.map(({ offset }) => offset);
}

/** Payloads as text, each byte a character. */
export function payloadsOf(events: readonly NewEvent[]): string[] {
  return events.map(({ payload }) => latin1(payload));
}

/** What can be compared of events: payloads as text, and tags in one order. */
export function comparable(events: readonly (NewEvent & { readonly offset?: number })[]): unknown[] {
  return events.map(({ timestampMs, offset, payload, tags }) => ({
    timestampMs,
    offset,
    payload: latin1(payload),
    tags: Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1)),
  }));
}

/** Events of a stream in the order in which a query answers them. */
export function inOrderOfTime(events: readonly HeldEvent[]): HeldEvent[] {
  return [...events].sort((a, b) => (isBefore(a, b) ? -1 : 1));
}

/** Events with the offsets that they get in a new stream. */
export function withOffsets(events: readonly NewEvent[]): HeldEvent[] {
  return events.map((each, offset) => ({ ...each, offset }));
}

/** A page ends with the event that reaches one of its bounds. */
function expectWithin(
  events: readonly HeldEvent[],
  { maxEvents, maxBytes }: Pick<EventRead, "maxEvents" | "maxBytes">,
): void {
  expect(events.length).toBeLessThanOrEqual(maxEvents);
  if (events.length > 1) {
    expect(bytesOfEvents(events.slice(0, -1))).toBeLessThan(maxBytes);
  }
}

function isBefore(a: EventPlace, b: EventPlace): boolean {
  return a.timestampMs < b.timestampMs || (a.timestampMs === b.timestampMs && a.offset < b.offset);
}
