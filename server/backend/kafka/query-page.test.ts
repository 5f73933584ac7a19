import { expect, test } from "vitest";
import { seeded } from "../conformance/seeded.ts";
import { inOrderOfTime } from "../conformance/stream-values.ts";
import { bytesOfEvent, type HeldEvent } from "../streams.ts";
import { QueryPage } from "./query-page.ts";

function pageOf(events: readonly HeldEvent[], maxEvents: number, maxBytes: number): QueryPage {
  const page = new QueryPage({ maxEvents, maxBytes });
  for (const event of events) {
    page.add(event);
  }
  return page;
}

test("a page has the first events of any order, up to the one that reaches a bound", () => {
  const { random, seed } = seeded();
  console.log(`PRISM_TEST_SEED=${seed}`);
  for (let round = 0; round < 200; round++) {
    const events: HeldEvent[] = Array.from({ length: 100 }, (_, offset) => ({
      offset,
      timestampMs: 1 + Math.floor(random() * 50),
      payload: Buffer.alloc(Math.floor(random() * 100)),
      tags: {},
    }));
    const maxEvents = 1 + Math.floor(random() * 120);
    const maxBytes = 1 + Math.floor(random() * 10_000);
    const wanted: HeldEvent[] = [];
    let bytes = 0;
    for (const event of inOrderOfTime(events)) {
      if (wanted.length >= maxEvents || bytes >= maxBytes) {
        break;
      }
      wanted.push(event);
      bytes += bytesOfEvent(event);
    }
    const page = pageOf(events, maxEvents, maxBytes);
    expect(page.events).toEqual(wanted);
    const isFull = wanted.length >= maxEvents || bytes >= maxBytes;
    expect(page.limit).toEqual(isFull ? wanted.at(-1) : undefined);
  }
});

test("what is behind a place is given away", () => {
  const events = [5, 5, 7].map((timestampMs, offset) => ({
    offset,
    timestampMs,
    payload: Buffer.alloc(0),
    tags: {},
  }));
  const page = pageOf(events, 10, 1000);
  page.cut({ timestampMs: 7, offset: 2 });
  expect(page.events).toEqual(events);
  page.cut({ timestampMs: 5, offset: 0 });
  expect(page.events).toEqual(events.slice(0, 1));
  page.cut({ timestampMs: 4, offset: 9 });
  expect(page.events).toEqual([]);
});
