import { Code, ConnectError, createRouterTransport, type ServiceImpl } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { TimeSeriesService } from "../gen/prism/timeseries/v1/timeseries_pb.ts";
import { any, CLIENTS } from "../tests/helpers/clients.ts";
import { startTestServer, type TestServer } from "../tests/helpers/server.ts";
import { startTcpProxy } from "../tests/helpers/tcp-proxy.ts";
import { until } from "../tests/helpers/until.ts";
import { PrismClient } from "./client.ts";
import { json } from "./codec.ts";
import { PrismClient as NodeClient } from "./node.ts";
import type { StreamEvent } from "./timeseries/event.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = ({ payload }: StreamEvent) => new TextDecoder().decode(payload);
const START_MS = Date.parse("2026-01-01T00:00:00Z");

/** Streams over both clients. */
describe.each(CLIENTS)("the $kind client", ({ connect }) => {
  let server: TestServer;
  let client: PrismClient;
  let timeseries: PrismClient["timeseries"];
  let nowMs = START_MS;

  beforeAll(async () => {
    server = await startTestServer({ clock: { now: () => nowMs } });
    client = connect(server);
    timeseries = client.timeseries;
  });

  afterAll(async () => {
    await client.close();
    await server.stop();
  });

  beforeEach(async () => {
    await timeseries.deleteStream("s");
    nowMs = START_MS;
  });

  test("appends events, and finds them by their time", async () => {
    expect(await timeseries.append("s", "late")).toEqual({ offset: 0, timestampMs: nowMs });
    const timestampMs = nowMs - 1000;
    expect(
      await timeseries.append("s", Uint8Array.of(0xff), { timestampMs, tags: { a: "1", b: "" } }),
    ).toEqual({
      offset: 1,
      timestampMs,
    });
    const events = await Array.fromAsync(timeseries.query("s"));
    expect(events).toEqual([
      { offset: 1, timestampMs, payload: Uint8Array.of(0xff), tags: { a: "1", b: "" }, cursor: undefined },
      { offset: 0, timestampMs: nowMs, payload: bytes("late"), tags: {}, cursor: undefined },
    ]);
    expect(events[0]?.payload.constructor).toBe(Uint8Array);
    const found = async (options: Parameters<typeof timeseries.query>[1]) =>
      (await Array.fromAsync(timeseries.query("s", options))).map(({ offset }) => offset);
    expect(await found({ startMs: timestampMs, endMs: nowMs })).toEqual([1]);
    expect(await found({ startMs: nowMs })).toEqual([0]);
    expect(await found({ tags: { b: "" } })).toEqual([1]);
    expect(await found({ tags: { b: "x" } })).toEqual([]);
    await expect(found({ startMs: nowMs, endMs: timestampMs })).rejects.toMatchObject({
      reason: "invalid_field",
    });
  });

  test("appends batches, all or none", async () => {
    const events = Array.from({ length: 3 }, (_, i) => ({ payload: `${i}`, timestampMs: START_MS - i }));
    expect(await timeseries.appendBatch("s", new Set(events))).toEqual([0, 1, 2]);
    const wrong = [{ payload: "a" }, { payload: "b", tags: { "": "x" } }];
    await expect(timeseries.appendBatch("s", wrong)).rejects.toMatchObject({ reason: "invalid_field" });
    expect((await Array.fromAsync(timeseries.query("s"))).map(text)).toEqual(["2", "1", "0"]);
  });

  test("goes on from a cursor", async () => {
    await timeseries.appendBatch(
      "s",
      ["a", "b", "c"].map((payload) => ({ payload })),
    );
    const first = await Array.fromAsync(timeseries.query("s", { limit: 2 }));
    expect(first.map(text)).toEqual(["a", "b"]);
    const rest = await Array.fromAsync(timeseries.query("s", { cursor: first.at(-1)?.cursor }));
    expect(rest.map(text)).toEqual(["c"]);
    expect(rest[0]?.cursor).toBeUndefined();
  });

  test("makes, describes, names and deletes streams", async () => {
    await timeseries.createStream("s", { retentionDays: 7 });
    const none = { firstTimestampMs: undefined, lastTimestampMs: undefined };
    const config = { retentionDays: 7, partitions: 1, replicationFactor: 1, createdAtMs: nowMs };
    expect(await timeseries.describeStream("s")).toEqual({
      ...config,
      ...none,
      firstOffset: 0,
      nextOffset: 0,
    });
    await timeseries.append("s", "a");
    expect(await timeseries.describeStream("s")).toMatchObject({ nextOffset: 1, lastTimestampMs: nowMs });
    nowMs += 7 * 86_400_000;
    expect(await timeseries.describeStream("s")).toMatchObject({ firstOffset: 1, nextOffset: 1, ...none });
    await expect(timeseries.createStream("s", { partitions: 2 })).rejects.toMatchObject({
      reason: "stream_differs",
    });
    await timeseries.append("t/1", "");
    expect(await Array.fromAsync(timeseries.streams())).toEqual(["s", "t/1"]);
    expect(await Array.fromAsync(timeseries.streamPages({ prefix: "t/" }))).toEqual([["t/1"]]);
    expect(await timeseries.deleteStream("t/1")).toBe(true);
    expect(await timeseries.deleteStream("t/1")).toBe(false);
    const gone = { reason: "stream_not_found", code: Code.NotFound };
    await expect(timeseries.describeStream("t/1")).rejects.toMatchObject(gone);
    await expect(Array.fromAsync(timeseries.query("t/1"))).rejects.toMatchObject(gone);
  });

  test("tails what is there, and then what comes", async () => {
    for (const payload of ["a", "b", "c"]) {
      await timeseries.append("s", payload, { tags: { is: payload } });
    }
    const read: string[] = [];
    for await (const event of timeseries.tail("s", { fromOffset: 1 })) {
      read.push(`${event.offset}: ${text(event)}`);
      if (event.offset === 2) {
        await timeseries.append("s", "d");
      } else if (event.offset === 3) {
        break;
      }
    }
    expect(read).toEqual(["1: b", "2: c", "3: d"]);
    const some = timeseries.tail("s", { tags: { is: "c" } });
    expect((await some[Symbol.asyncIterator]().next()).value).toMatchObject({ offset: 2 });
  });

  test("a tail of the end has only what comes, and ends when the stream is deleted", async () => {
    await timeseries.append("s", "before");
    const logged = server.log.length;
    const tail = timeseries.tail("s", { fromOffset: "end" });
    const next = tail.next();
    await until("the end of the stream is known", () =>
      server.log.slice(logged).some(({ call }) => call === "DescribeStream"),
    );
    await timeseries.append("s", "after");
    expect((await next).value).toMatchObject({ offset: 1, payload: bytes("after") });
    await timeseries.deleteStream("s");
    await expect(tail.next()).rejects.toMatchObject({ reason: "stream_not_found" });
  });

  test("sums up numbers by time and tags", async () => {
    const heat = [
      ["1", "kitchen", 0],
      ["3", "kitchen", 30_000],
      ["5", "attic", 30_000],
      ["7", "kitchen", 60_000],
      ["warm", "kitchen", 60_000],
    ] as const;
    await timeseries.appendBatch(
      "s",
      heat.map(([payload, room, ms]) => ({ payload, tags: { room }, timestampMs: START_MS - 120_000 + ms })),
    );
    const rows = await timeseries.aggregate("s", { bucketMs: 60_000, groupBy: ["room"] });
    expect(rows).toMatchObject([
      { startMs: START_MS - 120_000, tags: { room: "attic" }, count: 1, numbers: 1, sum: 5 },
      {
        startMs: START_MS - 120_000,
        tags: { room: "kitchen" },
        count: 2,
        numbers: 2,
        sum: 4,
        min: 1,
        max: 3,
      },
      { startMs: START_MS - 60_000, tags: { room: "kitchen" }, count: 2, numbers: 1, avg: 7 },
    ]);
    const [none] = await timeseries.aggregate("s", { valueTag: "room", tags: { room: "attic" } });
    expect(none).toEqual({ startMs: 0, tags: {}, count: 1, numbers: 0 });
  });

  test("has the calls of other namespaces", async () => {
    const other = client.namespace("none").timeseries;
    const unknown = { reason: "namespace_not_found" };
    await expect(other.append("s", "")).rejects.toMatchObject(unknown);
    await expect(Array.fromAsync(other.query("s"))).rejects.toMatchObject(unknown);
    await expect(other.writer("s").append("")).rejects.toMatchObject(unknown);
    expect(await other.append("s", "", { namespace: "default" })).toMatchObject({ offset: 0 });
  });

  test("reads and writes payloads of one type", async () => {
    const clicks = timeseries.as(json<{ x: number }>());
    await clicks.append("s", { x: 1 });
    await clicks.appendBatch("s", [{ payload: { x: 2 } }]);
    const writer = clicks.writer("s");
    writer.append({ x: 3 });
    await writer.close();
    const read = await Array.fromAsync(clicks.query("s"));
    expect(read.map(({ offset, payload }) => [offset, payload.x])).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
    ]);
    await timeseries.append("s", "{");
    await expect(Array.fromAsync(clicks.query("s"))).rejects.toMatchObject({ reason: "corrupt_data" });
  });

  test("refuses wrong arguments before it sends anything", async () => {
    const sent = server.log.length;
    const read = (options: unknown) => [
      Array.fromAsync(timeseries.query("s", any(options))),
      Array.fromAsync(timeseries.tail("s", any(options))),
      timeseries.aggregate("s", any(options)),
    ];
    const calls: [message: RegExp, made: Promise<unknown>[]][] = [
      [
        /^stream /,
        [undefined, null, 5, "\ud800"].flatMap((stream) => [
          timeseries.append(any(stream), ""),
          timeseries.appendBatch(any(stream), []),
          Array.fromAsync(timeseries.query(any(stream))),
          Array.fromAsync(timeseries.tail(any(stream))),
          timeseries.aggregate(any(stream)),
          timeseries.createStream(any(stream)),
          timeseries.deleteStream(any(stream)),
          timeseries.describeStream(any(stream)),
        ]),
      ],
      [/^payload /, [undefined, null, 5, {}].map((payload) => timeseries.append("s", any(payload)))],
      [/^events must be /, ["ab", null, [null], ["a"]].map((v) => timeseries.appendBatch("s", any(v)))],
      [
        /^tags? /,
        [null, 5, [["a", "1"]], { a: 1 }, { "\ud800": "" }].flatMap((tags) => [
          timeseries.append("s", "", any({ tags })),
          ...read({ tags }),
        ]),
      ],
      [/^timestampMs /, [-1, 1.5, "5"].map((time) => timeseries.append("s", "", any({ timestampMs: time })))],
      [/^startMs /, [-1, 1.5, "5"].flatMap((startMs) => read({ startMs }))],
      [
        /^fromOffset /,
        [-1, 1.5, "start"].map((fromOffset) => Array.fromAsync(timeseries.tail("s", any({ fromOffset })))),
      ],
      [
        /^retentionDays /,
        [-1, "5"].map((days) => timeseries.createStream("s", any({ retentionDays: days }))),
      ],
      [/^there is no option key, but /, read({ key: 1 })],
    ];
    for (const [message, made] of calls) {
      for (const outcome of await Promise.allSettled(made)) {
        expect(outcome).toMatchObject({
          status: "rejected",
          reason: { reason: "invalid_field", code: 3, message: expect.stringMatching(message) },
        });
      }
    }
    expect(() => timeseries.writer("s", { maxEvents: 0 })).toThrow("maxEvents must be 1 or more");
    expect(() => timeseries.writer("s", any({ maxSize: 1 }))).toThrow("there is no option maxSize");
    expect(server.log.length).toBe(sent);
  });

  test("a writer appends everything in order, and tells each offset", async () => {
    const writer = timeseries.writer("s", { maxEvents: 7 });
    const offsets = Array.from({ length: 100 }, (_, i) => writer.append(`${i}`, { tags: { i: `${i}` } }));
    await writer.flush();
    expect(await Promise.all(offsets)).toEqual(Array.from(offsets.keys()));
    const events = await Array.fromAsync(timeseries.query("s"));
    expect(events.map(text)).toEqual(Array.from(offsets.keys(), String));
    await writer.close();
    await expect(writer.append("")).rejects.toMatchObject({ reason: "canceled" });
  });

  test("a writer fails only for the events that the gateway refuses", async () => {
    const writer = timeseries.writer("s");
    const made = Array.from({ length: 20 }, (_, i) =>
      writer.append(`${i}`, { tags: i === 3 || i === 17 ? { "": "no name" } : {} }),
    );
    await expect(writer.flush()).rejects.toMatchObject({ reason: "invalid_field" });
    await writer.close();
    const outcomes = await Promise.allSettled(made);
    expect(outcomes.flatMap(({ status }, i) => (status === "rejected" ? [i] : []))).toEqual([3, 17]);
    expect(await Array.fromAsync(timeseries.query("s"))).toHaveLength(18);
  });
});

test("a query and a tail go on when their connection breaks: each event once, in order", async () => {
  await using server = await startTestServer();
  await using proxy = await startTcpProxy(Number(server.address.split(":")[1]));
  await using client = new NodeClient(`127.0.0.1:${proxy.port}`);
  const { timeseries } = client;
  const writer = timeseries.writer("s");
  const offsets = Array.from({ length: 6000 }, (_, i) => i);
  for (const offset of offsets) {
    writer.append(`${offset}${"x".repeat(500)}`, { timestampMs: START_MS + offset });
  }
  await writer.close();
  proxy.slow(4_000_000);
  for (const events of [timeseries.query("s"), timeseries.tail("s")]) {
    const read: number[] = [];
    for await (const { offset } of events) {
      read.push(offset);
      if (read.length % 2000 === 100) {
        proxy.cut();
      }
      if (read.length === offsets.length) {
        break;
      }
    }
    expect(read).toEqual(offsets);
  }
});

/** A client of a service that answers as a test says. */
function connectTo(calls: Partial<ServiceImpl<typeof TimeSeriesService>>): PrismClient {
  return new PrismClient(
    createRouterTransport(({ service }) => {
      service(TimeSeriesService, calls);
    }),
    { retries: 0 },
  );
}

describe("a writer", () => {
  /** A client whose batches wait until they are answered. */
  function connect() {
    const batches: { readonly texts: string[]; readonly answer: (failure?: ConnectError) => void }[] = [];
    let arrived = Promise.withResolvers<void>();
    let next = 0n;
    const client = connectTo({
      async appendBatch({ events }) {
        const { promise, resolve, reject } = Promise.withResolvers<void>();
        const texts = events.map(({ payload }) => new TextDecoder().decode(payload));
        batches.push({ texts, answer: (failure) => (failure === undefined ? resolve() : reject(failure)) });
        arrived.resolve();
        await promise;
        return { offsets: events.map(() => next++) };
      },
    });
    return {
      writer: client.timeseries.writer.bind(client.timeseries),
      batches,
      /** The next batch, when it is there. */
      async batch() {
        while (batches.length === 0) {
          await arrived.promise;
          arrived = Promise.withResolvers();
        }
        const [batch] = batches.splice(0, 1);
        if (batch === undefined) {
          throw new Error("there is no batch");
        }
        return batch;
      },
    };
  }

  /** Longer than any test. */
  const NEVER_MS = 600_000;

  test("sends a batch that is full by number, by bytes or by time, one after another", async () => {
    const { writer, batch, batches } = connect();
    const byNumber = writer("s", { maxEvents: 2, maxDelayMs: NEVER_MS });
    for (const payload of ["a", "b", "c", "d", "e"]) {
      byNumber.append(payload);
    }
    const first = await batch();
    expect(first.texts).toEqual(["a", "b"]);
    expect(batches).toHaveLength(0);
    first.answer();
    const second = await batch();
    expect(second.texts).toEqual(["c", "d"]);
    second.answer();

    const byBytes = writer("s", { maxBytes: 1000, maxDelayMs: NEVER_MS });
    byBytes.append("x");
    byBytes.append("y".repeat(600));
    byBytes.append("z".repeat(600));
    const large = await batch();
    expect(large.texts.map(({ length }) => length)).toEqual([1, 600]);
    large.answer();

    const byTime = writer("s", { maxDelayMs: 1 });
    const offset = byTime.append("alone");
    const alone = await batch();
    expect(alone.texts).toEqual(["alone"]);
    alone.answer();
    expect(await offset).toBeGreaterThan(0);
  });

  test("flushes at once, and waits only for what was there", async () => {
    const { writer, batch } = connect();
    const events = writer("s", { maxDelayMs: NEVER_MS });
    await events.flush();
    events.append("a");
    const flushed = events.flush();
    const first = await batch();
    events.append("b");
    expect(first.texts).toEqual(["a"]);
    first.answer();
    await flushed;
    const closed = events.close();
    const second = await batch();
    expect(second.texts).toEqual(["b"]);
    second.answer();
    await closed;
    await events.close();
  });

  test("rejects at its bound, and tells when there is room", async () => {
    const { writer, batch } = connect();
    for (const limits of [{ maxWaitingEvents: 3 }, { maxWaitingBytes: 200 }]) {
      const events = writer("s", { maxDelayMs: NEVER_MS, ...limits });
      const taken = ["a", "b", "c"].map((payload) => events.append(payload.repeat(10)));
      await expect(events.append("d")).rejects.toMatchObject({
        reason: "overloaded",
        code: Code.ResourceExhausted,
        retryable: true,
      });
      const ready = events.ready();
      // Who waits for room would wait for ever if the batch waited too.
      (await batch()).answer();
      await ready;
      await Promise.all(taken);
      const more = events.append("d");
      const flushed = events.flush();
      (await batch()).answer();
      await more;
      // The event that was refused is not there.
      await expect(flushed).rejects.toMatchObject({ reason: "overloaded" });
    }
  });

  test("room that `ready` tells of is kept for who asked: none is refused, and none is lost", async () => {
    const { writer, batch } = connect();
    const events = writer("s", { maxWaitingEvents: 2, maxDelayMs: NEVER_MS });
    let appended = 0;
    const produce = async () => {
      for (let i = 0; i < 4; i++) {
        await events.ready();
        events.append("a");
        appended++;
      }
    };
    const producers = Promise.all([produce(), produce(), produce()]);
    let answered = 0;
    while (answered < 12) {
      const { texts, answer } = await batch();
      answered += texts.length;
      answer();
    }
    await producers;
    await events.close();
    expect([appended, answered]).toEqual([12, 12]);
  });

  test("what `append` refuses is told by `close` too", async () => {
    const { writer } = connect();
    const events = writer("s");
    events.append("a", { tags: { x: 5 as unknown as string } });
    await expect(events.close()).rejects.toMatchObject({ reason: "invalid_field" });
    await events.close();
  });

  test("tells of a failure once to who flushes, and goes on", async () => {
    const { writer, batch } = connect();
    const events = writer("s", { maxEvents: 1, maxDelayMs: NEVER_MS });
    const lost = events.append("a");
    events.append("b");
    const flushes = [events.flush(), events.flush()];
    (await batch()).answer(new ConnectError("lost", Code.Unavailable));
    (await batch()).answer();
    for (const outcome of await Promise.allSettled(flushes)) {
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: Code.Unavailable } });
    }
    await expect(lost).rejects.toMatchObject({ code: Code.Unavailable });
    await events.close();
  });

  test("keeps a payload as it was", async () => {
    const { writer, batch } = connect();
    const events = writer("s", { maxDelayMs: NEVER_MS });
    const payload = bytes("before");
    events.append(payload);
    payload.fill(0);
    const closed = events.close();
    const { texts, answer } = await batch();
    expect(texts).toEqual(["before"]);
    answer();
    await closed;
  });
});

describe("a tail whose call breaks", () => {
  async function* cut(...offsets: bigint[]): AsyncGenerator<ReturnType<typeof event>> {
    yield* offsets.map(event);
    throw new ConnectError("cut", Code.Unavailable);
  }
  const event = (offset: bigint) => ({ event: { offset, payload: bytes(`${offset}`) } });

  /** A client whose tails are answered by the next of `calls`, and the offsets that it asks for. */
  function connect(...calls: (() => AsyncGenerator<ReturnType<typeof event>>)[]) {
    const asked: (bigint | undefined)[] = [];
    const client = connectTo({
      async *tail({ fromOffset }) {
        asked.push(fromOffset);
        yield* calls[asked.length - 1]?.() ?? [];
      },
      describeStream: () => ({ nextOffset: 5n }),
    });
    return { timeseries: client.timeseries, asked };
  }

  test("goes on behind its last event", async () => {
    const { timeseries, asked } = connect(
      () => cut(5n, 7n),
      () => cut(),
      async function* () {
        yield event(8n);
      },
    );
    const events = await Array.fromAsync(timeseries.tail("s", { fromOffset: "end" }));
    expect(events.map(text)).toEqual(["5", "7", "8"]);
    expect(asked).toEqual([5n, 8n, 8n]);
  });

  test("fails at once where it never was, and for another reason", async () => {
    const away = connect(() => cut());
    await expect(Array.fromAsync(away.timeseries.tail("s"))).rejects.toMatchObject({ retryable: true });
    expect(away.asked).toEqual([0n]);
    const lost = connect(async function* () {
      yield event(0n);
      throw new ConnectError("gone", Code.NotFound);
    });
    await expect(Array.fromAsync(lost.timeseries.tail("s"))).rejects.toMatchObject({ code: Code.NotFound });
    expect(lost.asked).toEqual([0n]);
  });

  test("ends with its signal and with its time", async () => {
    const abort = new AbortController();
    const { timeseries } = connect(
      () => cut(0n),
      () => cut(1n),
    );
    const reading = (async () => {
      for await (const _ of timeseries.tail("s", { signal: abort.signal })) {
        abort.abort();
      }
    })();
    await expect(reading).rejects.toMatchObject({ reason: "canceled" });
    const quiet = async function* () {
      yield event(1n);
      await new Promise(() => {});
    };
    const late = connect(quiet, quiet).timeseries.tail("s", { timeoutMs: 50 });
    await expect(Array.fromAsync(late)).rejects.toMatchObject({ reason: "deadline_exceeded" });
  });
});
