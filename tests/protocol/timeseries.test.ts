/** prism.timeseries.v1.TimeSeriesService over every protocol: its answers, and what it refuses. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Client, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { ErrorSchema, ReasonSchema } from "../../gen/prism/common/errors_pb.ts";
import {
  type Event,
  type EventSchema,
  type QueryResponse,
  TimeSeriesService,
} from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { createManualClock } from "../../server/backend/conformance/manual-clock.ts";
import { NO_RULES, type TimeseriesRules } from "../../server/namespaces/rules.ts";
import { startTestServer, type TestServer } from "../helpers/server.ts";

/** Small, so that a payload is soon too large. */
const MAX_VALUE_BYTES = 64 * 1024;

const DAY_MS = 86_400_000;

const WIRES: readonly (readonly [string, (baseUrl: string) => Transport])[] = [
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "1.1" })],
  ["Connect", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" })],
  [
    "Connect, JSON",
    (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "1.1", useBinaryFormat: false }),
  ],
];

/** Namespaces "default" and "other", and "ruled" with these rules. */
function start(timeseries: TimeseriesRules = NO_RULES.timeseries, clock = createManualClock()) {
  return startTestServer({
    clock,
    adjust: (config) => ({
      ...config,
      limits: { ...config.limits, maxValueBytes: MAX_VALUE_BYTES },
      namespaces: ["default", "other", "ruled"].map((name) => ({
        name,
        pattern: "timeseries",
        backend: "database",
        ...(name === "ruled" && { rules: { ...NO_RULES, timeseries } }),
      })),
    }),
  });
}

type EventInit = MessageInitShape<typeof EventSchema>;

interface Query {
  readonly namespace?: string;
  readonly stream?: string;
  readonly startTimeMillis?: bigint;
  readonly endTimeMillis?: bigint;
  readonly filterTags?: Record<string, string>;
  readonly limit?: number;
  readonly cursor?: { readonly token: Uint8Array };
}

const payload = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));
const at = (timestampMillis: bigint | number, text = "", tags: Record<string, string> = {}): EventInit => ({
  timestampMillis: BigInt(timestampMillis),
  payload: payload(text),
  tags,
});
const textsOf = (events: readonly Event[]) => events.map((event) => Buffer.from(event.payload).toString());
const eventsOf = (pages: readonly QueryResponse[]) => pages.flatMap(({ events }) => events);

/** What a call was refused for: `CODE REASON field`. */
async function refusal(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (thrown) {
    const error = ConnectError.from(thrown);
    const [detail] = error.findDetails(ErrorSchema);
    const reason = ReasonSchema.value[detail?.reason ?? 0]?.localName;
    return `${Code[error.code]} ${reason} ${detail?.fieldViolations[0]?.field ?? ""}`.trimEnd();
  }
  return "not refused";
}

const invalid = (field: string) => `InvalidArgument INVALID_FIELD ${field}`;

describe.each(WIRES)("over %s", (_, connect) => {
  let server: TestServer;
  let series: Client<typeof TimeSeriesService>;
  let streams = 0;

  beforeAll(async () => {
    server = await start();
    series = createClient(TimeSeriesService, connect(server.baseUrl));
  });
  afterAll(() => server.stop());

  /** The name of a stream of the test's own. */
  const fresh = () => `stream\0/😀${++streams}`;
  const query = (request: Query) => Array.fromAsync(series.query(request));
  const tail = async (stream: string, fromOffset = 0n) => {
    const messages = await Array.fromAsync(series.tail({ stream, fromOffset, untilEnd: true }));
    return messages.flatMap(({ event }) => event ?? []);
  };

  test("a tail behind the end finds no stream, also one that does not wait", async () => {
    const stream = fresh();
    await series.append({ stream, event: { payload: payload("a") } });
    expect(await tail(stream, 1n)).toEqual([]);
    await expect(tail(stream, 2n)).rejects.toMatchObject({ code: Code.NotFound });
  });

  test("Append gives offsets from 0, and tells the time that it kept", async () => {
    const stream = fresh();
    const first = await series.append({ stream, event: { payload: payload("a") } });
    expect(first.offset).toBe(0n);
    expect(first.timestampMillis).toBeGreaterThan(0n);
    expect(await series.append({ stream, event: at(5, "b") })).toMatchObject({
      offset: 1n,
      timestampMillis: 5n,
    });
    const batch = await series.appendBatch({ stream, events: [at(7), at(0), at(6)] });
    expect(batch.offsets).toEqual([2n, 3n, 4n]);
    expect(batch.timestampMillis).toBeGreaterThan(7n);
    const kept = (await tail(stream)).map(({ timestampMillis }) => timestampMillis);
    expect(kept).toEqual([first.timestampMillis, 5n, 7n, batch.timestampMillis, 6n]);
  });

  test("an event comes back as it was given, whatever its tags are called", async () => {
    const stream = fresh();
    const tags = Object.fromEntries([
      ["__proto__", "p"],
      ["constructor", ""],
      ["ü\0", "😀"],
    ]);
    await series.append({ stream, event: at(1, "\0", tags) });
    const [event] = eventsOf(await query({ stream, filterTags: tags }));
    expect(Object.entries(event?.tags ?? {}).sort()).toEqual(Object.entries(tags).sort());
    expect(event).toMatchObject({ timestampMillis: 1n, offset: 0n, payload: payload("\0") });
    expect(eventsOf(await query({ stream, filterTags: { toString: "" } }))).toEqual([]);
  });

  test("Query answers in the order of times: a span, its tags, a limit", async () => {
    const stream = fresh();
    await series.appendBatch({
      stream,
      events: [
        at(30, "c", { k: "1" }),
        at(10, "a"),
        at(20, "b1", { k: "1", l: "2" }),
        at(20, "b2", { k: "2" }),
      ],
    });
    const found = async (request: Query) => textsOf(eventsOf(await query({ stream, ...request })));
    expect(await found({})).toEqual(["a", "b1", "b2", "c"]);
    expect(await found({ startTimeMillis: 20n, endTimeMillis: 30n })).toEqual(["b1", "b2"]);
    expect(await found({ startTimeMillis: 20n, endTimeMillis: 20n })).toEqual([]);
    expect(await found({ startTimeMillis: 2n ** 63n - 1n })).toEqual([]);
    expect(await found({ endTimeMillis: 2n ** 63n - 1n })).toHaveLength(4);
    expect(await found({ filterTags: { k: "1" } })).toEqual(["b1", "c"]);
    expect(await found({ filterTags: { k: "1", l: "2" } })).toEqual(["b1"]);
    expect(await found({ filterTags: { k: "" } })).toEqual([]);
    expect(await found({ limit: 2 })).toEqual(["a", "b1"]);
  });

  test("a query goes on with its cursor, and only with its own", async () => {
    const stream = fresh();
    const other = fresh();
    const all = Array.from({ length: 2500 }, (__, i) => String(i));
    for (let i = 0; i < all.length; i += 500) {
      const events = all.slice(i, i + 500).map((text) => at(1 + Math.floor(Number(text) / 100), text));
      await series.appendBatch({ stream, events });
      await series.appendBatch({ stream: other, events: events.slice(0, 1) });
    }
    const whole = await query({ stream });
    expect(textsOf(eventsOf(whole))).toEqual(all);
    expect(whole.at(-1)?.nextCursor).toBeUndefined();

    const request = { stream, startTimeMillis: 1n, filterTags: {}, limit: 0 };
    const read: string[] = [];
    let cursor: { token: Uint8Array } | undefined;
    do {
      const pages = await query({ ...request, limit: 700, ...(cursor && { cursor }) });
      read.push(...textsOf(eventsOf(pages)));
      const token = pages.at(-1)?.nextCursor?.token;
      cursor = token && { token };
    } while (cursor !== undefined);
    expect(read).toEqual(all);

    const [page] = await query({ ...request, limit: 1 });
    const token = page?.nextCursor?.token ?? new Uint8Array(0);
    expect(token).not.toHaveLength(0);
    const names = await series.listStreams({ limit: 1 });
    const wrong: Query[] = [
      { ...request, namespace: "other" },
      { ...request, stream: other },
      { ...request, startTimeMillis: 0n },
      { ...request, endTimeMillis: 9n },
      { ...request, filterTags: { k: "" } },
    ];
    for (const each of wrong) {
      expect(await refusal(query({ ...each, cursor: { token } }))).toBe(invalid("cursor"));
    }
    const forged = [
      token.map((byte, i) => (i === token.length - 1 ? byte ^ 1 : byte)),
      token.subarray(1),
      token.subarray(0, -1),
      payload("forged"),
      names.nextPageToken,
    ];
    for (const each of forged) {
      expect(await refusal(query({ ...request, cursor: { token: each } }))).toBe(invalid("cursor"));
    }
    const page2 = await query({ ...request, namespace: "default", limit: 1, cursor: { token } });
    expect(textsOf(eventsOf(page2))).toEqual(["1"]);
    // The token of a query is none of another call.
    expect(await refusal(series.listStreams({ pageToken: token }))).toBe(invalid("page_token"));
  });

  test("streams are made, told of, named and deleted", async () => {
    const stream = fresh();
    expect(await refusal(series.describeStream({ stream }))).toBe("NotFound STREAM_NOT_FOUND stream");
    const config = { retentionDays: 36_500 };
    expect(await series.createStream({ stream, config })).toMatchObject({ success: true });
    expect(await series.createStream({ stream, config })).toMatchObject({ success: true });
    const empty = await series.describeStream({ stream });
    expect(empty).toMatchObject({
      config: { ...config, partitions: 1, replicationFactor: 1 },
      firstOffset: 0n,
      nextOffset: 0n,
    });
    expect(empty.firstTimestampMillis).toBeUndefined();
    const now = Date.now();
    await series.appendBatch({ stream, events: [at(now), at(now - 10)] });
    expect(await series.describeStream({ stream })).toMatchObject({
      nextOffset: 2n,
      firstTimestampMillis: BigInt(now - 10),
      lastTimestampMillis: BigInt(now),
    });
    expect(await refusal(series.createStream({ stream, config: { partitions: 2 } }))).toBe(
      "FailedPrecondition STREAM_DIFFERS config.partitions",
    );
    expect(await series.createStream({ stream, config: { partitions: 1 } })).toMatchObject({ success: true });
    expect((await series.describeStream({ stream })).config?.retentionDays).toBe(0);
    expect((await series.listStreams({ prefix: stream })).streams).toEqual([stream]);
    expect(await series.deleteStream({ stream })).toMatchObject({ found: true });
    expect(await series.deleteStream({ stream })).toMatchObject({ found: false });
    expect((await series.listStreams({ prefix: stream })).streams).toEqual([]);
    expect(await series.append({ stream, event: at(1) })).toMatchObject({ offset: 0n });
  });

  test("a stream that is not there is NOT_FOUND, with a reason of its own", async () => {
    const stream = fresh();
    const missing = "NotFound STREAM_NOT_FOUND stream";
    expect(await refusal(query({ stream }))).toBe(missing);
    expect(await refusal(tail(stream))).toBe(missing);
    expect(await refusal(series.describeStream({ stream }))).toBe(missing);
    expect(await refusal(query({ stream, namespace: "none" }))).toBe("NotFound NAMESPACE_NOT_FOUND");
  });

  test("bad input is refused with its field, and nothing is written", async () => {
    const stream = fresh();
    const append = (event: EventInit | undefined, name = stream) =>
      refusal(series.append({ stream: name, ...(event && { event }) }));
    const batch = (events: readonly EventInit[], name = stream) =>
      refusal(series.appendBatch({ stream: name, events: [...events] }));
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (__, i) => [`t${i}`, ""]));
    const bad: readonly (readonly [EventInit, string])[] = [
      [at(-1), "timestamp_millis"],
      [at(253_402_300_800_000n), "timestamp_millis"],
      [{ ...at(1), offset: 1n }, "offset"],
      [at(1, "", { "": "v" }), "tags"],
      [at(1, "", many(65)), "tags"],
      [at(1, "", { k: "v".repeat(4096) }), "tags"],
      [at(1, "", { k: "ü".repeat(2048) }), "tags"],
    ];
    for (const [event, field] of bad) {
      expect(await append(event)).toBe(invalid(`event.${field}`));
      expect(await batch([at(1), at(2), event])).toBe(invalid(`events[2].${field}`));
    }
    expect(await append(undefined)).toBe(invalid("event"));
    expect(await batch([])).toBe(invalid("events"));
    expect(await batch(Array.from({ length: 1001 }, () => at(1)))).toBe(invalid("events"));
    const large = { payload: new Uint8Array(MAX_VALUE_BYTES + 1) };
    expect(await append(large)).toBe("ResourceExhausted VALUE_TOO_LARGE event.payload");
    expect(await batch([at(1), large])).toBe("ResourceExhausted VALUE_TOO_LARGE events[1].payload");
    for (const name of ["", "n".repeat(1025), "ü".repeat(513)]) {
      expect(await append(at(1), name)).toBe(invalid("stream"));
      expect(await batch([at(1)], name)).toBe(invalid("stream"));
      expect(await refusal(query({ stream: name }))).toBe(invalid("stream"));
      expect(await refusal(tail(name))).toBe(invalid("stream"));
      for (const call of [series.createStream, series.deleteStream, series.describeStream]) {
        expect(await refusal(call({ stream: name }))).toBe(invalid("stream"));
      }
    }
    expect((await series.listStreams({ prefix: stream })).streams).toEqual([]);
    // What is at the bounds is taken.
    expect(await append(at(253_402_300_799_999n, "", many(64)))).toBe("not refused");
    expect(await append(at(1, "", { k: "v".repeat(4095) }))).toBe("not refused");
    expect(
      await batch(
        Array.from({ length: 1000 }, () => at(1)),
        "n".repeat(1024),
      ),
    ).toBe("not refused");
    expect(await append({ payload: new Uint8Array(MAX_VALUE_BYTES) })).toBe("not refused");

    const queries: readonly (readonly [Query, string])[] = [
      [{ startTimeMillis: -1n }, "start_time_millis"],
      [{ endTimeMillis: -1n }, "end_time_millis"],
      [{ startTimeMillis: 2n, endTimeMillis: 1n }, "end_time_millis"],
      [{ filterTags: { "": "v" } }, "filter_tags"],
      [{ filterTags: many(65) }, "filter_tags"],
      [{ filterTags: { k: "v".repeat(4096) } }, "filter_tags"],
      [{ limit: -1 }, "limit"],
    ];
    for (const [request, field] of queries) {
      expect(await refusal(query({ stream, ...request }))).toBe(invalid(field));
    }
    const configs = [
      ["retention_days", { retentionDays: -1 }],
      ["retention_days", { retentionDays: 36_501 }],
      ["partitions", { partitions: -1 }],
      ["partitions", { partitions: 1001 }],
      ["replication_factor", { replicationFactor: -1 }],
      ["replication_factor", { replicationFactor: 101 }],
    ] as const;
    for (const [field, config] of configs) {
      expect(await refusal(series.createStream({ stream, config }))).toBe(invalid(`config.${field}`));
    }
    expect(await refusal(series.listStreams({ start: "b", end: "a" }))).toBe(invalid("start"));
    expect(await refusal(series.listStreams({ limit: -1 }))).toBe(invalid("limit"));
  });
});

describe("retention and late events of a namespace", () => {
  async function rule(timeseries: TimeseriesRules) {
    const clock = createManualClock();
    const server = await start(timeseries, clock);
    onTestFinished(server.stop);
    const series = createClient(TimeSeriesService, createGrpcTransport({ baseUrl: server.baseUrl }));
    const stream = { namespace: "ruled", stream: "s" };
    const { timestampMillis } = await series.append({
      ...stream,
      stream: "clock",
      event: { payload: payload("") },
    });
    const found = async () => textsOf(eventsOf(await Array.fromAsync(series.query(stream))));
    return { clock, series, stream, nowMs: Number(timestampMillis), found };
  }

  test("streams that state no retention have that of the namespace", async () => {
    const { clock, series, stream, nowMs, found } = await rule({ retentionDays: 2, lateEvents: "accept" });
    await series.append({ ...stream, event: at(nowMs, "made by an append") });
    const daysOf = async (name: string) =>
      (await series.describeStream({ ...stream, stream: name })).config?.retentionDays;
    expect(await daysOf("s")).toBe(2);
    await series.createStream({ ...stream, stream: "default" });
    await series.createStream({ ...stream, stream: "own", config: { retentionDays: 5 } });
    expect([await daysOf("default"), await daysOf("own")]).toEqual([2, 5]);
    clock.advance(2 * DAY_MS - 1);
    expect(await found()).toEqual(["made by an append"]);
    clock.advance(1);
    expect(await found()).toEqual([]);
  });

  test("an event that is too old gets an offset and is seen by nobody, where it is accepted", async () => {
    const { series, stream, nowMs, found } = await rule({ retentionDays: 1, lateEvents: "accept" });
    await series.append({ ...stream, event: at(nowMs, "first") });
    expect(await series.append({ ...stream, event: at(nowMs - DAY_MS, "late") })).toMatchObject({
      offset: 1n,
    });
    expect(await series.append({ ...stream, event: at(nowMs - DAY_MS + 1, "last") })).toMatchObject({
      offset: 2n,
    });
    expect(await found()).toEqual(["last", "first"]);
  });

  test("and it is refused with its field, where it is refused", async () => {
    const { series, stream, nowMs, found } = await rule({ retentionDays: 1, lateEvents: "refuse" });
    await series.append({ ...stream, event: at(nowMs, "first") });
    const late = at(nowMs - DAY_MS, "late");
    expect(await refusal(series.append({ ...stream, event: late }))).toBe(invalid("event.timestamp_millis"));
    expect(await refusal(series.appendBatch({ ...stream, events: [at(nowMs, "with it"), late] }))).toBe(
      invalid("events[1].timestamp_millis"),
    );
    expect(await found()).toEqual(["first"]);
  });
});
