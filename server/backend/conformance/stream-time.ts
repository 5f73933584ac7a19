import { expect, test } from "vitest";
import {
  CALL,
  describeFor,
  type Harness,
  NAMESPACE,
  type OpenStore,
  present,
  useOpenStore,
} from "./harness.ts";
import {
  append,
  appendTo,
  create,
  deleteOne,
  describeOne,
  event,
  offsetsOf,
  payloadsOf,
  query,
  read,
  readPage,
} from "./stream-values.ts";

/** Every way to see the events of a stream. */
async function seen({ streams }: OpenStore, stream = "s"): Promise<string[]> {
  const byOffset = payloadsOf(await read(streams, stream, { maxEvents: 3 }));
  const byTime = payloadsOf(await query(streams, stream, { maxEvents: 3 }));
  expect([...byTime].sort()).toEqual([...byOffset].sort());
  return byOffset;
}

/** The time of the store's clock, which stands still until a test moves it. */
async function nowOf({ streams }: OpenStore): Promise<number> {
  return (await appendTo(streams, "clock", [event(0)])).nowMs;
}

/**
 * Retention. Not over a wire: there it is a number of days, and that of an append is the
 * namespace's.
 */
export function describeStreamTime(harness: Harness): void {
  if (harness.overWire !== true) {
    describeFor(harness, ["streams", "clock"], "streams, and time", () => {
      const store = useOpenStore(harness);
      describeExpiry(store);
      describeRetention(store);
      describeLate(harness, store);
      describeMany(store);
    });
  }
}

function describeExpiry(store: () => OpenStore): void {
  test("an event is invisible in the millisecond in which it expires, by its own time", async () => {
    const { streams, advance } = store();
    const nowMs = await nowOf(store());
    await create(streams, "s", { retentionMs: 100 });
    // Appended out of order: what counts is the time of each.
    const events = [30, 10, 20].map((after) => event(nowMs + after, String(after)));
    await appendTo(streams, "s", [event(0, "0"), ...events]);
    await advance(99);
    expect(await seen(store())).toEqual(["0", "30", "10", "20"]);
    await advance(1);
    expect(await seen(store())).toEqual(["30", "10", "20"]);
    await advance(9);
    expect(await seen(store())).toEqual(["30", "10", "20"]);
    await advance(1);
    expect(await seen(store())).toEqual(["30", "20"]);
    await advance(10);
    expect(await seen(store())).toEqual(["30"]);
    await advance(10);
    expect(await seen(store())).toEqual([]);
  });

  test("a description counts what is left", async () => {
    const { streams, advance } = store();
    const nowMs = await nowOf(store());
    await create(streams, "s", { retentionMs: 100 });
    await appendTo(
      streams,
      "s",
      [0, 50, 10].map((after) => event(nowMs + after)),
    );
    const times = (first: number, last: number) => ({
      firstTimestampMs: nowMs + first,
      lastTimestampMs: nowMs + last,
      nextOffset: 3,
    });
    await advance(99);
    expect(await describeOne(streams, "s")).toMatchObject({ ...times(0, 50), firstOffset: 0 });
    await advance(1);
    const state = present(await describeOne(streams, "s"));
    expect(state).toMatchObject(times(10, 50));
    // No visible event has a smaller offset; a store need not know the greatest such offset.
    expect(state.firstOffset).toBeLessThanOrEqual(1);
    await advance(10);
    expect(await describeOne(streams, "s")).toMatchObject(times(50, 50));
    await advance(40);
    expect(await describeOne(streams, "s")).toMatchObject({
      firstOffset: 3,
      nextOffset: 3,
      firstTimestampMs: undefined,
      lastTimestampMs: undefined,
    });
  });

  test("a stream whose events have all expired is there, and its offsets go on", async () => {
    const { streams, advance } = store();
    await create(streams, "s", { retentionMs: 10 });
    await appendTo(streams, "s", [event(0, "1"), event(0, "2")]);
    await advance(1_000_000);
    expect(await readPage(streams, "s")).toEqual({ events: [], next: 2, ended: true });
    expect(await appendTo(streams, "s", [event(0, "3")])).toMatchObject({ offset: 2 });
    expect(offsetsOf(await read(streams, "s"))).toEqual([2]);
    expect(offsetsOf(await query(streams, "s"))).toEqual([2]);
    await advance(1_000_000);
    expect(await deleteOne(streams, "s")).toBe(true);
    expect(await appendTo(streams, "s", [event(0, "4")])).toMatchObject({ offset: 0 });
    await advance(1_000_000);
    expect(await seen(store())).toEqual(["4"]);
  });
}

function describeRetention(store: () => OpenStore): void {
  test("an append gives its retention to the stream that it makes, and to no other", async () => {
    const { streams, advance } = store();
    await appendTo(streams, "s", [event(0, "1")], { retentionMs: 100 });
    await appendTo(streams, "s", [event(0, "2")], { retentionMs: 5 });
    await appendTo(streams, "s", [event(0, "3")], { retentionMs: 0 });
    await appendTo(streams, "forever", [event(0, "4")], { retentionMs: 0 });
    await appendTo(streams, "forever", [event(0, "5")], { retentionMs: 5 });
    expect(await describeOne(streams, "s")).toMatchObject({ retentionMs: 100 });
    await advance(99);
    expect(await seen(store())).toEqual(["1", "2", "3"]);
    await advance(1);
    expect(await seen(store())).toEqual([]);
    await advance(1_000_000_000);
    expect(await seen(store(), "forever")).toEqual(["4", "5"]);
  });

  test("of two appends in one call that make a stream, the first one's retention holds", async () => {
    const { streams, advance } = store();
    const appends = [10, 1000].map((retentionMs) =>
      append("s", [event(0, String(retentionMs))], { retentionMs }),
    );
    await streams.appendEvents(NAMESPACE, appends, CALL);
    expect(await describeOne(streams, "s")).toMatchObject({ retentionMs: 10 });
    await advance(10);
    expect(await seen(store())).toEqual([]);
  });

  test("a shorter retention holds at once, and a longer one for what is left", async () => {
    const { streams, advance } = store();
    await appendTo(streams, "s", [event(0, "1")]);
    await advance(50);
    await appendTo(streams, "s", [event(0, "2")]);
    await advance(50);
    await create(streams, "s", { retentionMs: 101 });
    expect(await seen(store())).toEqual(["1", "2"]);
    await create(streams, "s", { retentionMs: 100 });
    expect(await seen(store())).toEqual(["2"]);
    await create(streams, "s", { retentionMs: 51 });
    expect(await seen(store())).toEqual(["2"]);
    await create(streams, "s", { retentionMs: 200 });
    await advance(149);
    expect(await seen(store())).toContain("2");
    await create(streams, "s", { retentionMs: 0 });
    await advance(1_000_000);
    // What had expired may come back, if its room was not given back yet.
    expect(await seen(store())).toContain("2");
  });
}

const EXPIRED = { reason: "invalid_field" };

function describeLate(harness: Harness, store: () => OpenStore): void {
  test("an event that is older than the retention gets an offset, and nobody sees it", async () => {
    const { streams } = store();
    const nowMs = await nowOf(store());
    await create(streams, "s", { retentionMs: 100 });
    const events = [1, nowMs - 100, nowMs - 99, 0].map((ms) => event(ms, String(ms - nowMs)));
    expect(await appendTo(streams, "s", events)).toEqual({ offset: 0, nowMs, expired: 2 });
    expect(await seen(store())).toEqual(payloadsOf(events.slice(2)));
    expect(offsetsOf(await read(streams, "s"))).toEqual([2, 3]);
    expect(await appendTo(streams, "s", [event(1)])).toEqual({ offset: 4, nowMs, expired: 1 });
    expect(await appendTo(streams, "made", [event(1)], { retentionMs: 5 })).toMatchObject({ expired: 1 });
    expect(await describeOne(streams, "made")).toMatchObject({ nextOffset: 1 });
    expect(await seen(store(), "made")).toEqual([]);
  });

  test("an append that refuses such events has no effect, and tells which event it was", async () => {
    const { streams } = store();
    const nowMs = await nowOf(store());
    const options = { retentionMs: 100, refusesExpired: true };
    const late = append("s", [event(0), event(nowMs - 100), event(1)], options);
    const [refused] = await streams.appendEvents(NAMESPACE, [late], CALL);
    expect(refused).toMatchObject({ ...EXPIRED, field: "events[1].timestamp_millis" });
    expect(await describeOne(streams, "s")).toBeUndefined();
    const events = [event(nowMs - 99, "1"), event(0, "2")];
    expect(await appendTo(streams, "s", events, options)).toEqual({ offset: 0, nowMs, expired: 0 });
    expect(await streams.appendEvents(NAMESPACE, [late], CALL)).toMatchObject([EXPIRED]);
    expect(await appendTo(streams, "s", [event(0, "3")], options)).toMatchObject({ offset: 2 });
    expect(await seen(store())).toEqual(["1", "2", "3"]);
    // The stream's own retention counts, and not that of the append.
    await create(streams, "s", { retentionMs: 0 });
    expect(await appendTo(streams, "s", [event(1, "4")], options)).toMatchObject({ offset: 3, expired: 0 });
  });

  test("one refusal is that of all appends in the call; with `each` the others take effect", async () => {
    const { streams } = store();
    const options = { retentionMs: 100, refusesExpired: true };
    const appends = [
      append("{t}a", [event(0, "1")], options),
      append("{t}b", [event(0, "2"), event(5, "3")], options),
      append("{t}a", [event(0, "4")], options),
      append("{t}b", [event(0, "5")], options),
    ];
    const refused = expect.objectContaining({ ...EXPIRED, field: "events[1].timestamp_millis" });
    if (harness.atomic !== "key") {
      expect(await streams.appendEvents(NAMESPACE, appends, CALL)).toEqual(appends.map(() => refused));
    }
    for (const stream of ["{t}a", "{t}b"]) {
      expect(await describeOne(streams, stream)).toBeUndefined();
    }
    const each = { ...CALL, each: true };
    expect(await streams.appendEvents(NAMESPACE, appends, each)).toEqual([
      expect.objectContaining({ offset: 0 }),
      refused,
      expect.objectContaining({ offset: 1 }),
      expect.objectContaining({ offset: 0 }),
    ]);
    expect(await seen(store(), "{t}a")).toEqual(["1", "4"]);
    expect(await seen(store(), "{t}b")).toEqual(["5"]);
  });
}

function describeMany(store: () => OpenStore): void {
  test("pages get past thousands of expired events", async () => {
    const { streams, advance } = store();
    await create(streams, "s", { retentionMs: 1000 });
    const nowMs = await nowOf(store());
    await appendTo(streams, "s", [event(nowMs + 1, "first")]);
    for (let from = 0; from < 20_000; from += 2000) {
      await appendTo(
        streams,
        "s",
        Array.from({ length: 2000 }, () => event(nowMs)),
      );
    }
    await appendTo(streams, "s", [event(nowMs + 1, "last")]);
    await advance(1000);
    expect(await seen(store())).toEqual(["first", "last"]);
    expect(offsetsOf(await query(streams, "s"))).toEqual([0, 20_001]);
    expect(await describeOne(streams, "s")).toMatchObject({
      firstOffset: 0,
      nextOffset: 20_002,
      firstTimestampMs: nowMs + 1,
    });
  });
}
