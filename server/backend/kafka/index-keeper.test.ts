/** What indexes tell of a log in memory that is not only appended to. */
import { expect, test } from "vitest";
import { event } from "../conformance/stream-values.ts";
import { createCall, SILENT } from "../contract.ts";
import type { NewEvent } from "../streams.ts";
import { IndexKeeper } from "./index-keeper.ts";
import type { IndexOfTopic, IndexStore } from "./index-store.ts";
import { MemoryLog } from "./testing.ts";

const CALL = createCall();
const START_MS = 1_900_000_000_000;

/** Keeps what was stored last. */
class MemoryStore implements Pick<IndexStore, "load" | "save"> {
  saved: IndexOfTopic | undefined;

  load = async () => this.saved;

  save = async ([saved]: readonly IndexOfTopic[]) => {
    this.saved = saved && { ...saved };
    return [];
  };
}

function eventsFrom(first: number, count: number): NewEvent[] {
  return Array.from({ length: count }, (_, i) => event(START_MS + first + i));
}

test("an index that only its gateway appends to forgets what Kafka has removed", async () => {
  const log = new MemoryLog("1");
  const store = new MemoryStore();
  const keeper = new IndexKeeper(log, store, SILENT);
  log.append(eventsFrom(0, 5000));
  keeper.appended(log.topic, 0, eventsFrom(0, 5000), START_MS);
  log.removeBefore(4000);
  await keeper.close();
  expect(store.saved?.index.blocks[0]?.firstOffset).toBe(4000);
  expect(log.fetches).toBe(0);
});

/** A log of 5000 events that lost those from 3000 on, and got 4000 that are much later. */
function loseEnd(log: MemoryLog): void {
  log.elect(3000);
  log.append(eventsFrom(100_000, 4000));
}

/** Expects the index of the log that {@link loseEnd} leaves. */
async function expectNewEnd(keeper: IndexKeeper, log: MemoryLog): Promise<void> {
  const { blocks, nextOffset } = await keeper.complete(log.topic, CALL);
  expect(nextOffset).toBe(7000);
  expect(Math.max(...blocks.map(({ maxMs }) => maxMs))).toBe(START_MS + 103_999);
  expect(blocks.reduce((sum, { count }) => sum + count, 0)).toBe(7000);
  const isLost = (ms: number) => ms >= START_MS + 3000 && ms < START_MS + 100_000;
  const lost = blocks.filter(({ minMs, maxMs }) => isLost(minMs) || isLost(maxMs));
  expect(lost).toEqual([]);
}

test("an index forgets the end that its log has lost, also when the log has grown again", async () => {
  const log = new MemoryLog("1", 10_000);
  const keeper = new IndexKeeper(log, new MemoryStore(), SILENT);
  log.append(eventsFrom(0, 3000));
  log.append(eventsFrom(3000, 2000));
  await keeper.complete(log.topic, CALL);
  loseEnd(log);
  await expectNewEnd(keeper, log);
});

test("an index that was stored before its log lost the end is right after a start", async () => {
  const log = new MemoryLog("1", 10_000);
  const store = new MemoryStore();
  const keeper = new IndexKeeper(log, store, SILENT);
  log.append(eventsFrom(0, 5000));
  keeper.appended(log.topic, 0, eventsFrom(0, 5000), START_MS);
  await keeper.close();
  expect(store.saved?.epoch).toBe(0);
  loseEnd(log);
  await expectNewEnd(new IndexKeeper(log, store, SILENT), log);
  // What was stored before the loss is not what is stored after it.
  await expectNewEnd(keeper, log);
  await keeper.close();
  expect(store.saved).toMatchObject({ epoch: 1, index: { nextOffset: 7000 } });
});

test("an index of appends alone forgets what its log loses between them", async () => {
  const log = new MemoryLog("1", 10_000);
  const keeper = new IndexKeeper(log, new MemoryStore(), SILENT);
  log.append(eventsFrom(0, 5000));
  keeper.appended(log.topic, 0, eventsFrom(0, 5000), START_MS);
  loseEnd(log);
  await expectNewEnd(keeper, log);
});

test("a new leader that has all events costs no reading of the log anew", async () => {
  const log = new MemoryLog("1");
  const keeper = new IndexKeeper(log, new MemoryStore(), SILENT);
  log.append(eventsFrom(0, 5000));
  keeper.appended(log.topic, 0, eventsFrom(0, 5000), START_MS);
  await keeper.complete(log.topic, CALL);
  log.elect();
  await keeper.complete(log.topic, CALL);
  log.append(eventsFrom(5000, 1000));
  keeper.appended(log.topic, 5000, eventsFrom(5000, 1000), START_MS);
  log.elect();
  expect((await keeper.complete(log.topic, CALL)).nextOffset).toBe(6000);
  expect(log.fetches).toBe(0);
});
