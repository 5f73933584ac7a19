/**
 * How many events a second are appended and streamed over gRPC? And how long do a query of 1,000
 * events out of the middle of 10,000,000 and an aggregate take? Payloads of 100 bytes.
 */
import { join } from "node:path";
import { create, type DescMethod, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { ConnectionPool, fetchV13, metadataV12 } from "@platformatic/kafka";
import { createGrpcTransport } from "../client/transport/transport.ts";
import { type QueryRequestSchema, TimeSeriesService } from "../gen/prism/timeseries/v1/timeseries_pb.ts";
import { type BackendConfig, backendSchema } from "../server/backend/rooms.ts";
import { canStartKafka, startKafka } from "../tests/helpers/kafka.ts";
import { canStartPostgres, startPostgres } from "../tests/helpers/postgres.ts";
import { temporaryFolder } from "../tests/helpers/process.ts";
import { envelope, GRPC, pathOf, VALUE_BYTES } from "./harness/calls.ts";
import { h2load, hasH2load } from "./harness/h2load.ts";
import { quantile } from "./harness/open-loop.ts";
import { startPrism } from "./harness/peers.ts";
import { type Peer, pinThisProcess } from "./harness/process.ts";
import { interleaved, median, type Runs, report, rounded, spread, writeReport } from "./harness/report.ts";

const { append, appendBatch, query } = TimeSeriesService.method;

const ROUNDS = 5;
const BATCH_EVENTS = 100;
const HELD_EVENTS = 10_000_000;
/** The most events of one call. */
const FILL_EVENTS = 1_000;
const FILL_IN_FLIGHT = 8;
const STREAMED_EVENTS = 1_000_000;
const QUERIES = 200;
const QUERY_EVENTS = 1_000;
const START_MS = Date.parse("2026-01-01T00:00:00Z");
const PAYLOAD = Buffer.alloc(VALUE_BYTES.small, "v");
/** The streams that Aggregate sums up: the name, and the number in the payload of event `i`. */
const NUMBERS = {
  "1,000 different numbers": (i: number) => (i * 7_919) % 1_000,
  "1,000,000 different numbers": (i: number) => ((i * 7_919) % 1_000_003) / 8,
};
/** The shape of the load and about how many events a run appends, which is about a second's. */
const APPENDS = {
  batches: {
    connections: 4,
    streams: 4,
    events: { memory: 1_000_000, SQLite: 200_000, PostgreSQL: 100_000, Kafka: 200_000 },
  },
  single: {
    connections: 4,
    streams: 16,
    events: { memory: 50_000, SQLite: 20_000, PostgreSQL: 20_000, Kafka: 30_000 },
  },
} as const;
type StoreName = keyof (typeof APPENDS)["single"]["events"];

/** Runs beside Prism: events a second of a store's own client. */
type Alone = Readonly<Record<string, () => Promise<number>>>;

function clientOf({ port }: Peer) {
  const transport = createGrpcTransport({ baseUrl: `http://127.0.0.1:${port}` });
  return { client: createClient(TimeSeriesService, transport), [Symbol.dispose]: () => transport.close() };
}

function bodyOf<M extends DescMethod>(method: M, request: MessageInitShape<M["input"]>): Buffer {
  return envelope(toBinary(method.input, create(method.input, request)));
}

/** Calls of a method a second, each with the same body: a log takes the same event again. */
async function load(
  peer: Peer,
  method: DescMethod,
  body: Buffer,
  shape: { connections: number; streams: number },
  calls: number,
) {
  return await h2load({ ...shape, calls, body, port: peer.port, path: pathOf(method), contentType: GRPC });
}

/** Events a second, appended in batches and one by one. Each run begins with an empty stream. */
async function appendRates(name: StoreName, peer: Peer): Promise<Record<string, () => Promise<number>>> {
  const event = { payload: PAYLOAD };
  const batch = bodyOf(appendBatch, { stream: "load", events: Array(BATCH_EVENTS).fill(event) });
  const single = bodyOf(append, { stream: "load", event });
  const onNewStream = (run: () => Promise<number>) => async () => {
    using connected = clientOf(peer);
    await connected.client.deleteStream({ stream: "load" });
    await connected.client.createStream({ stream: "load" });
    return await run();
  };
  return {
    [`${name}, batches of ${BATCH_EVENTS}`]: onNewStream(async () => {
      const { events, ...shape } = APPENDS.batches;
      return (await load(peer, appendBatch, batch, shape, events[name] / BATCH_EVENTS)) * BATCH_EVENTS;
    }),
    [`${name}, single, 64 in flight`]: onNewStream(async () => {
      const { events, ...shape } = APPENDS.single;
      return await load(peer, append, single, shape, events[name]);
    }),
  };
}

async function askAppends(name: StoreName, peer: Peer): Promise<void> {
  const rates = await appendRates(name, peer);
  // Once to warm up.
  await interleaved(rates, 1);
  const runs = await interleaved(rates, ROUNDS);
  report(`Appends of ${PAYLOAD.length} bytes over gRPC: ${name}`, mediansOf(runs, "events/s"), runs);
}

/** Appends an event for each millisecond from {@link START_MS} on. */
async function fill(
  peer: Peer,
  stream: string,
  count: number,
  payloadOf: (i: number) => Uint8Array,
): Promise<void> {
  using connected = clientOf(peer);
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const from = next;
      next += FILL_EVENTS;
      const events = Array.from({ length: FILL_EVENTS }, (_, i) => ({
        timestampMillis: BigInt(START_MS + from + i),
        payload: payloadOf(from + i),
      }));
      await connected.client.appendBatch({ stream, events });
    }
  };
  await Promise.all(Array.from({ length: FILL_IN_FLIGHT }, lane));
}

/** Makes a query. Throws if it answers another number of events, for example after a timeout. */
async function expectEvents(
  { client }: ReturnType<typeof clientOf>,
  query: MessageInitShape<typeof QueryRequestSchema>,
  expected: number,
): Promise<void> {
  let events = 0;
  for await (const page of client.query({ stream: "held", ...query })) {
    events += page.events.length;
  }
  if (events !== expected) {
    throw new Error(`${events} events instead of ${expected}`);
  }
}

/** How long each query of some events somewhere in the middle takes, one after another. */
async function queriesMs(peer: Peer): Promise<Float64Array> {
  using connected = clientOf(peer);
  const times: number[] = [];
  for (let i = 0; i < QUERIES; i++) {
    const startMs = START_MS + HELD_EVENTS / 4 + Math.floor((Math.random() * HELD_EVENTS) / 2);
    const fromMs = performance.now();
    const span = { startTimeMillis: BigInt(startMs), endTimeMillis: BigInt(startMs + QUERY_EVENTS) };
    await expectEvents(connected, span, QUERY_EVENTS);
    times.push(performance.now() - fromMs);
  }
  return Float64Array.from(times).sort();
}

async function askReads(name: StoreName, peer: Peer, alone: Alone = {}): Promise<void> {
  await fill(peer, "held", HELD_EVENTS, () => PAYLOAD);
  await queriesMs(peer);
  const p50s: number[] = [];
  const p99s: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const times = await queriesMs(peer);
    p50s.push(quantile(times, 0.5));
    p99s.push(quantile(times, 0.99));
  }
  report(
    `A query of ${QUERY_EVENTS} events out of the middle of ${HELD_EVENTS}, one at a time`,
    { [name]: { "p50 ms": rounded(median(p50s)), "p99 ms": rounded(median(p99s)), spread: spread(p50s) } },
    { p50s, p99s },
  );
  {
    using connected = clientOf(peer);
    await expectEvents(connected, { limit: STREAMED_EVENTS }, STREAMED_EVENTS);
  }
  const body = bodyOf(query, { stream: "held", limit: STREAMED_EVENTS });
  const one = { connections: 1, streams: 1 };
  const runs = await interleaved(
    { [name]: async () => (await load(peer, query, body, one, 1)) * STREAMED_EVENTS, ...alone },
    ROUNDS,
  );
  report(`Events streamed by a Query of ${STREAMED_EVENTS}`, mediansOf(runs, "events/s"), runs);
  const aggregates: Record<string, () => Promise<number>> = {};
  for (const [stream, numberOf] of Object.entries(NUMBERS)) {
    await fill(peer, stream, STREAMED_EVENTS, (i) => Buffer.from(String(numberOf(i))));
    aggregates[`${name}, ${stream}`] = () => aggregateSeconds(peer, stream);
  }
  const seconds = await interleaved(aggregates, ROUNDS);
  report(`Aggregate of ${STREAMED_EVENTS} events by the minute`, mediansOf(seconds, "s"), seconds);
}

async function aggregateSeconds(peer: Peer, stream: string): Promise<number> {
  using connected = clientOf(peer);
  const fromMs = performance.now();
  await connected.client.aggregate({ stream, bucketMillis: 60_000n });
  return rounded((performance.now() - fromMs) / 1000);
}

function mediansOf(runs: Runs, unit: string): Record<string, object> {
  return Object.fromEntries(
    Object.entries(runs).map(([name, rates]) => [
      name,
      { [unit]: rounded(median(rates)), spread: spread(rates) },
    ]),
  );
}

async function ask(name: StoreName, database: BackendConfig, alone?: Alone): Promise<void> {
  const namespaces = [{ name: "default", pattern: "timeseries" }];
  await using prism = await startPrism({ database, namespaces });
  await askAppends(name, prism);
  // In memory they would take gigabytes.
  if (name !== "memory") {
    await askReads(name, prism, alone);
  }
}

/** Events a second that Kafka's client alone reads from the start of the stream that is held. */
async function fetchAlone(address: string): Promise<number> {
  const [host = "", port] = address.split(":");
  const pool = new ConnectionPool("bench");
  const connection = await pool.get({ host, port: Number(port) });
  const [topic] = (await metadataV12.api.async(connection, ["prism.default__held"], false, false)).topics;
  const startMs = performance.now();
  let next = 0n;
  while (next < STREAMED_EVENTS) {
    const partition = { partition: 0, currentLeaderEpoch: -1, lastFetchedEpoch: -1 };
    const partitions = [{ ...partition, fetchOffset: next, partitionMaxBytes: 1 << 20 }];
    const wanted = [{ topicId: topic?.topicId ?? "", partitions }];
    const { responses } = await fetchV13.api.async(connection, 0, 1, 1 << 20, 0, 0, -1, wanted, [], "");
    const batch = responses[0]?.partitions[0]?.records?.at(-1);
    if (batch === undefined) {
      throw new Error("Kafka has fewer events");
    }
    next = batch.firstOffset + BigInt(batch.lastOffsetDelta) + 1n;
  }
  const seconds = (performance.now() - startMs) / 1000;
  await pool.close();
  return Number(next) / seconds;
}

if (!hasH2load()) {
  process.exit(1);
}
pinThisProcess();
await ask("memory", { type: "memory" });
{
  await using folder = await temporaryFolder();
  await ask("SQLite", { type: "sqlite", path: join(folder.path, "prism.db") });
}
if (canStartPostgres()) {
  await using server = await startPostgres({ durable: true });
  await ask("PostgreSQL", backendSchema.parse({ type: "postgres", url: server.url }));
}
if (canStartKafka()) {
  await using kafka = await startKafka();
  const { addresses } = kafka;
  await ask("Kafka", backendSchema.parse({ type: "kafka", brokers: addresses }), {
    "Kafka's client alone": () => fetchAlone(addresses[0] ?? ""),
  });
}
writeReport("timeseries");
