import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CHUNK_BYTES, CHUNK_EVENTS, CHUNK_SPAN_MS, EventChunk, encodeEvents } from "./event-chunk.ts";
import { mergeChunks } from "./event-merge.ts";
import type { HeldEvent, NewEvent } from "./streams.ts";

const NOW_MS = 1_700_000_000_000;
const ALL = { from: { timestampMs: 0, offset: 0 }, endMs: Infinity };

function event(
  timestampMs: number,
  payload: Uint8Array | string = "",
  tags: NewEvent["tags"] = {},
): NewEvent {
  return { timestampMs, payload: Buffer.from(payload), tags };
}

/** What a chunk's bytes hold. */
function eventsOf({ bytes }: EventChunk): HeldEvent[] {
  const chunk = new EventChunk(new Uint8Array(bytes));
  return Array.from({ length: chunk.count }, (_, place) => chunk.at(place));
}

/** What a store answers for events that are appended with these offsets. */
function held(events: readonly NewEvent[], firstOffset: number): HeldEvent[] {
  return events.map(({ timestampMs, payload, tags }, i) => ({
    timestampMs: timestampMs || NOW_MS,
    payload: Buffer.from(payload),
    tags,
    offset: firstOffset + i,
  }));
}

function inOrder(events: readonly HeldEvent[]): HeldEvent[] {
  return [...events].sort((a, b) => a.timestampMs - b.timestampMs || a.offset - b.offset);
}

function byFirstTime(chunks: readonly EventChunk[]): EventChunk[] {
  return [...chunks].sort((a, b) => a.minMs - b.minMs || a.firstOffset - b.firstOffset);
}

const text = fc.string({ unit: "binary", maxLength: 40 });
/** Few times, so that some are equal; some so far apart that they need several chunks. */
const times = fc.oneof(
  fc.constantFrom(0, 1, 1000, 253_402_300_799_999),
  fc.integer({ min: NOW_MS - 20, max: NOW_MS + 20 }),
  fc.integer({ min: NOW_MS - 2 * CHUNK_SPAN_MS, max: NOW_MS }),
);
const someEvents = fc.array(
  fc.record({
    timestampMs: times,
    payload: fc.oneof(
      { arbitrary: fc.uint8Array({ maxLength: 40 }), weight: 99 },
      { arbitrary: fc.constant(new Uint8Array(CHUNK_BYTES / 2)), weight: 1 },
    ),
    tags: fc.oneof(fc.constant({}), fc.dictionary(text, text, { maxKeys: 4, noNullPrototype: true })),
  }),
  { minLength: 1, maxLength: 40 },
);

describe("a chunk", () => {
  test("gives back what was packed, in chunks within their bounds", () => {
    fc.assert(
      fc.property(someEvents, fc.integer({ min: 0, max: 2 ** 52 }), (events, firstOffset) => {
        const chunks = encodeEvents(events, firstOffset, NOW_MS);
        expect(chunks.flatMap(eventsOf)).toEqual(held(events, firstOffset));
        let offset = firstOffset;
        for (const chunk of chunks) {
          const found = eventsOf(chunk).map(({ timestampMs }) => timestampMs);
          expect(chunk.firstOffset).toBe(offset);
          expect([chunk.minMs, chunk.maxMs]).toEqual([Math.min(...found), Math.max(...found)]);
          expect(chunk.maxMs - chunk.minMs).toBeLessThanOrEqual(CHUNK_SPAN_MS);
          expect(chunk.bytes.length).toBeLessThanOrEqual(CHUNK_BYTES);
          offset = chunk.nextOffset;
        }
      }),
    );
  });

  test("has a bounded number of events, and one event of any size", () => {
    const many = Array.from({ length: CHUNK_EVENTS + 1 }, () => event(0));
    expect(encodeEvents(many, 0, NOW_MS).map(({ count }) => count)).toEqual([CHUNK_EVENTS, 1]);
    const large = event(5, new Uint8Array(3 * CHUNK_BYTES).fill(7));
    const chunks = encodeEvents([event(5), large, event(5)], 0, NOW_MS);
    expect(chunks.map(({ count }) => count)).toEqual([1, 1, 1]);
    expect(chunks.flatMap(eventsOf)).toEqual(held([event(5), large, event(5)], 0));
  });

  test.each(["__proto__", "constructor", "\0", "😀", "é".repeat(2000), "x".repeat(4096)])(
    "has tags of any name and value: %j",
    (tag) => {
      const tags = Object.fromEntries([
        [tag, "1"],
        ["a", tag],
      ]);
      const [found] = encodeEvents([event(1, "", tags)], 0, NOW_MS).flatMap(eventsOf);
      expect(Object.entries(found?.tags ?? {})).toEqual(Object.entries(tags));
      expect(Object.getPrototypeOf(found?.tags)).toBe(Object.prototype);
    },
  );

  test("does not share memory with the events that were packed", () => {
    const payload = Buffer.from("payload");
    const chunks = encodeEvents([event(1, payload)], 0, NOW_MS);
    payload.fill("x");
    expect(chunks.flatMap(eventsOf)).toEqual(held([event(1, "payload")], 0));
  });

  test("that is damaged is refused", () => {
    const [chunk] = encodeEvents([event(1, "payload")], 0, NOW_MS);
    const bytes = chunk?.bytes ?? Buffer.alloc(0);
    const damaged = { name: "PrismError", reason: "corrupt_data" };
    for (let size = 0; size < bytes.length; size++) {
      expect(() => new EventChunk(bytes.subarray(0, size))).toThrow(expect.objectContaining(damaged));
    }
    expect(() => new EventChunk(Buffer.alloc(100))).toThrow(expect.objectContaining(damaged));
  });
});

describe("chunks", () => {
  test("that are joined hold the events of both", () => {
    fc.assert(
      fc.property(someEvents, someEvents, (a, b) => {
        const first = encodeEvents(a, 7, NOW_MS);
        const second = encodeEvents(b, 7 + a.length, NOW_MS);
        const last = first.at(-1);
        const [next] = second;
        const joined = last && next && last.join(next, CHUNK_BYTES);
        if (joined === undefined) {
          return;
        }
        expect(joined.maxMs - joined.minMs).toBeLessThanOrEqual(CHUNK_SPAN_MS);
        const chunks = [...first.slice(0, -1), joined, ...second.slice(1)];
        expect(chunks.flatMap(eventsOf)).toEqual([...held(a, 7), ...held(b, 7 + a.length)]);
        expect([...mergeChunks([joined], ALL)]).toEqual(inOrder(eventsOf(joined)));
      }),
    );
  });

  test("are joined only within the bounds", () => {
    const [a, b] = [0, 1].map((offset) => encodeEvents([event(1, "12345")], offset, NOW_MS)[0]);
    const [later] = encodeEvents([event(2 + CHUNK_SPAN_MS)], 1, NOW_MS);
    const joined = b && a?.join(b, CHUNK_BYTES);
    expect(joined?.count).toBe(2);
    const size = joined?.bytes.length ?? 0;
    expect(b && a?.join(b, size)).toBeDefined();
    expect(b && a?.join(b, size - 1)).toBeUndefined();
    expect(later && a?.join(later, CHUNK_BYTES)).toBeUndefined();
  });

  test("that are split have the same events, with as much time between them as wanted", () => {
    const spans = fc.oneof(fc.constantFrom(0, CHUNK_SPAN_MS), fc.integer({ min: 0, max: 50 }));
    fc.assert(
      fc.property(someEvents, spans, (events, spanMs) => {
        for (const chunk of encodeEvents(events, 7, NOW_MS)) {
          const parts = chunk.split(spanMs);
          expect(parts.flatMap(eventsOf)).toEqual(eventsOf(chunk));
          for (const [i, part] of parts.entries()) {
            const times = eventsOf(part).map(({ timestampMs }) => timestampMs);
            expect([part.minMs, part.maxMs]).toEqual([Math.min(...times), Math.max(...times)]);
            expect(part.maxMs - part.minMs).toBeLessThanOrEqual(spanMs);
            expect([...mergeChunks([part], ALL)]).toEqual(inOrder(eventsOf(part)));
            const nextMs = parts[i + 1]?.timeAt(0);
            if (nextMs !== undefined) {
              const withNext = [...times, nextMs];
              expect(Math.max(...withNext) - Math.min(...withNext)).toBeGreaterThan(spanMs);
            }
          }
        }
      }),
    );
  });

  test("are merged in the order of times, from any place to any time", () => {
    fc.assert(
      fc.property(
        fc.array(someEvents, { maxLength: 8 }),
        times,
        fc.integer({ min: 0, max: 60 }),
        fc.oneof(times, fc.constant(Infinity)),
        (appends, timestampMs, offset, endMs) => {
          const from = { timestampMs, offset };
          const events = held(appends.flat(), 0);
          let next = 0;
          const chunks = appends.flatMap((append) => {
            const encoded = encodeEvents(append, next, NOW_MS);
            next += append.length;
            return encoded;
          });
          const wanted = inOrder(events).filter(
            (each) =>
              each.timestampMs < endMs &&
              (each.timestampMs > timestampMs || (each.timestampMs === timestampMs && each.offset >= offset)),
          );
          expect([...mergeChunks(byFirstTime(chunks), { from, endMs })]).toEqual(wanted);
        },
      ),
    );
  });

  test("are asked for only when they are needed", () => {
    const chunks = Array.from({ length: 5 }, (_, i) => encodeEvents([event(10 * i + 1)], i, NOW_MS)).flat();
    let asked = 0;
    function* counted() {
      for (const chunk of chunks) {
        asked++;
        yield chunk;
      }
    }
    const [first] = mergeChunks(counted(), ALL);
    expect(first?.offset).toBe(0);
    expect(asked).toBe(2);
    expect([...mergeChunks(counted(), { ...ALL, endMs: 12 })].map(({ offset }) => offset)).toEqual([0, 1]);
    expect(asked).toBe(2 + 3);
  });
});
