import { expect, test } from "vitest";
import type { StreamStore } from "../contract.ts";
import {
  AROUND_EVENT_BYTES,
  type EventMerge,
  type EventPage,
  type EventQuery,
  type HeldEvent,
} from "../streams.ts";
import { answersOf, CALL, type Harness, NAMESPACE, type OpenStore, present, testBatch } from "./harness.ts";
import { latin1 } from "./record-values.ts";
import {
  appendTo,
  comparable,
  event,
  inOrderOfTime,
  LAST_MS,
  LATER_MS,
  offsetsOf,
  payloadsOf,
  query,
  read,
  readPage,
  withOffsets,
} from "./stream-values.ts";

/** Times of 60 events: many are late, some are equal, some lie far apart. */
const MIXED_MS = Array.from({ length: 60 }, (_, i) => {
  if (i % 20 === 7) {
    return i % 40 === 7 ? 1 : LAST_MS;
  }
  return LATER_MS + ((i * 7) % 11) * 1000 * (i % 3 === 0 ? 3600 : 1);
});
const MIXED = MIXED_MS.map((timestampMs, i) =>
  event(timestampMs, String(i), { even: String(i % 2 === 0), third: String(i % 3) }),
);

/** Appends {@link MIXED} in appends of different sizes. */
async function fill({ streams }: OpenStore, stream = "s"): Promise<void> {
  for (let from = 0, size = 1; from < MIXED.length; from += size, size = (size % 9) + 1) {
    await appendTo(streams, stream, MIXED.slice(from, from + size));
  }
}

/** Queries: spans of time, in the order of times and then of offsets. */
export function describeQueries(harness: Harness, store: () => OpenStore): void {
  test("late events are at their times, those of one time in the order of their offsets", async () => {
    await fill(store());
    expect(comparable(await query(store().streams, "s"))).toEqual(
      comparable(inOrderOfTime(withOffsets(MIXED))),
    );
  });

  test.each([1, 2, 7, 59, 60, 61])("pages of %d have each event once", async (maxEvents) => {
    await fill(store());
    const found = await query(store().streams, "s", { maxEvents });
    expect(comparable(found)).toEqual(comparable(inOrderOfTime(withOffsets(MIXED))));
  });

  test("a span begins with its first time and ends before its last", async () => {
    const { streams } = store();
    await fill(store());
    const times = [0, 1, 2, LATER_MS, LATER_MS + 1, LATER_MS + 5000, LATER_MS + 7_200_000, LAST_MS];
    for (const startMs of times) {
      for (const endMs of [...times, Infinity]) {
        const wanted = inOrderOfTime(withOffsets(MIXED)).filter(
          ({ timestampMs }) => timestampMs >= startMs && timestampMs < endMs,
        );
        const found = startMs <= endMs ? await query(streams, "s", { startMs, endMs }) : [];
        expect(offsetsOf(found), `${startMs} to ${endMs}`).toEqual(startMs < endMs ? offsetsOf(wanted) : []);
      }
    }
  });

  test("only events with all tags that are asked for", async () => {
    const { streams } = store();
    await fill(store());
    for (const tags of [{ even: "true" }, { third: "1", even: "false" }, { third: "3" }, { none: "" }]) {
      const wanted = inOrderOfTime(withOffsets(MIXED)).filter((each) =>
        Object.entries(tags).every(([name, value]) => each.tags[name] === value),
      );
      expect(offsetsOf(await query(streams, "s", { tags })), JSON.stringify(tags)).toEqual(offsetsOf(wanted));
      expect(offsetsOf(await query(streams, "s", { tags, maxEvents: 2 }))).toEqual(offsetsOf(wanted));
    }
  });

  test("a tag that is asked for is not one that every object has", async () => {
    const { streams } = store();
    await appendTo(streams, "s", [event(1, "", { a: "1" }), event(2)]);
    for (const name of ["constructor", "toString", "__proto__"]) {
      const tags = Object.fromEntries([[name, ""]]);
      expect(await query(streams, "s", { tags })).toEqual([]);
      expect(await read(streams, "s", { tags })).toEqual([]);
    }
  });

  test("several queries in one call each have their answer", async () => {
    const { streams } = store();
    await appendTo(streams, "a", [event(1, "1"), event(2, "2"), event(3, "3")]);
    await appendTo(streams, "b", [event(5, "4")]);
    const all = { tags: {}, startMs: 0, endMs: Infinity, after: undefined, maxEvents: 10, maxBytes: 1000 };
    const queries = [
      { ...all, stream: "b" },
      { ...all, stream: "none" },
      { ...all, stream: "a", startMs: 2 },
      { ...all, stream: "a", endMs: 2 },
    ];
    const pages = await answersOf(streams.queryEvents(NAMESPACE, queries, CALL));
    expect(pages.map((page) => page && payloadsOf(page.events))).toEqual([
      ["4"],
      undefined,
      ["2", "3"],
      ["1"],
    ]);
  });

  test.each([8, 1000])("merged events are as many as there are, in pages of %d", async (maxEvents) => {
    const { streams } = store();
    const payloads = ["", "1", "2", "word", "x".repeat(8), "y".repeat(9)];
    const events = Array.from({ length: 90 }, (_, i) =>
      event(LATER_MS + Math.floor(((i * 7919) % 90) / 4) * 80, payloads[(i * 5) % 11] ?? "1", {
        host: String(i % 2),
        ...(i % 3 === 0 && { rare: String(i) }),
      }),
    );
    await appendTo(streams, "s", events);
    const merges = [0, 1, 50, 1000, Number(2n ** 63n - 1n)].flatMap((bucketMs) =>
      [0, 8].flatMap((maxPayloadBytes) =>
        [true, false].map((tags): EventMerge => ({ bucketMs, maxPayloadBytes, tags })),
      ),
    );
    for (const merge of merges) {
      for (const tags of [{}, { host: "1" }]) {
        const span = { stream: "s", tags, startMs: LATER_MS + 40, endMs: LATER_MS + 1700, maxBytes: 1 << 20 };
        const singles = (await query(streams, "s", span)).map((each) => [each, 1] as const);
        const merged = await mergedOf(streams, { ...span, maxEvents, merge, after: undefined });
        expect(countsOf(merged, merge), JSON.stringify(merge)).toEqual(countsOf(singles, merge));
        const buckets = merged.map(([{ timestampMs }]) => bucketOf(timestampMs, merge));
        expect(buckets).toEqual(buckets.toSorted((a, b) => a - b));
      }
    }
  });

  test("one call has queries that merge, others that do not, and one of no stream", async () => {
    const { streams } = store();
    await appendTo(streams, "s", [event(1, "1"), event(2, "1"), event(3, "2")]);
    const plain = {
      stream: "s",
      tags: {},
      startMs: 0,
      endMs: 3,
      maxEvents: 10,
      maxBytes: 1000,
      after: undefined,
    };
    const merge = { bucketMs: 0, maxPayloadBytes: 8, tags: true };
    const queries = [
      { ...plain, merge },
      plain,
      { ...plain, merge, stream: "none" },
      { ...plain, merge, endMs: 0 },
    ];
    const pages = await answersOf(streams.queryEvents(NAMESPACE, queries, CALL));
    expect(pages.map((page) => page && countsOf(withCounts(page), merge))).toEqual([
      [['[0,"1",[]]', 2]],
      [['[0,"1",[]]', 2]],
      undefined,
      [],
    ]);
    expect(pages[1]?.counts).toBeUndefined();
    expect(offsetsOf(pages[1]?.events ?? [])).toEqual([0, 1]);
  });

  test("what is appended behind the place of a query is found, and nothing comes twice", async () => {
    const { streams } = store();
    await appendTo(
      streams,
      "s",
      [10, 20, 30, 40].map((ms) => event(ms, "old")),
    );
    let pages = 0;
    const between = async () => {
      if (++pages === 2) {
        // The place is behind the event at 20.
        await appendTo(streams, "s", [event(15, "before"), event(20, "same time"), event(25, "behind")]);
      }
    };
    const found = await query(streams, "s", { maxEvents: 1 }, { between });
    expect(found.map(({ timestampMs, payload }) => [timestampMs, payload.length])).toEqual([
      [10, 3],
      [20, 3],
      [20, 9],
      [25, 6],
      [30, 3],
      [40, 3],
    ]);
  });

  testBatch(harness, "a page ends with the event that reaches its bytes", async () => {
    const { streams } = store();
    const events = [100, 0, 200, 50, 50].map((size, i) => event(i + 1, new Uint8Array(size), { t: "1" }));
    await appendTo(streams, "s", events);
    const sizes = events.map(({ payload }) => payload.length + AROUND_EVENT_BYTES + 2);
    const page = { stream: "s", tags: {}, maxEvents: 10 };
    for (const [i] of events.entries()) {
      const maxBytes = sizes.slice(0, i + 1).reduce((sum, size) => sum + size);
      const span = { ...page, startMs: 0, endMs: Infinity, after: undefined, maxBytes };
      const [queried] = await answersOf(streams.queryEvents(NAMESPACE, [span], CALL));
      const offsets = Array.from({ length: i + 1 }, (_, offset) => offset);
      expect(offsetsOf(queried?.events ?? [])).toEqual(offsets);
      const found = await readPage(streams, "s", { ...page, maxBytes });
      expect(offsetsOf(found?.events ?? [])).toEqual(offsets);
      expect(found?.next).toBe(i + 1);
    }
    expect(offsetsOf(await query(streams, "s", { maxBytes: 1 }))).toEqual([0, 1, 2, 3, 4]);
    expect(offsetsOf(await read(streams, "s", { maxBytes: 1 }))).toEqual([0, 1, 2, 3, 4]);
  });

  testBatch(harness, "one event among thousands is found by its tag, whatever the order", async () => {
    const { streams } = store();
    for (let from = 0; from < 30_000; from += 1000) {
      const events = Array.from({ length: 1000 }, (_, i) => {
        const number = from + i;
        const timestampMs = LATER_MS + ((number * 7919) % 30_000) * 100;
        return event(timestampMs, "", number === 29_990 ? { kind: "rare" } : { kind: "other" });
      });
      await appendTo(streams, "s", events);
    }
    const tags = { kind: "rare" };
    expect(offsetsOf(await query(streams, "s", { tags, maxEvents: 5 }))).toEqual([29_990]);
    expect(offsetsOf(await read(streams, "s", { tags, maxEvents: 5 }))).toEqual([29_990]);
    const startMs = LATER_MS + 1_000_000;
    const times = await query(streams, "s", { startMs, endMs: startMs + 2000 });
    expect(times.map(({ timestampMs }) => timestampMs)).toEqual(
      Array.from({ length: 20 }, (_, i) => startMs + i * 100),
    );
  });
}

/** All pages of a query that merges, and for each event how many it stands for. */
async function mergedOf(streams: StreamStore, query: EventQuery): Promise<Counted[]> {
  const found: Counted[] = [];
  let { after } = query;
  do {
    const [page] = await answersOf(streams.queryEvents(NAMESPACE, [{ ...query, after }], CALL));
    const these = withCounts(present(page));
    expect(these.reduce((sum, [, count]) => sum + count, 0)).toBeLessThanOrEqual(query.maxEvents);
    found.push(...these);
    after = page?.next;
  } while (after !== undefined);
  return found;
}

type Counted = readonly [event: HeldEvent, count: number];

function withCounts({ events, counts }: EventPage): Counted[] {
  return events.map((each, i) => [each, counts === undefined ? 1 : (counts[i] ?? 0)]);
}

/** How many events there are of each bucket, payload and tags. */
function countsOf(events: readonly Counted[], merge: EventMerge): [alike: string, count: number][] {
  const counts = new Map<string, number>();
  for (const [{ timestampMs, payload, tags }, count] of events) {
    const counted = payload.length <= merge.maxPayloadBytes ? latin1(payload) : "";
    const sorted = Object.entries(merge.tags ? tags : {}).sort();
    const alike = JSON.stringify([bucketOf(timestampMs, merge), counted, sorted]);
    counts.set(alike, (counts.get(alike) ?? 0) + count);
  }
  return [...counts].sort();
}

function bucketOf(timestampMs: number, { bucketMs }: EventMerge): number {
  return bucketMs === 0 ? 0 : Math.floor(timestampMs / bucketMs);
}

/** Reads by offset. */
export function describeReads(harness: Harness, store: () => OpenStore): void {
  test("a read begins at its offset, and its next one goes on where it ended", async () => {
    const { streams } = store();
    await fill(store());
    expect(offsetsOf(await read(streams, "s"))).toEqual(MIXED.map((_, i) => i));
    for (const offset of [0, 1, 31, 58, 59]) {
      for (const maxEvents of [1, 4, 100]) {
        const found = await read(streams, "s", { offset, maxEvents });
        expect(payloadsOf(found)).toEqual(payloadsOf(MIXED.slice(offset)));
      }
    }
    expect(await readPage(streams, "s", { offset: 5, maxEvents: 3 })).toMatchObject({
      events: { length: 3 },
      next: 8,
      ended: false,
    });
  });

  test("at the end and behind it there is nothing, and the end is where to go on", async () => {
    const { streams } = store();
    await appendTo(streams, "s", [event(1), event(2)]);
    for (const offset of [2, 3, 1_000_000, Infinity]) {
      expect(await readPage(streams, "s", { offset })).toEqual({ events: [], next: 2, ended: true });
    }
    expect(await readPage(streams, "s", { offset: 1 })).toMatchObject({ next: 2, ended: true });
    await appendTo(streams, "s", [event(1, "new")]);
    expect(payloadsOf(await read(streams, "s", { offset: 2 }))).toEqual(["new"]);
  });

  test("only events of a time or later, with all tags that are asked for", async () => {
    const { streams } = store();
    await fill(store());
    for (const minTimestampMs of [0, 2, LATER_MS + 5000, LAST_MS, LAST_MS + 1]) {
      for (const tags of [{}, { even: "true" }, { third: "2", even: "false" }]) {
        const wanted = MIXED.flatMap((each, offset) =>
          each.timestampMs >= minTimestampMs &&
          Object.entries(tags).every(([name, value]) => each.tags[name] === value)
            ? [offset]
            : [],
        );
        expect(offsetsOf(await read(streams, "s", { minTimestampMs, tags }))).toEqual(wanted);
        expect(offsetsOf(await read(streams, "s", { minTimestampMs, tags, maxEvents: 1 }))).toEqual(wanted);
      }
    }
    // What a filter leaves out was looked at.
    expect(await readPage(streams, "s", { tags: { none: "" } })).toMatchObject({
      events: [],
      next: 60,
      ended: true,
    });
  });

  testBatch(harness, "several reads in one call each have their answer", async () => {
    const { streams } = store();
    await appendTo(streams, "a", [event(1, "1"), event(2, "2")]);
    await appendTo(streams, "b", [event(5, "3")]);
    const all = { tags: {}, offset: 0, minTimestampMs: 0, maxEvents: 10, maxBytes: 1000 };
    const reads = [
      { ...all, stream: "b" },
      { ...all, stream: "none" },
      { ...all, stream: "a", offset: 1 },
      { ...all, stream: "b", offset: Infinity },
    ];
    const pages = await answersOf(streams.readEvents(NAMESPACE, reads, CALL));
    expect(pages.map((page) => page && payloadsOf(page.events))).toEqual([["3"], undefined, ["2"], []]);
  });
}
