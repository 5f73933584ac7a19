import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  type AggregateRequest,
  AggregateRequestSchema,
} from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { routerOn } from "../../tests/helpers/router.ts";
import { CALL, NAMESPACE, present } from "../backend/conformance/harness.ts";
import { createManualClock } from "../backend/conformance/manual-clock.ts";
import { type Call, createCall, isRefusal, type StreamStore } from "../backend/contract.ts";
import { createGuardedBackend } from "../backend/layers/guarded.ts";
import { createMemoryBackend } from "../backend/memory/backend.ts";
import type { EventMerge, EventPage, NewEvent } from "../backend/streams.ts";
import { aggregateEvents } from "./aggregate-events.ts";

const STREAM = "heat";

/** A page as a store answers it that merges what is alike, and keeps no more than it must. */
function merged({ events, next }: EventPage, { bucketMs, maxPayloadBytes, tags }: EventMerge): EventPage {
  const groups = Map.groupBy(
    events.map((event) => ({
      ...event,
      payload: event.payload.length > maxPayloadBytes ? Buffer.alloc(0) : event.payload,
      tags: tags ? event.tags : {},
    })),
    (event) => {
      const bucket = bucketMs === 0 ? 0 : Math.floor(event.timestampMs / bucketMs);
      return JSON.stringify([bucket, Buffer.from(event.payload).toString(), Object.entries(event.tags)]);
    },
  );
  const alike = [...groups.values()];
  return { events: alike.flatMap(([first = []]) => first), counts: alike.map(({ length }) => length), next };
}

/** A store with these events, and the calls of Aggregate on it. */
async function aggregateOn(events: readonly NewEvent[], merges: boolean) {
  const backend = createGuardedBackend(
    createMemoryBackend({ type: "memory" }, { clock: createManualClock() }),
  );
  await backend.open();
  onTestFinished(() => backend.close());
  const streams = present(backend.streams);
  for (let at = 0; at < events.length; at += 1000) {
    const append = { stream: STREAM, retentionMs: 0, refusesExpired: false };
    await streams.appendEvents(NAMESPACE, [{ ...append, events: events.slice(at, at + 1000) }], CALL);
  }
  let pages = 0;
  const counted: StreamStore = {
    ...streams,
    async queryEvents(namespace, queries, call) {
      pages++;
      const found = await streams.queryEvents(namespace, queries, call);
      return found.map((page, i) => {
        const merge = queries[i]?.merge;
        return !merges || merge === undefined || page === undefined || isRefusal(page)
          ? page
          : merged(page, merge);
      });
    },
  };
  const router = await routerOn({ ...backend, streams: counted }, [NAMESPACE]);
  const ask = (request: MessageInitShape<typeof AggregateRequestSchema>, call: Call = CALL) =>
    aggregateEvents(router, requestOf(request), call);
  return { ask, pages: () => pages };
}

function requestOf(request: MessageInitShape<typeof AggregateRequestSchema>): AggregateRequest {
  return create(AggregateRequestSchema, { stream: STREAM, namespace: NAMESPACE, ...request });
}

/** An event a second, with the number of its second, in one of three rooms. */
function secondsOf(count: number): NewEvent[] {
  return Array.from({ length: count }, (_, i) => ({
    timestampMs: (i + 1) * 1000,
    payload: Buffer.from(String(i + 1)),
    tags: { room: `room-${i % 3}`, ...(i % 2 === 0 && { half: String(i / 2) }) },
  }));
}

describe.each([
  ["answers each event", false],
  ["merges events", true],
])("Aggregate on a store that %s", (_, merges) => {
  test("events of many pages are one row", async () => {
    const { ask, pages } = await aggregateOn(secondsOf(10_000), merges);
    const { rows } = await ask({});
    expect(rows).toMatchObject([
      {
        startTimeMillis: 0n,
        tags: {},
        count: 10_000n,
        numbers: 10_000n,
        sum: 50_005_000,
        min: 1,
        max: 10_000,
      },
    ]);
    expect(rows?.[0]?.avg).toBe(5000.5);
    expect(Math.abs((rows?.[0]?.p95 ?? 0) - 9500)).toBeLessThanOrEqual(95);
    expect(pages()).toBeGreaterThanOrEqual(3);
  });

  test("a row for each bucket and group of the span, with its tags", async () => {
    const { ask } = await aggregateOn(secondsOf(1000), merges);
    const { rows = [] } = await ask({
      startTimeMillis: 30_000n,
      endTimeMillis: 90_000n,
      bucketMillis: 60_000n,
      groupByTags: ["room", "floor"],
    });
    expect(rows.map(({ startTimeMillis, tags, count, sum }) => [startTimeMillis, tags, count, sum])).toEqual([
      [0n, { room: "room-0", floor: "" }, 10n, 445],
      [0n, { room: "room-1", floor: "" }, 10n, 455],
      [0n, { room: "room-2", floor: "" }, 10n, 435],
      [60_000n, { room: "room-0", floor: "" }, 10n, 745],
      [60_000n, { room: "room-1", floor: "" }, 10n, 755],
      [60_000n, { room: "room-2", floor: "" }, 10n, 735],
    ]);
  });

  test("only events with the tags count; the number may be in a tag", async () => {
    const { ask } = await aggregateOn(secondsOf(12), merges);
    const { rows = [] } = await ask({ filterTags: { room: "room-0" }, valueTag: "half" });
    expect(rows).toMatchObject([{ count: 4n, numbers: 2n, sum: 3 }]);
  });

  test("without numbers a row has no figures, and without events there is no row", async () => {
    const { ask } = await aggregateOn(secondsOf(1), merges);
    expect(await ask({ valueTag: "room" })).toEqual({
      rows: [{ startTimeMillis: 0n, tags: {}, count: 1n, numbers: 0n }],
    });
    expect(await ask({ startTimeMillis: 5000n })).toEqual({ rows: [] });
  });

  test("a stream that is not there is told", async () => {
    const { ask } = await aggregateOn([], merges);
    await expect(ask({})).rejects.toMatchObject({ reason: "stream_not_found" });
  });

  test("too many rows are refused before the rest of the span is read", async () => {
    const { ask, pages } = await aggregateOn(secondsOf(60_000), merges);
    await expect(ask({ bucketMillis: 1000n })).rejects.toMatchObject({ reason: "value_too_large" });
    expect(pages()).toBeLessThan(6);
  });

  test("it ends with its call, and others have their turn meanwhile", async () => {
    const { ask, pages } = await aggregateOn(secondsOf(40_000), merges);
    const ending = new AbortController();
    const asked = ask({}, createCall(ending.signal));
    setImmediate(() => ending.abort());
    await expect(asked).rejects.toMatchObject({ reason: "canceled" });
    expect(pages()).toBeLessThan(5);
  });
});
