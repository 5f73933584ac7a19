import { DatabaseSync } from "node:sqlite";
import { beforeEach, describe, expect, test } from "vitest";
import { bytes, present } from "../conformance/harness.ts";
import { seeded } from "../conformance/seeded.ts";
import type { EventPlace, EventQuery, HeldEvent, NewEvent } from "../streams.ts";
import { MIGRATIONS, migrate } from "./migrations.ts";
import type { Operation, OperationOf, Outcome } from "./operation.ts";
import { packAppend } from "./packed-append.ts";
import { prepare } from "./query.ts";
import { SPANS_MS } from "./span-class.ts";
import { createStreamReader, type StreamReader } from "./stream-reader.ts";
import { type ApplyGroup, createApplyGroup } from "./write-batch.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const NOW_MS = 100 * HOUR_MS;
const LARGE = new Uint8Array(2100);

let db: DatabaseSync;
let apply: ApplyGroup;
let reader: StreamReader;

beforeEach(() => {
  db = new DatabaseSync(":memory:");
  migrate(db, MIGRATIONS);
  apply = createApplyGroup(db);
  reader = createStreamReader(db);
});

/** An event that shares its row with none of another append. */
function at(timestampMs: number, payload: Uint8Array = LARGE): NewEvent {
  return { timestampMs, payload, tags: {} };
}

/** An event that shares its row with those around it. */
function smallAt(timestampMs: number): NewEvent {
  return at(timestampMs, bytes("1"));
}

function append(
  events: readonly NewEvent[],
  { stream = "s", retentionMs = 0, refusesExpired = false } = {},
): OperationOf<"appendEvents"> {
  const item = packAppend({ stream, events, retentionMs, refusesExpired }, NOW_MS);
  return { type: "appendEvents", namespace: "n", items: [item] };
}

function create(retentionMs: number, stream = "s"): Operation {
  const items = [{ stream, retentionMs, partitions: 0, replicationFactor: 0 }];
  return { type: "createStream", namespace: "n", items };
}

const REMOVE: Operation = { type: "deleteStream", namespace: "n", items: ["s"] };

/** Sweeps in steps of this many rows; answers how many there were. */
function sweep(nowMs: number, maxEntries: number): number {
  let steps = 0;
  while (reader.hasExpired(nowMs)) {
    const [removed] = apply([{ type: "sweep", maxEntries }], nowMs);
    expect(removed).toBeGreaterThan(0);
    expect(removed).toBeLessThanOrEqual(maxEntries);
    steps++;
  }
  return steps;
}

function count(table: "stream" | "event_chunk"): number {
  return prepare<[number]>(db, `SELECT count(*) FROM ${table}`).get()?.[0] ?? Number.NaN;
}

/** The offsets of all events, in the order in which they were appended. */
function pagesByOffset(): number[] {
  const all = { stream: "s", tags: {}, minTimestampMs: 0, maxEvents: 100_000, maxBytes: 100_000_000 };
  const page = present(reader.read("n", { ...all, offset: 0 }, NOW_MS));
  expect(page.ended).toBe(true);
  return page.events.map(({ offset }) => offset);
}

/** All pages of a query, one after the other. */
function pagesOf(query: Partial<EventQuery> = {}, nowMs = NOW_MS): (readonly HeldEvent[])[] {
  const pages: (readonly HeldEvent[])[] = [];
  let after: EventPlace | undefined;
  do {
    const all = { stream: "s", tags: {}, startMs: 0, endMs: Infinity, maxEvents: 100, maxBytes: 100_000_000 };
    const page = present(reader.query("n", { ...all, ...query, after }, nowMs));
    pages.push(page.events);
    after = page.next;
  } while (after !== undefined);
  return pages;
}

const placesOf = (events: readonly EventPlace[]) =>
  events.map(({ timestampMs, offset }) => `${offset}@${timestampMs}`);

/** The offsets that each way of reading finds, which must be the same events. */
function offsetsLeft(nowMs: number): number[] {
  const all = {
    stream: "s",
    tags: {},
    offset: 0,
    minTimestampMs: 0,
    maxEvents: 10_000,
    maxBytes: 100_000_000,
  };
  const events = present(reader.read("n", all, nowMs)).events;
  const found = pagesOf({}, nowMs).flat();
  expect(placesOf(found).sort()).toEqual(placesOf(events).sort());
  const state = present(reader.describe("n", "s", nowMs));
  const times = events.map(({ timestampMs }) => timestampMs);
  expect(state).toMatchObject({
    firstOffset: events[0]?.offset ?? state.nextOffset,
    firstTimestampMs: times.length === 0 ? undefined : Math.min(...times),
    lastTimestampMs: times.length === 0 ? undefined : Math.max(...times),
  });
  return events.map(({ offset }) => offset);
}

describe("events that are gone", () => {
  test("are removed by whole chunks in steps, as soon as all of a chunk are gone", () => {
    for (let i = 0; i < 20; i++) {
      apply([append([at(NOW_MS + i), at(NOW_MS + i + 5)], { retentionMs: 1000 })], NOW_MS);
    }
    expect(sweep(NOW_MS + 1004, 3)).toBe(0);
    expect(count("event_chunk")).toBe(20);
    expect(offsetsLeft(NOW_MS + 1004)).not.toContain(0);
    expect(sweep(NOW_MS + 1014, 3)).toBeGreaterThanOrEqual(4);
    expect(count("event_chunk")).toBe(10);
    expect(offsetsLeft(NOW_MS + 1014)).toEqual([21, 23, 25, 27, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39]);
    sweep(NOW_MS + 5000, 512);
    expect(count("event_chunk")).toBe(0);
    expect(present(reader.describe("n", "s", NOW_MS + 5000))).toMatchObject({
      firstOffset: 40,
      nextOffset: 40,
    });
  });

  test("of any span are removed, and those between them stay", () => {
    for (const spanMs of SPANS_MS) {
      apply([append([at(NOW_MS), at(NOW_MS + spanMs)], { retentionMs: HOUR_MS })], NOW_MS);
    }
    SPANS_MS.forEach((spanMs, i) => {
      sweep(NOW_MS + HOUR_MS + spanMs, 512);
      expect(count("event_chunk")).toBe(SPANS_MS.length - i - 1);
    });
  });

  test("take no room where they came too late", () => {
    apply([create(1000), append([at(NOW_MS - 1000), at(1)])], NOW_MS);
    expect(count("event_chunk")).toBe(0);
    expect(present(reader.describe("n", "s", NOW_MS)).nextOffset).toBe(2);
  });

  test("stay gone when the retention becomes longer, and later ones of that time do not", () => {
    apply([create(1000), append([at(NOW_MS), at(NOW_MS + 10)])], NOW_MS);
    apply([append([at(NOW_MS)])], NOW_MS);
    apply([create(0)], NOW_MS + 1000);
    apply([append([at(NOW_MS), at(NOW_MS - 1)])], NOW_MS + 1000);
    expect(offsetsLeft(NOW_MS + 1000)).toEqual([1, 3, 4]);
    apply([create(2 * HOUR_MS)], NOW_MS + 1001);
    expect(offsetsLeft(NOW_MS + 1001)).toEqual([1, 3, 4]);
    expect(count("event_chunk")).toBe(3);
    sweep(NOW_MS + 1001, 512);
    expect(count("event_chunk")).toBe(2);
    expect(offsetsLeft(NOW_MS + 1001)).toEqual([1, 3, 4]);
    sweep(NOW_MS + 3 * HOUR_MS, 512);
    expect(count("event_chunk")).toBe(0);
  });

  test("go at once when the retention becomes shorter", () => {
    apply([append([at(NOW_MS - 10)]), append([at(NOW_MS)]), create(10)], NOW_MS);
    expect(offsetsLeft(NOW_MS)).toEqual([1]);
    sweep(NOW_MS, 512);
    expect(count("event_chunk")).toBe(1);
  });
});

describe("a deleted stream", () => {
  test("is removed in steps, and another one of its name has nothing of it", () => {
    for (let i = 0; i < 10; i++) {
      apply([append([at(0)])], NOW_MS);
    }
    expect(apply([REMOVE, REMOVE], NOW_MS)).toEqual([[true], [false]]);
    expect(reader.describe("n", "s", NOW_MS)).toBeUndefined();
    apply([append([at(0)])], NOW_MS);
    expect(offsetsLeft(NOW_MS)).toEqual([0]);
    expect(sweep(NOW_MS, 3)).toBeGreaterThanOrEqual(4);
    expect([count("stream"), count("event_chunk")]).toEqual([1, 1]);
    expect(offsetsLeft(NOW_MS)).toEqual([0]);
  });

  test("is removed with its namespace", () => {
    apply([append([at(0)]), REMOVE, append([at(0)]), append([at(0)], { stream: "t" })], NOW_MS);
    let steps = 0;
    for (let hasMore: Outcome = true; hasMore === true; steps++) {
      [hasMore] = apply([{ type: "erase", namespace: "n", maxItems: 2 }], NOW_MS);
    }
    expect(steps).toBeGreaterThan(2);
    expect([count("stream"), count("event_chunk")]).toEqual([0, 0]);
  });
});

describe("a page", () => {
  test("looks at a bounded number of chunks, also where no event is wanted", () => {
    // Two times only, so that pages begin among events of one time.
    const times = [NOW_MS, NOW_MS + 1];
    for (let i = 0; i < 5000; i++) {
      apply([append([at(times[i % 2] ?? 0)])], NOW_MS);
    }
    const none = { tags: { a: "b" } };
    const pages = pagesOf(none);
    expect(pages.length).toBeGreaterThan(3);
    expect(pages.flat()).toEqual([]);
    const found = pagesOf({ maxEvents: 700 }).flat();
    expect(found.map(({ offset }) => offset)).toEqual([
      ...Array.from({ length: 2500 }, (_, i) => 2 * i),
      ...Array.from({ length: 2500 }, (_, i) => 2 * i + 1),
    ]);
    let reads = 0;
    const read = { ...none, stream: "s", minTimestampMs: 0, maxEvents: 1, maxBytes: 1 };
    for (let offset = 0; offset < 5000; reads++) {
      offset = present(reader.read("n", { ...read, offset }, NOW_MS)).next;
    }
    expect(reads).toBeGreaterThan(1);
  });

  test("gets on where many chunks have the same times", () => {
    for (let i = 0; i < 3000; i++) {
      apply([append([at(NOW_MS + 1), at(NOW_MS)])], NOW_MS);
    }
    const pages = pagesOf({ maxEvents: 10_000 });
    expect(pages.length).toBeGreaterThan(1);
    expect(pages.length).toBeLessThan(20);
    expect(pages.flat().map(({ offset }) => offset)).toEqual([
      ...Array.from({ length: 3000 }, (_, i) => 2 * i + 1),
      ...Array.from({ length: 3000 }, (_, i) => 2 * i),
    ]);
  });

  test("has the events of chunks of every span in the order of times", () => {
    const { random, seed } = seeded();
    const pick = (below: number) => Math.floor(random() * below);
    const all: HeldEvent[] = [];
    for (let i = 0; i < 300; i++) {
      const spanMs = SPANS_MS[pick(SPANS_MS.length)] ?? 0;
      const startMs = NOW_MS - pick(3 * HOUR_MS);
      const make = random() < 0.5 ? at : smallAt;
      const events = Array.from({ length: 1 + pick(5) }, (_, i) =>
        make(startMs + (i === 1 ? spanMs : pick(spanMs + 1))),
      );
      apply([append(events)], NOW_MS);
      all.push(...events.map((event, i) => ({ ...event, offset: all.length + i })));
    }
    const inOrder = all.toSorted((a, b) => a.timestampMs - b.timestampMs || a.offset - b.offset);
    for (let i = 0; i < 100; i++) {
      const startMs = NOW_MS - pick(4 * HOUR_MS);
      const endMs = random() < 0.1 ? Infinity : startMs + pick(2 * HOUR_MS);
      const found = pagesOf({ startMs, endMs, maxEvents: 1 + pick(50) }).flat();
      const wanted = inOrder.filter(({ timestampMs: ms }) => ms >= startMs && ms < endMs);
      expect(placesOf(found), `seed ${seed}`).toEqual(placesOf(wanted));
    }
  });
});

describe("late events", () => {
  /** How many rows have more than a minute between their events. */
  const wideRows = () =>
    prepare<[number]>(db, `SELECT count(*) FROM event_chunk WHERE max_ms - min_ms > ${MINUTE_MS}`).get()?.[0];
  /** A device's values of an hour, one each minute. */
  const hourOf = (device: number) =>
    Array.from({ length: 60 }, (_, i) => smallAt(NOW_MS + i * MINUTE_MS + device));

  test("of many batches that span the same time share no rows that span more than a minute", () => {
    for (let device = 0; device < 50; device++) {
      apply([append(hourOf(device))], NOW_MS);
    }
    // Nothing was there before the first.
    expect(wideRows()).toBe(1);
    const all = Array.from({ length: 3000 }, (_, i) => i);
    const inOrder = all.map((i) => (i % 50) * 60 + Math.floor(i / 50));
    expect(pagesOf().flatMap((page) => page.map(({ offset }) => offset))).toEqual(inOrder);
    expect(pagesByOffset()).toEqual(all);
  });

  test("that come one by one do neither, in one group or in many, also among those in order", () => {
    const { random, seed } = seeded();
    const late = (lastMs: number) => append([smallAt(lastMs - Math.floor(random() * HOUR_MS))]);
    apply([append([smallAt(NOW_MS)])], NOW_MS);
    for (let i = 1; i <= 100; i++) {
      const lastMs = NOW_MS + i * MINUTE_MS;
      apply([append([smallAt(lastMs)]), late(lastMs), late(lastMs)], NOW_MS);
      apply([late(lastMs)], NOW_MS);
      apply([late(lastMs)], NOW_MS);
    }
    expect(wideRows(), `seed ${seed}`).toBe(0);
    expect(pagesByOffset(), `seed ${seed}`).toEqual(Array.from({ length: 501 }, (_, i) => i));
  });

  test("leave those in order as they are: an hour of them shares a row", () => {
    apply([append([smallAt(NOW_MS), smallAt(NOW_MS - HOUR_MS)])], NOW_MS);
    apply([append(hourOf(1))], NOW_MS);
    expect(count("event_chunk")).toBe(2);
    apply(
      hourOf(HOUR_MS).map((event) => append([event])),
      NOW_MS,
    );
    expect(count("event_chunk")).toBe(3);
    for (const event of hourOf(2 * HOUR_MS)) {
      apply([append([event])], NOW_MS);
    }
    expect(count("event_chunk")).toBe(4);
  });
});

describe("small appends", () => {
  const offsets = Array.from({ length: 200 }, (_, i) => i);

  test("share rows, within a group and over groups", () => {
    apply(
      offsets.slice(0, 100).map((i) => append([smallAt(NOW_MS + i)])),
      NOW_MS,
    );
    expect(count("event_chunk")).toBe(1);
    for (const i of offsets.slice(100)) {
      apply([append([smallAt(NOW_MS - i)])], NOW_MS);
    }
    expect(count("event_chunk")).toBeLessThan(10);
    expect(offsetsLeft(NOW_MS)).toEqual(offsets);
  });

  test("share none with those of other streams, or of a time far away", () => {
    const far = append([smallAt(NOW_MS + HOUR_MS + 1)]);
    const events = [smallAt(NOW_MS)];
    apply([append(events), append(events, { stream: "t" }), append(events), far, far], NOW_MS);
    expect(count("event_chunk")).toBe(3);
    expect(offsetsLeft(NOW_MS)).toEqual([0, 1, 2, 3]);
  });

  test("are gone one by one, and come back with nothing", () => {
    apply([create(1000), append([smallAt(NOW_MS)])], NOW_MS);
    apply([append([smallAt(NOW_MS + 5)])], NOW_MS + 5);
    sweep(NOW_MS + 1000, 512);
    expect(offsetsLeft(NOW_MS + 1000)).toEqual([1]);
    apply([create(0)], NOW_MS + 1000);
    apply([append([smallAt(NOW_MS)])], NOW_MS + 1000);
    expect(count("event_chunk")).toBe(1);
    expect(offsetsLeft(NOW_MS + 1000)).toEqual([1, 2]);
  });

  test("of one row can all be gone, each for another reason", () => {
    const dayMs = 24 * HOUR_MS;
    const laterMs = NOW_MS + dayMs + 1;
    apply([create(dayMs), append([smallAt(NOW_MS)])], NOW_MS);
    // The first event is gone for ever, and the one that joins it is not yet.
    apply([create(2 * dayMs)], laterMs);
    apply([append([smallAt(NOW_MS - MINUTE_MS / 3)])], laterMs);
    expect(count("event_chunk")).toBe(1);
    apply([append([at(laterMs)])], laterMs);
    expect(count("event_chunk")).toBe(2);
    expect(offsetsLeft(NOW_MS + 2 * dayMs - MINUTE_MS / 3 + 1)).toEqual([2]);
  });

  test("are whole where another of their group is undone, or their stream is removed", () => {
    const late = append([at(1)], { stream: "t", refusesExpired: true });
    const both = { ...late, items: [...append([smallAt(NOW_MS)]).items, ...late.items] };
    apply([create(1000, "t"), append([smallAt(NOW_MS)])], NOW_MS);
    apply([append([smallAt(NOW_MS)]), both, append([smallAt(NOW_MS)])], NOW_MS);
    expect(offsetsLeft(NOW_MS)).toEqual([0, 1, 2]);
    const erase: Operation = { type: "erase", namespace: "n", maxItems: 100 };
    apply([append([smallAt(NOW_MS)]), REMOVE, erase, append([smallAt(NOW_MS)])], NOW_MS);
    expect([count("stream"), count("event_chunk")]).toEqual([1, 1]);
    expect(offsetsLeft(NOW_MS)).toEqual([0]);
  });
});

test("a refused append changes nothing, and undoes no other of its group", () => {
  apply([create(1000)], NOW_MS);
  const late = append([at(NOW_MS), at(1)], { refusesExpired: true });
  const two = { ...late, items: [...append([at(NOW_MS)]).items, ...late.items] };
  const field = "events[1].timestamp_millis";
  const refusal = { reason: "invalid_field", field, message: expect.stringContaining(field) };
  const appended = { offset: 0, nowMs: NOW_MS, expired: 0 };
  expect(apply([append([at(NOW_MS)]), late, two, append([at(1)])], NOW_MS)).toEqual([
    [appended],
    expect.objectContaining(refusal),
    expect.objectContaining(refusal),
    [{ ...appended, offset: 1, expired: 1 }],
  ]);
  expect(offsetsLeft(NOW_MS)).toEqual([0]);
});
