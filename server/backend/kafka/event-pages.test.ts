/** The pages of events that a reader makes of a log in memory. */
import { expect, test } from "vitest";
import { seeded } from "../conformance/seeded.ts";
import { event, inOrderOfTime, offsetsOf, withOffsets } from "../conformance/stream-values.ts";
import { createCall, SILENT } from "../contract.ts";
import { type EventPlace, type EventQuery, hasTags, type NewEvent } from "../streams.ts";
import { EventReader } from "./event-reader.ts";
import { IndexKeeper } from "./index-keeper.ts";
import { LogCache } from "./log-cache.ts";
import { MemoryLog } from "./testing.ts";

const CALL = createCall();
const START_MS = 1_900_000_000_000;
const NO_STORE = { load: async () => undefined, save: async () => [] };

function readerOf(log: MemoryLog, maxLooks?: number): EventReader {
  return new EventReader(log, new LogCache(log), new IndexKeeper(log, NO_STORE, SILENT), maxLooks);
}

/** The offsets of all pages of a query, and how many pages there were. */
async function query(
  reader: EventReader,
  { topic }: MemoryLog,
  wanted: Partial<EventQuery> = {},
): Promise<{ readonly offsets: readonly number[]; readonly pages: number }> {
  const all = { stream: "s", tags: {}, startMs: 0, endMs: Infinity, maxEvents: 1000, maxBytes: 1_000_000 };
  const offsets: number[] = [];
  let after: EventPlace | undefined = wanted.after;
  for (let pages = 1; ; pages++) {
    const { events, next } = await reader.query(topic, 0, { ...all, ...wanted, after }, START_MS, CALL);
    offsets.push(...offsetsOf(events));
    if (next === undefined) {
      return { offsets, pages };
    }
    expect(Object.keys(next)).toEqual(["timestampMs", "offset"]);
    const { timestampMs, offset } = after ?? { timestampMs: -1, offset: -1 };
    expect(next.timestampMs - timestampMs || next.offset - offset).toBeGreaterThan(0);
    after = next;
  }
}

test("a full page that has looked at too many events goes on behind its own last event", async () => {
  const few = [29, 65_600, 65_620, 70_000];
  const log = new MemoryLog("1");
  log.append(
    Array.from({ length: 80_000 }, (_, i) => event(START_MS + i, "", few.includes(i) ? { few: "yes" } : {})),
  );
  const { offsets } = await query(readerOf(log), log, { tags: { few: "yes" }, maxEvents: 1 });
  expect(offsets).toEqual(few);
});

test("a place in a log that is gone leaves out nothing of the log that was made anew", async () => {
  const log = new MemoryLog("new");
  log.append(Array.from({ length: 60 }, (_, i) => event(START_MS + 1000 + i)));
  const after = { timestampMs: START_MS, offset: 39 };
  const { offsets } = await query(readerOf(log), log, { after });
  expect(offsets).toHaveLength(60);
});

test("no page by offset passes through a whole log of events that are too old or too large", async () => {
  const log = new MemoryLog("1", 10_000);
  const old = Array.from({ length: 20_000 }, () => event(1));
  const large = Array.from({ length: 20 }, () => event(START_MS, new Uint8Array(60_000)));
  log.append([event(START_MS, "", { few: "yes" }), ...old], 100);
  log.append([...large, event(START_MS, "", { few: "yes" })], 1);
  const reader = readerOf(log, 1000);
  const offsets: number[] = [];
  const wanted = {
    stream: "s",
    tags: { few: "yes" },
    minTimestampMs: START_MS,
    maxEvents: 9,
    maxBytes: 9999,
  };
  for (let offset = 0, ended = false; !ended; ) {
    const before = log.fetches;
    const page = await reader.read(log.topic, 0, { ...wanted, offset }, START_MS, CALL);
    expect(log.fetches - before).toBeLessThan(10);
    expect(page.next).toBeGreaterThanOrEqual(offset);
    offsets.push(...offsetsOf(page.events));
    ({ next: offset, ended } = page);
  }
  expect(offsets).toEqual([0, 20_021]);
});

test("a page by offset that begins amid old events goes to the first recent one at once", async () => {
  const log = new MemoryLog("1");
  log.append([...Array.from({ length: 20_000 }, () => event(1)), event(START_MS)], 5000);
  const wanted = {
    stream: "s",
    tags: {},
    offset: 10,
    minTimestampMs: START_MS,
    maxEvents: 1,
    maxBytes: 9999,
  };
  const page = await readerOf(log, 10).read(log.topic, 0, wanted, START_MS, CALL);
  expect(page).toMatchObject({ events: [{ offset: 20_000 }], next: 20_001, ended: false });
});

test("all pages together are all events once, in order, whatever bounds a page", async () => {
  const { random, seed } = seeded();
  console.log(`PRISM_TEST_SEED=${seed}`);
  const below = (bound: number) => Math.floor(random() * bound);
  for (let round = 0; round < 300; round++) {
    const lateOnes = [0, 0.01, 0.3, 1][below(4)] ?? 0;
    const latenessMs = [3, 100, 3000][below(3)] ?? 1;
    const stepMs = [0.1, 1, 5][below(3)] ?? 1;
    const tagged = [0.003, 0.05, 0.5][below(3)] ?? 1;
    const events: NewEvent[] = Array.from({ length: 1 + below(3000) }, (_, i) => {
      const late = random() < lateOnes ? below(latenessMs) : 0;
      return event(START_MS + Math.floor(i * stepMs) - late, "", random() < tagged ? { few: "yes" } : {});
    });
    const log = new MemoryLog(String(round), 1 + below(4000));
    log.append(events, 1 + below(200));
    const tags: Record<string, string> = random() < 0.8 ? { few: "yes" } : {};
    const startMs = random() < 0.5 ? 0 : START_MS + below(events.length);
    const endMs = random() < 0.5 ? Infinity : startMs + below(3000);
    const wanted = inOrderOfTime(withOffsets(events)).filter(
      (each) => each.timestampMs >= startMs && each.timestampMs < endMs && hasTags(each, tags),
    );
    const reader = readerOf(log, 1 + below(600));
    const maxEvents = [1, 2, 7, 1000][below(4)] ?? 1;
    const { offsets } = await query(reader, log, { tags, startMs, endMs, maxEvents });
    expect(offsets, `round ${round}`).toEqual(offsetsOf(wanted));
  }
});
