import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { StreamConfig, StreamCreate } from "../streams.ts";
import {
  answersOf,
  CALL,
  type Harness,
  NAMESPACE,
  type OpenStore,
  present,
  testBatch,
  testWhole,
} from "./harness.ts";
import {
  append,
  appendTo,
  create,
  DAY_MS,
  deleteOne,
  describeOne,
  event,
  LATER_MS,
  offsetsOf,
  payloadsOf,
  query,
  read,
  readPage,
  shapeFor,
} from "./stream-values.ts";

const DIFFERS = { reason: "stream_differs" };

/** Streams that are made, described, deleted and made again. */
export function describeStreamChanges(harness: Harness, store: () => OpenStore): void {
  describeMaking(harness, store);
  describeDeletion(harness, store);
  describeState(harness, store);
}

function describeMaking(harness: Harness, store: () => OpenStore): void {
  test("a stream that is created is there, and empty", async () => {
    const { streams } = store();
    const shape = shapeFor(harness, { partitions: 3, replicationFactor: 2 });
    await create(streams, "s", { retentionMs: 2 * DAY_MS, ...shape });
    expect(await describeOne(streams, "s")).toEqual({
      retentionMs: 2 * DAY_MS,
      ...shape,
      createdAtMs: harness.streamLimits === undefined ? expect.any(Number) : undefined,
      firstOffset: 0,
      nextOffset: 0,
      firstTimestampMs: undefined,
      lastTimestampMs: undefined,
    });
    expect(await query(streams, "s")).toEqual([]);
    expect(await readPage(streams, "s")).toEqual({ events: [], next: 0, ended: true });
    expect(await appendTo(streams, "s", [event(LATER_MS)])).toMatchObject({ offset: 0 });
    expect(await describeOne(streams, "s")).toMatchObject({ retentionMs: 2 * DAY_MS, ...shape });
  });

  test("numbers that are left open are 1", async () => {
    const { streams } = store();
    await create(streams, "created");
    await appendTo(streams, "appended", [event(LATER_MS)]);
    for (const stream of ["created", "appended"]) {
      expect(await describeOne(streams, stream)).toMatchObject({
        retentionMs: 0,
        partitions: 1,
        replicationFactor: 1,
      });
    }
  });

  test("creating one that is there changes its retention and nothing else", async () => {
    const { streams } = store();
    const shape = shapeFor(harness, { partitions: 3, replicationFactor: 2 });
    await create(streams, "s", { retentionMs: DAY_MS, ...shape });
    await appendTo(streams, "s", [event(LATER_MS, "1")]);
    const before = present(await describeOne(streams, "s"));
    for (const config of [
      { retentionMs: DAY_MS },
      { retentionMs: 3 * DAY_MS, partitions: shape.partitions },
      { retentionMs: 0, replicationFactor: shape.replicationFactor },
      { retentionMs: DAY_MS, ...shape },
    ]) {
      await create(streams, "s", config);
      expect(await describeOne(streams, "s")).toEqual({ ...before, retentionMs: config.retentionMs });
    }
    expect(payloadsOf(await read(streams, "s"))).toEqual(["1"]);
  });

  test.each([
    ["partitions", { partitions: 2 }, "config.partitions"],
    ["replicas", { replicationFactor: 3 }, "config.replication_factor"],
  ] as const)("another number of %s is refused, and changes nothing", async (_, config, field) => {
    const { streams } = store();
    await appendTo(streams, "s", [event(LATER_MS, "1")]);
    const before = await describeOne(streams, "s");
    const creates = [{ stream: "s", ...whole({ retentionMs: DAY_MS, ...config }) }];
    const [answer] = await streams.createStream(NAMESPACE, creates, CALL);
    expect(answer).toMatchObject({ ...DIFFERS, field });
    expect(await describeOne(streams, "s")).toEqual(before);
  });

  if (harness.streamLimits !== undefined) {
    test("a new stream of another shape is refused, and not made", async () => {
      const { streams } = store();
      for (const [config, field] of [
        [{ partitions: 2 }, "config.partitions"],
        [{ replicationFactor: 2 }, "config.replication_factor"],
      ] as const) {
        const answers = await streams.createStream(NAMESPACE, [{ stream: "s", ...whole(config) }], CALL);
        expect(answers).toMatchObject([{ reason: "invalid_field", field }]);
        expect(await describeOne(streams, "s")).toBeUndefined();
      }
    });
  }

  describeBatches(harness, store);
}

function whole({
  retentionMs = 0,
  partitions = 0,
  replicationFactor = 0,
}: Partial<StreamConfig>): StreamConfig {
  return { retentionMs, partitions, replicationFactor };
}

function describeBatches(harness: Harness, store: () => OpenStore): void {
  const shape = shapeFor(harness, { partitions: 5, replicationFactor: 1 });
  const creates: readonly StreamCreate[] = [
    { stream: "{t}new", ...whole({}) },
    { stream: "{t}s", ...whole({ partitions: 2 }) },
    { stream: "{t}other", ...whole(shape) },
    { stream: "{t}other", ...whole({ partitions: 6 }) },
    { stream: "{t}other", ...whole({ retentionMs: DAY_MS }) },
  ];

  testWhole(harness, "one refusal is that of all that are created in the call", async () => {
    const { streams } = store();
    await create(streams, "{t}s");
    const answers = await streams.createStream(NAMESPACE, creates, CALL);
    expect(answers).toEqual(creates.map(() => expect.objectContaining(DIFFERS)));
    expect(new Set(answers.map((answer) => answer && "field" in answer && answer.field))).toEqual(
      new Set(["config.partitions"]),
    );
    for (const stream of ["{t}new", "{t}other"]) {
      expect(await describeOne(streams, stream)).toBeUndefined();
    }
  });

  testBatch(harness, "with `each` the others are made, in order", async () => {
    const { streams } = store();
    await create(streams, "{t}s");
    const refused = expect.objectContaining(DIFFERS);
    expect(await streams.createStream(NAMESPACE, creates, { ...CALL, each: true })).toEqual([
      undefined,
      refused,
      undefined,
      refused,
      undefined,
    ]);
    expect(await describeOne(streams, "{t}new")).toMatchObject({ partitions: 1 });
    expect(await describeOne(streams, "{t}s")).toMatchObject({ partitions: 1 });
    expect(await describeOne(streams, "{t}other")).toMatchObject({ ...shape, retentionMs: DAY_MS });
  });
}

function describeDeletion(harness: Harness, store: () => OpenStore): void {
  test("a stream that was deleted is gone with its events, and begins again at 0", async () => {
    const { streams } = store();
    await create(streams, "s", shapeFor(harness, { partitions: 4, replicationFactor: 1 }));
    await appendTo(streams, "s", [event(LATER_MS, "old"), event(1, "old")]);
    await appendTo(streams, "t", [event(LATER_MS, "kept")]);
    expect(await deleteOne(streams, "s")).toBe(true);
    expect(await describeOne(streams, "s")).toBeUndefined();
    expect(await readPage(streams, "s")).toBeUndefined();
    expect(await deleteOne(streams, "s")).toBe(false);
    expect(await appendTo(streams, "s", [event(LATER_MS, "new")])).toMatchObject({ offset: 0 });
    expect(await describeOne(streams, "s")).toMatchObject({ partitions: 1, nextOffset: 1 });
    expect(payloadsOf(await query(streams, "s"))).toEqual(["new"]);
    expect(payloadsOf(await read(streams, "s"))).toEqual(["new"]);
    expect(payloadsOf(await read(streams, "t"))).toEqual(["kept"]);
  });

  test("a delete finds a stream once, also an empty one", async () => {
    const { streams } = store();
    await create(streams, "empty");
    await appendTo(streams, "s", [event(LATER_MS)]);
    const names = ["s", "none", "s", "empty"];
    expect(await answersOf(streams.deleteStream(NAMESPACE, names, CALL))).toEqual([true, false, false, true]);
    const shape = shapeFor(harness, { partitions: 7, replicationFactor: 1 });
    await create(streams, "s", shape);
    expect(await describeOne(streams, "s")).toMatchObject({ ...shape, nextOffset: 0 });
  });
}

function describeState(harness: Harness, store: () => OpenStore): void {
  const { durable } = harness;
  test("a description tells where the stream begins and ends, by offset and by time", async () => {
    const { streams } = store();
    await appendTo(streams, "s", [event(LATER_MS + 5)]);
    const first = present(await describeOne(streams, "s"));
    expect(first).toMatchObject({ firstOffset: 0, nextOffset: 1 });
    expect(first).toMatchObject({ firstTimestampMs: LATER_MS + 5, lastTimestampMs: LATER_MS + 5 });
    await appendTo(streams, "s", [event(LATER_MS + 9), event(LATER_MS - 7_200_000)]);
    await appendTo(streams, "s", [event(LATER_MS), event(LATER_MS + 1)]);
    expect(await describeOne(streams, "s")).toEqual({
      ...first,
      nextOffset: 5,
      firstTimestampMs: LATER_MS - 7_200_000,
      lastTimestampMs: LATER_MS + 9,
    });
  });

  test("several streams are described in the order of the call", async () => {
    const { streams } = store();
    await create(streams, "a", { retentionMs: 2 * DAY_MS });
    await create(streams, "b", { retentionMs: 3 * DAY_MS });
    const states = await answersOf(streams.describeStream(NAMESPACE, ["b", "none", "a", "b"], CALL));
    expect(states.map((state) => state?.retentionMs)).toEqual(
      [3, undefined, 2, 3].map((days) => days && days * DAY_MS),
    );
  });

  test(`a store opened again has its streams ${durable ? "as they were" : "no more"}`, async () => {
    const { backend, streams } = store();
    await create(streams, "empty", {
      retentionMs: DAY_MS,
      ...shapeFor(harness, { partitions: 2, replicationFactor: 1 }),
    });
    await appendTo(streams, "s", [event(LATER_MS, "1", { a: "b" }), event(1, "2")]);
    await appendTo(streams, "s", [event(LATER_MS, "3")]);
    const before = await answersOf(streams.describeStream(NAMESPACE, ["s", "empty"], CALL));
    await backend.close();
    await backend.open();
    const after = await answersOf(streams.describeStream(NAMESPACE, ["s", "empty"], CALL));
    expect(after).toEqual(durable ? before : [undefined, undefined]);
    const { offset } = await appendTo(streams, "s", [event(LATER_MS, "4")]);
    expect(offset).toBe(durable ? 3 : 0);
    expect(payloadsOf(await query(streams, "s"))).toEqual(durable ? ["2", "1", "3", "4"] : ["4"]);
  });
}

/** Many callers at once. */
export function describeStreamRaces(store: () => OpenStore): void {
  test("appends of many callers do not mix, and leave no gaps", async () => {
    const { streams } = store();
    const callers = Array.from({ length: 8 }, (_, i) => i);
    const places = await Promise.all(
      callers.map(async (caller) => {
        const offsets: number[] = [];
        for (let i = 0; i < 15; i++) {
          const events = ["a", "b", "c"].map((part) => event(LATER_MS, `${caller}:${i}${part}`));
          const appends = [append("s", events), append(`t${caller}`, events.slice(0, 1))];
          const [answer] = await answersOf(streams.appendEvents(NAMESPACE, appends, CALL));
          offsets.push(present(answer).offset);
        }
        return offsets;
      }),
    );
    const found = await read(streams, "s", { maxEvents: 7 });
    expect(offsetsOf(found)).toEqual(Array.from({ length: callers.length * 45 }, (_, i) => i));
    for (const [caller, offsets] of places.entries()) {
      expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
      for (const [i, offset] of offsets.entries()) {
        expect(payloadsOf(found.slice(offset, offset + 3))).toEqual(
          ["a", "b", "c"].map((part) => `${caller}:${i}${part}`),
        );
      }
    }
  });

  test("a reader that goes on where it ended misses nothing while others append", async () => {
    const { streams } = store();
    await create(streams, "s");
    let appending = true;
    const seen: number[] = [];
    const reader = async () => {
      for (let offset = 0, last = false; ; ) {
        const page = present(await readPage(streams, "s", { offset, maxEvents: 5 }));
        seen.push(...offsetsOf(page.events));
        expect(page.next).toBe(seen.length);
        offset = page.next;
        if (page.ended && last) {
          return;
        }
        last = page.ended && !appending;
        // Where a store answers reads at once, writers would never have their turn.
        await nextTurn();
      }
    };
    const writer = async () => {
      for (let i = 0; i < 20; i++) {
        const events = Array.from({ length: (i % 4) + 1 }, (_, at) => event(LATER_MS + at));
        await appendTo(streams, "s", events);
        await nextTurn();
      }
    };
    const writers = Promise.all(Array.from({ length: 4 }, writer)).finally(() => {
      appending = false;
    });
    await Promise.all([writers, reader()]);
    expect(seen).toEqual(Array.from({ length: 4 * 50 }, (_, i) => i));
  });

  test("streams that are deleted and appended to at the same time are whole", async () => {
    const { streams } = store();
    const writer = async (caller: number) => {
      for (let i = 0; i < 15; i++) {
        await appendTo(streams, "s", [event(LATER_MS, `${caller}:${i}`), event(LATER_MS, `${caller}:${i}`)]);
      }
    };
    const deleter = async () => {
      for (let i = 0; i < 10; i++) {
        await deleteOne(streams, "s");
        await nextTurn();
      }
    };
    await Promise.all([writer(0), writer(1), deleter()]);
    await appendTo(streams, "s", [event(LATER_MS, "end")]);
    const found = await read(streams, "s");
    expect(offsetsOf(found)).toEqual(found.map((_, i) => i));
    expect(found.length % 2).toBe(1);
    const [end, ...others] = payloadsOf(found).reverse();
    expect(end).toBe("end");
    for (let i = 0; i < others.length; i += 2) {
      expect(others[i]).toBe(others[i + 1]);
    }
  });
}
