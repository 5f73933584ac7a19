import { describe, expect, test } from "vitest";
import { append, event, offsetsOf } from "../conformance/stream-values.ts";
import { EventLog } from "./event-log.ts";
import { StreamTable } from "./stream-table.ts";

const NOW_MS = 1_700_000_000_000;
const FOREVER = { retentionMs: 0, partitions: 1, replicationFactor: 1 };
const ALL = { stream: "s", tags: {}, maxEvents: 1000, maxBytes: 1_000_000 };
const WHOLE_SPAN = { ...ALL, startMs: 0, endMs: Infinity, after: undefined };

/** Reclaims until nothing is due. Answers how many steps it took. */
function reclaimAll(table: StreamTable, nowMs: number): number {
  let steps = 1;
  for (; (table.reclaim(nowMs) ?? Infinity) <= nowMs; steps++) {
    expect(steps).toBeLessThan(1000);
  }
  return steps;
}

describe("StreamTable", () => {
  test("gives back the room of expired events in steps, and leaves the others", () => {
    const table = new StreamTable();
    const large = new Uint8Array(20_000);
    for (let i = 0; i < 1000; i++) {
      table.append(append("s", [event(0, large)], { retentionMs: 1000 }), NOW_MS + i);
    }
    const log = table.get("s");
    expect(log?.chunks).toBe(1000);
    expect(table.reclaim(NOW_MS + 999)).toBe(NOW_MS + 1000);
    expect(log?.chunks).toBe(1000);
    expect(reclaimAll(table, NOW_MS + 1499)).toBe(2);
    expect(log?.chunks).toBe(500);
    expect(table.reclaim(NOW_MS + 1499)).toBe(NOW_MS + 1500);
    expect(reclaimAll(table, NOW_MS + 5000)).toBe(2);
    expect(log?.chunks).toBe(0);
    expect(table.size).toBe(1);
    expect(table.append(append("s", [event(0)]), NOW_MS + 5000)).toMatchObject({
      appended: { offset: 1000 },
      dueAtMs: NOW_MS + 6000,
    });
  });

  test("a retention that changes, and a late event, change when there is something to reclaim", () => {
    const table = new StreamTable();
    expect(table.append(append("s", [event(0)]), NOW_MS).dueAtMs).toBeUndefined();
    expect(table.create("s", { ...FOREVER, retentionMs: 50 }, NOW_MS)).toBe(NOW_MS + 50);
    expect(table.create("s", { ...FOREVER, retentionMs: 9_000_000 }, NOW_MS)).toBe(NOW_MS + 9_000_000);
    const late = table.append(append("s", [event(NOW_MS - 8_000_000)]), NOW_MS);
    expect(late.dueAtMs).toBe(NOW_MS + 1_000_000);
    expect(table.reclaim(NOW_MS + 1_000_000)).toBe(NOW_MS + 9_000_000);
    expect(table.create("s", FOREVER, NOW_MS)).toBeUndefined();
    expect(table.reclaim(NOW_MS * 2)).toBeUndefined();
    expect(table.get("s")?.chunks).toBe(1);
  });

  test("a deleted stream leaves nothing to reclaim", () => {
    const table = new StreamTable();
    table.append(append("s", [event(0)], { retentionMs: 10 }), NOW_MS);
    expect(table.delete("s")).toBe(true);
    expect(table.delete("s")).toBe(false);
    expect(table.reclaim(NOW_MS)).toBeUndefined();
    expect(table.size).toBe(0);
  });
});

describe("EventLog", () => {
  test("joins the chunks of small appends, and keeps every event", () => {
    const log = new EventLog(FOREVER, NOW_MS);
    for (let i = 0; i < 5000; i++) {
      log.append([event(0, String(i))], NOW_MS + i);
    }
    expect(log.chunks).toBeLessThan(100);
    const { events, next } = log.query({ ...WHOLE_SPAN, maxEvents: 5000 }, NOW_MS);
    expect(next).toBeUndefined();
    expect(offsetsOf(events)).toEqual(Array.from({ length: 5000 }, (_, i) => i));
    expect(events.map(({ payload }) => payload.toString())).toEqual(
      events.map(({ offset }) => String(offset)),
    );
  });

  test("a page looks at a bounded number of events", () => {
    const log = new EventLog(FOREVER, NOW_MS);
    for (let i = 0; i < 200; i++) {
      log.append(
        Array.from({ length: 100 }, () => event(0)),
        NOW_MS,
      );
    }
    const tags = { none: "" };
    const queried = log.query({ ...WHOLE_SPAN, tags }, NOW_MS);
    expect(queried.events).toEqual([]);
    expect(queried.next?.offset).toBeGreaterThan(1000);
    expect(queried.next?.offset).toBeLessThan(10_000);
    const read = log.read({ ...ALL, tags, offset: 0, minTimestampMs: 0 }, NOW_MS);
    expect(read).toMatchObject({ events: [], ended: false });
    expect(read.next).toBeLessThan(10_000);
  });
});
