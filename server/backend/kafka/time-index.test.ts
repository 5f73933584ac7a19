import { expect, test } from "vitest";
import { seeded } from "../conformance/seeded.ts";
import { MAX_BLOCKS, type TimeBlock, TimeIndex } from "./time-index.ts";

const TOPIC = "0d6f8a31-95a6-4fd5-9d0b-1f1ae0a1cf20";
const MAX_BYTES = 4096;

interface Place {
  readonly offset: number;
  readonly timestampMs: number;
}

function indexOf(events: readonly Place[]): TimeIndex {
  const index = new TimeIndex(0);
  for (const { offset, timestampMs } of events) {
    index.add(offset, timestampMs);
  }
  return index;
}

/** Events with gaps between their offsets; `late` in a hundred are late by up to `mostMs`. */
function randomEvents(random: () => number, count: number, late: number, mostMs: number): Place[] {
  const events: Place[] = [];
  let offset = 0;
  for (let i = 0; i < count; i++) {
    offset += random() < 0.05 ? Math.floor(random() * 20) + 1 : 1;
    const behindMs = random() * 100 < late ? Math.floor(random() * mostMs) : 0;
    events.push({ offset, timestampMs: 1_000_000 + i - behindMs });
  }
  return events;
}

/**
 * Expects that the blocks tell of all events what is true, and answers how many blocks there are.
 */
function expectTrue(index: TimeIndex, events: readonly Place[], isExact: boolean): number {
  let place = 0;
  let lastOffset = -1;
  let isIn = true;
  for (const block of index.blocks) {
    expect(block.firstOffset).toBeGreaterThanOrEqual(lastOffset);
    lastOffset = block.nextOffset;
    let [minMs, maxMs, latenessMs, count] = [Infinity, -Infinity, 0, 0];
    for (let event = events[place]; event !== undefined && event.offset < block.nextOffset; ) {
      isIn &&= event.offset >= block.firstOffset;
      latenessMs = Math.max(latenessMs, maxMs - event.timestampMs);
      minMs = Math.min(minMs, event.timestampMs);
      maxMs = Math.max(maxMs, event.timestampMs);
      count++;
      event = events[++place];
    }
    if (isExact) {
      expect(block).toMatchObject({ minMs, maxMs, latenessMs, count });
    } else {
      expect(block.minMs).toBeLessThanOrEqual(minMs);
      expect(block.maxMs).toBeGreaterThanOrEqual(maxMs);
      expect(block.latenessMs).toBeGreaterThanOrEqual(latenessMs);
    }
  }
  expect([place, isIn]).toEqual([events.length, true]);
  return index.blocks.length;
}

test.each([
  ["in order", 0, 0],
  ["sometimes late", 2, 500],
  ["mostly late", 90, 50],
  ["in no order", 100, 1_000_000],
])("blocks of events %s are exact, also when they were joined", (_, late, mostMs) => {
  const { random, seed } = seeded();
  console.log(`PRISM_TEST_SEED=${seed}`);
  for (const count of [0, 1, 63, 64, 65, 5000, 150_000]) {
    const events = randomEvents(random, count, late, mostMs);
    const index = indexOf(events);
    expect(index.nextOffset).toBe((events.at(-1)?.offset ?? -1) + 1);
    const blocks = expectTrue(index, events, true);
    expect(blocks).toBeLessThanOrEqual(MAX_BLOCKS);
    if (count > 100_000) {
      expect(blocks).toBeGreaterThan(MAX_BLOCKS / 4);
    }
  }
});

test("what overlaps a span has all of its events, in the order of the least times", () => {
  const { random, seed } = seeded();
  console.log(`PRISM_TEST_SEED=${seed}`);
  for (const late of [0, 1, 100]) {
    const events = randomEvents(random, 10_000, late, 5000);
    const index = indexOf(events);
    for (let round = 0; round < 50; round++) {
      const startMs = 1_000_000 + Math.floor(random() * 15_000) - 5000;
      const endMs = round === 0 ? Infinity : startMs + Math.floor(random() * 3000);
      const blocks = index.overlapping(startMs, endMs);
      const places = blocks.map(({ minMs, firstOffset }) => [minMs, firstOffset] as const);
      expect(places).toEqual([...places].sort((a, b) => a[0] - b[0] || a[1] - b[1]));
      const missed = events.filter(
        ({ offset, timestampMs }) =>
          timestampMs >= startMs && timestampMs < endMs && !blocks.some((block) => holds(block, offset)),
      );
      expect(missed).toEqual([]);
      if (late === 0 && endMs !== Infinity) {
        expect(blocks.length).toBeLessThan(3000 / 64 + 3);
      }
    }
  }
});

function holds({ firstOffset, nextOffset }: TimeBlock, offset: number): boolean {
  return offset >= firstOffset && offset < nextOffset;
}

test("blocks that were handed out stay as they were", () => {
  const index = indexOf([{ offset: 0, timestampMs: 5 }]);
  const before = index.overlapping(0, Infinity);
  const copy = structuredClone(before);
  index.add(1, 2);
  expect(before).toEqual(copy);
});

test("what Kafka has removed is dropped", () => {
  const { random, seed } = seeded();
  console.log(`PRISM_TEST_SEED=${seed}`);
  const events = randomEvents(random, 10_000, 5, 500);
  const index = indexOf(events);
  for (const from of [0, 1, 100, 6400, 6401, events[9000]?.offset ?? 0]) {
    index.dropBefore(from);
    expectTrue(
      index,
      events.filter(({ offset }) => offset >= from),
      false,
    );
    expect(index.blocks[0]?.firstOffset).toBeGreaterThanOrEqual(from);
  }
  const end = index.nextOffset;
  index.dropBefore(end);
  expect(index.blocks).toEqual([]);
  expect(index.nextOffset).toBe(end);
  index.dropBefore(end + 5);
  expect(index.nextOffset).toBe(end + 5);
  index.add(end + 5, 7);
  expect(index.blocks).toMatchObject([{ firstOffset: end + 5, minMs: 7, maxMs: 7 }]);
});

test("offsets that have no event are passed over, and never again", () => {
  const index = new TimeIndex(10);
  index.skipTo(20);
  expect(index.nextOffset).toBe(20);
  index.skipTo(15);
  expect(index.nextOffset).toBe(20);
  expect(index.blocks).toEqual([]);
});

test.each([
  [0, 0, 0],
  [1, 0, 0],
  [100, 10, 50],
  [9000, 0, 0],
  [150_000, 3, 86_400_000],
])("%d events as text hide none", (count, late, mostMs) => {
  const { random, seed } = seeded();
  console.log(`PRISM_TEST_SEED=${seed}`);
  const events = randomEvents(random, count, late, mostMs);
  const index = indexOf(events);
  const text = index.encode(TOPIC, MAX_BYTES);
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_BYTES);
  const read = TimeIndex.decode(text, TOPIC);
  expect(read?.nextOffset).toBe(index.nextOffset);
  const blocks = expectTrue(read ?? new TimeIndex(0), events, true);
  if (count > 100_000) {
    expect(blocks).toBeGreaterThan(64);
  }
  // It goes on like one that was never written.
  for (let offset = index.nextOffset, i = 0; i < 100_000; i++) {
    const place = { offset: offset++, timestampMs: 1_200_000 + i };
    events.push(place);
    read?.add(place.offset, place.timestampMs);
  }
  expect(expectTrue(read ?? new TimeIndex(0), events, true)).toBeLessThanOrEqual(MAX_BLOCKS);
});

test("what is no index of this topic is not read", () => {
  const index = indexOf(randomEvents(() => 0.5, 1000, 0, 0));
  const text = index.encode(TOPIC, MAX_BYTES);
  const bytes = Buffer.from(text.slice(TOPIC.length + 2), "base64");
  const head = text.slice(0, TOPIC.length + 2);
  for (const wrong of [
    "",
    "1",
    head,
    text.replace(TOPIC, TOPIC.replace("0", "1")),
    `2${text.slice(1)}`,
    `${head}${bytes.subarray(0, -1).toString("base64")}`,
    `${head}${Buffer.alloc(50, 0xff).toString("base64")}`,
    `${head}${Buffer.alloc(50).toString("base64")}`,
  ]) {
    expect(TimeIndex.decode(wrong, TOPIC), wrong).toBeUndefined();
  }
});
