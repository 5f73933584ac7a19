import { describe, expect, test } from "vitest";
import type { EventRead, HeldEvent, OffsetPage } from "../streams.ts";
import { MAX_MEMORY_BYTES, PageMemory, partOf, READ_BYTES, READ_EVENTS, StreamPages } from "./page-memory.ts";

/** A page of events of this many bytes each. */
function pageOf(from: number, next: number, bytes = 1): OffsetPage {
  const events: HeldEvent[] = Array.from({ length: next - from }, (_, i) => ({
    timestampMs: 1000 + from + i,
    payload: new Uint8Array(bytes),
    tags: { even: String((from + i) % 2 === 0) },
    offset: from + i,
  }));
  return { events, next, ended: true };
}

const ALL: EventRead = {
  stream: "a",
  offset: 0,
  tags: {},
  minTimestampMs: 0,
  maxEvents: READ_EVENTS,
  maxBytes: READ_BYTES,
};

describe("the memory of pages", () => {
  test("finds the page that holds an offset", () => {
    const memory = new PageMemory();
    const pages = new StreamPages();
    const [late, early] = [pageOf(10, 20), pageOf(0, 5)];
    memory.add(pages, 10, late);
    memory.add(pages, 0, early);
    expect([0, 4, 5, 9, 10, 19, 20].map((offset) => pages.at(offset))).toEqual([
      early,
      early,
      undefined,
      undefined,
      late,
      late,
      undefined,
    ]);
    memory.clear(pages);
    expect([pages.at(0), memory.bytes]).toEqual([undefined, 0]);
  });

  test("keeps the last pages of a stream, and no more bytes than it may", () => {
    const memory = new PageMemory();
    const pages = new StreamPages();
    for (let i = 0; i < 100; i++) {
      memory.add(pages, i, pageOf(i, i + 1, 100_000));
    }
    expect(pages.at(99)).toBeDefined();
    expect(pages.at(50)).toBeUndefined();
    expect(pages.bytes).toBeLessThanOrEqual(2 * 1024 * 1024);
    expect(memory.bytes).toBe(pages.bytes);
  });

  test("of many streams keeps no more bytes than it may, also where events are parts of large buffers", () => {
    const memory = new PageMemory();
    const streams = Array.from({ length: 200 }, () => new StreamPages());
    for (const pages of streams) {
      const { events, ...page } = pageOf(0, 1);
      const payload = new Uint8Array(1024 * 1024).subarray(0, 10);
      memory.add(pages, 0, { ...page, events: events.map((event) => ({ ...event, payload })) });
      expect(memory.bytes).toBeLessThanOrEqual(MAX_MEMORY_BYTES);
    }
    expect(streams.filter((pages) => pages.at(0) !== undefined)).toHaveLength(31);
    memory.forgetBefore(Infinity);
    expect(memory.bytes).toBe(0);
  });

  test("a reader gets its part of a page, and goes on behind it", () => {
    const page = pageOf(0, 10);
    const offsets = (part: OffsetPage) => part.events.map(({ offset }) => offset);
    expect(partOf(page, 0, ALL)).toBe(page);
    const later = partOf(page, 7, ALL);
    expect([offsets(later), later.next, later.ended]).toEqual([[7, 8, 9], 10, true]);
    const some = partOf(page, 0, { ...ALL, tags: { even: "true" }, maxEvents: 2 });
    expect([offsets(some), some.next, some.ended]).toEqual([[0, 2], 3, false]);
    const few = partOf(page, 0, { ...ALL, maxBytes: 1, minTimestampMs: 1009 });
    expect([offsets(few), few.next, few.ended]).toEqual([[9], 10, true]);
    expect(partOf(page, 0, { ...ALL, tags: { even: "maybe" } })).toEqual({
      events: [],
      next: 10,
      ended: true,
    });
  });
});
