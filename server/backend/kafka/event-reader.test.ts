/** Events of a real Kafka's logs, read by time and by offset. */
import { type Connection, createAPI, deleteRecordsV2, Producer, Writer } from "@platformatic/kafka";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hasSharedKafka, sharedKafka } from "../../../tests/helpers/kafka.ts";
import { seeded } from "../conformance/seeded.ts";
import { comparable, event, inOrderOfTime, offsetsOf, withOffsets } from "../conformance/stream-values.ts";
import { createCall, SILENT, type StoreLog } from "../contract.ts";
import {
  type EventQuery,
  type EventRead,
  type HeldEvent,
  hasTags,
  type NewEvent,
  type OffsetPage,
} from "../streams.ts";
import { encodeBatch, sealBatch } from "./batch-writer.ts";
import { Cluster } from "./cluster.ts";
import { kafkaSchema } from "./config.ts";
import { EventReader, type StreamBounds } from "./event-reader.ts";
import { Fetcher, StaleTopicError } from "./fetcher.ts";
import { IndexKeeper } from "./index-keeper.ts";
import { IndexStore } from "./index-store.ts";
import { LogCache } from "./log-cache.ts";
import { topicOf } from "./names.ts";
import type { StreamTopic } from "./topic-lookup.ts";
import { StreamTopics } from "./topics.ts";

const CALL = createCall();
const START_MS = 1_900_000_000_000;
const LONG_AGO_MS = 1;
const MAX_BYTES = 1024 * 1024;

/** Counts what it asks Kafka for. */
class CountingFetcher extends Fetcher {
  fetches = 0;
  /** Those for an index. */
  indexing = 0;

  override fetch(...args: Parameters<Fetcher["fetch"]>) {
    this.fetches++;
    this.indexing += args[3] === undefined ? 0 : 1;
    return super.fetch(...args);
  }
}

async function close({ cluster, indexes }: Gateway): Promise<void> {
  await indexes.close();
  await cluster.close();
}

/** What a gateway reads with. */
interface Gateway {
  readonly cluster: Cluster;
  readonly topics: StreamTopics;
  readonly fetcher: CountingFetcher;
  readonly indexes: IndexKeeper;
  readonly reader: EventReader;
}

describe.runIf(hasSharedKafka())("events of a log", () => {
  const opened: Gateway[] = [];
  let prefix = "";
  let prefixes = 0;
  let gateway: Gateway;
  let topic: StreamTopic;

  async function open(log: StoreLog = SILENT): Promise<Gateway> {
    const { addresses } = await sharedKafka();
    const config = kafkaSchema.parse({ type: "kafka", brokers: addresses, topic_prefix: prefix });
    const cluster = new Cluster(config);
    await cluster.open();
    const fetcher = new CountingFetcher(cluster);
    const indexes = new IndexKeeper(fetcher, new IndexStore(cluster, `${prefix}index`), log);
    const reader = new EventReader(fetcher, new LogCache(fetcher), indexes);
    const made = { cluster, topics: new StreamTopics(cluster, config), fetcher, indexes, reader };
    opened.push(made);
    return made;
  }

  async function create(stream: string): Promise<StreamTopic> {
    const name = topicOf(prefix, "n", stream) ?? "";
    const [made] = await gateway.topics.create([{ name, retentionMs: 0, replicas: 1 }], CALL);
    expect(made).toHaveProperty("id");
    return made as StreamTopic;
  }

  beforeEach(async () => {
    prefix = `reader-${process.pid}-${++prefixes}.`;
    gateway = await open();
    topic = await create("s");
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map(close));
  });

  async function append(events: readonly NewEvent[], batchEvents = 1000): Promise<void> {
    const connection = await gateway.cluster.connection("append", topic.leader);
    for (let from = 0; from < events.length; from += batchEvents) {
      await produce(connection, topic.name, events.slice(from, from + batchEvents));
    }
  }

  async function query(
    wanted: Partial<EventQuery> = {},
    { retentionMs = 0, nowMs = START_MS, reader = gateway.reader } = {},
  ): Promise<HeldEvent[]> {
    const found: HeldEvent[] = [];
    let after = wanted.after;
    do {
      const all = {
        stream: "s",
        tags: {},
        startMs: 0,
        endMs: Infinity,
        maxEvents: 1000,
        maxBytes: MAX_BYTES,
      };
      const page = await reader.query(topic, retentionMs, { ...all, ...wanted, after }, nowMs, CALL);
      found.push(...page.events);
      if (page.next !== undefined && after !== undefined) {
        const { timestampMs, offset } = page.next;
        expect(timestampMs - after.timestampMs || offset - after.offset).toBeGreaterThan(0);
      }
      after = page.next;
    } while (after !== undefined);
    return found;
  }

  function readPage(wanted: Partial<EventRead> = {}, retentionMs = 0, nowMs = START_MS): Promise<OffsetPage> {
    const all = { stream: "s", tags: {}, offset: 0, minTimestampMs: 0, maxEvents: 1000, maxBytes: MAX_BYTES };
    return gateway.reader.read(topic, retentionMs, { ...all, ...wanted }, nowMs, CALL);
  }

  async function read(wanted: Partial<EventRead> = {}): Promise<HeldEvent[]> {
    const found: HeldEvent[] = [];
    for (let offset = wanted.offset ?? 0; ; ) {
      const page = await readPage({ ...wanted, offset });
      found.push(...page.events);
      if (page.ended) {
        return found;
      }
      expect(page.next).toBeGreaterThan(offset);
      offset = page.next;
    }
  }

  const bounds = (retentionMs = 0, nowMs = START_MS): Promise<StreamBounds> =>
    gateway.reader.bounds(topic, retentionMs, nowMs, CALL);

  /** Expects that all queries of some spans find what they should. */
  async function expectQueries(events: readonly NewEvent[], random: () => number): Promise<void> {
    const held = inOrderOfTime(withOffsets(events));
    const leastMs = held[0]?.timestampMs ?? 0;
    const spanMs = (held.at(-1)?.timestampMs ?? 0) - leastMs;
    for (let round = 0; round < 8; round++) {
      const startMs = round === 0 ? 0 : leastMs + Math.floor(random() * spanMs);
      const endMs = round === 0 ? Infinity : startMs + Math.floor((random() * spanMs) / 3);
      const maxEvents = [1000, 333, 1024, 50][round % 4] ?? 1;
      const tags = round % 3 === 1 ? { few: "yes" } : {};
      const wanted = held.filter(
        (each) => each.timestampMs >= startMs && each.timestampMs < endMs && hasTags(each, tags),
      );
      const found = await query({ startMs, endMs, maxEvents, tags });
      expect(comparable(found)).toEqual(comparable(wanted));
    }
  }

  test.each([
    ["in order", () => 0],
    ["some late", (random: () => number) => (random() < 0.02 ? Math.floor(random() * 5000) : 0)],
    ["some very late", (random: () => number) => (random() < 0.001 ? START_MS - 5 : 0)],
    ["most a little late", (random: () => number) => Math.floor(random() * 20)],
    ["many at one time", (_: () => number, i: number) => i % 3000],
    ["all at one time", (_: () => number, i: number) => i],
    ["in no order", (random: () => number) => Math.floor(random() * 1_000_000_000)],
  ])("queries find all events of a span: %s", async (_, latenessOf) => {
    const { random, seed } = seeded();
    console.log(`PRISM_TEST_SEED=${seed}`);
    const events = Array.from({ length: 8000 }, (_, i) =>
      event(
        START_MS + i - latenessOf(random, i),
        String(i),
        random() < 0.01 ? { few: "yes" } : { few: "no" },
      ),
    );
    await append(events, 700);
    await expectQueries(events, random);
    expect(offsetsOf(await read())).toEqual(events.map((_, i) => i));
  });

  test("a page that looks at too many events goes on where it is sure", async () => {
    const events = Array.from({ length: 150_000 }, (_, i) =>
      event(START_MS + Math.floor(i / 70_000), "", i % 70_000 === 69_999 ? { few: "yes" } : {}),
    );
    await append(events, 10_000);
    const found = await query({ tags: { few: "yes" }, maxEvents: 10 });
    expect(offsetsOf(found)).toEqual([69_999, 139_999]);
    const pages: number[] = [];
    for (let after: EventQuery["after"]; pages.length === 0 || after !== undefined; ) {
      const wanted = { stream: "s", tags: { few: "yes" }, startMs: 0, endMs: Infinity, after };
      const page = await gateway.reader.query(
        topic,
        0,
        { ...wanted, maxEvents: 10, maxBytes: MAX_BYTES },
        START_MS,
        CALL,
      );
      pages.push(page.events.length);
      after = page.next;
    }
    expect(pages.length).toBeGreaterThan(2);
    expect(pages.length).toBeLessThan(6);
  });

  test("a page that ends early leaves out no late event that it has not seen", async () => {
    // The index has blocks of 512 events. The last one of each second block is late.
    const isLate = (i: number) => i % 1024 === 511 && i > 511;
    const events = Array.from({ length: 300_000 }, (_, i) =>
      isLate(i) ? event(START_MS + i - 400, "", { late: "yes" }) : event(START_MS + i),
    );
    // A page that begins at 201 has seen enough at the end of the first batch, amid a block.
    await append(events, 65_750);
    const late = events.flatMap((_, i) => (isLate(i) ? [i] : []));
    const after = { timestampMs: START_MS + 200, offset: 200 };
    const found = await query({ tags: { late: "yes" }, startMs: START_MS + 200, after });
    expect(offsetsOf(found)).toEqual(late);
  });

  test("what other gateways append is found at once", async () => {
    const other = await open();
    await append([event(START_MS, "1")]);
    expect(await query()).toHaveLength(1);
    expect(await query({}, { reader: other.reader })).toHaveLength(1);
    await append([event(START_MS - 1, "2")]);
    for (const { reader } of [gateway, other]) {
      expect(offsetsOf(await query({}, { reader }))).toEqual([1, 0]);
      expect(offsetsOf(await query({ startMs: START_MS }, { reader }))).toEqual([0]);
    }
    expect(offsetsOf(await read())).toEqual([0, 1]);
  });

  test("events that this gateway appended need no reading for the index", async () => {
    const events = Array.from({ length: 5000 }, (_, i) => event(START_MS + i));
    await append(events);
    gateway.indexes.appended(topic, 0, events, START_MS);
    await query({ startMs: START_MS + 4990 });
    expect(gateway.fetcher.fetches).toBe(1);
    // What does not follow on the index tells nothing.
    gateway.indexes.appended(topic, 6000, events, START_MS);
    await append(events);
    expect(await query({ startMs: START_MS + 4990 })).toHaveLength(20);
  });

  test("a span in the middle is read without what is around it", async () => {
    const events = Array.from({ length: 100_000 }, (_, i) => event(START_MS + i, new Uint8Array(200)));
    await append(events);
    await query({ maxEvents: 1, endMs: START_MS + 1 });
    const before = gateway.fetcher.fetches;
    const found = await query({ startMs: START_MS + 50_000, endMs: START_MS + 51_000 });
    expect(offsetsOf(found)).toEqual(Array.from({ length: 1000 }, (_, i) => 50_000 + i));
    expect(gateway.fetcher.fetches - before).toBe(1);
  });

  test("reads by offset: from the start, behind the end, at the end, from a time", async () => {
    const events = Array.from({ length: 30_000 }, (_, i) =>
      event(i < 29_000 ? LONG_AGO_MS : START_MS + (i % 7), String(i), { odd: String(i % 2 === 1) }),
    );
    expect(await readPage()).toEqual({ events: [], next: 0, ended: true });
    await append(events);
    for (const offset of [30_000, 30_001, 1_000_000, Infinity]) {
      expect(await readPage({ offset })).toEqual({ events: [], next: 30_000, ended: true });
    }
    expect(await readPage({ offset: 12_345, maxEvents: 3 })).toMatchObject({
      events: [{ offset: 12_345 }, { offset: 12_346 }, { offset: 12_347 }],
      next: 12_348,
      ended: false,
    });
    const late = offsetsOf(await read({ minTimestampMs: START_MS + 3, tags: { odd: "true" } }));
    expect(late).toEqual(
      Array.from({ length: 30_000 }, (_, i) => i).filter((i) => i >= 29_000 && i % 7 >= 3 && i % 2 === 1),
    );
    expect(await readPage({ minTimestampMs: START_MS + 1000 })).toEqual({
      events: [],
      next: 30_000,
      ended: true,
    });
    expect((await readPage({ maxBytes: 1 })).events).toHaveLength(1);
  });

  test("expired events are left out, in the millisecond in which they expire", async () => {
    await append([30, 10, 20].map((after) => event(START_MS + after, String(after))));
    const seen = async (nowMs: number) => [
      offsetsOf(await query({}, { retentionMs: 100, nowMs })),
      offsetsOf((await readPage({}, 100, nowMs)).events),
    ];
    expect(await seen(START_MS + 109)).toEqual([
      [1, 2, 0],
      [0, 1, 2],
    ]);
    expect(await seen(START_MS + 110)).toEqual([
      [2, 0],
      [0, 2],
    ]);
    expect(await seen(START_MS + 130)).toEqual([[], []]);
    expect(await bounds(100, START_MS + 110)).toEqual({
      firstOffset: 0,
      nextOffset: 3,
      firstTimestampMs: START_MS + 20,
      lastTimestampMs: START_MS + 30,
    });
    expect(await bounds(100, START_MS + 130)).toEqual({
      firstOffset: 3,
      nextOffset: 3,
      firstTimestampMs: undefined,
      lastTimestampMs: undefined,
    });
  });

  test("where a stream begins and ends, also when Kafka has removed events", async () => {
    expect(await bounds()).toEqual({
      firstOffset: 0,
      nextOffset: 0,
      firstTimestampMs: undefined,
      lastTimestampMs: undefined,
    });
    await append([9, 1, 5, 4, 7].map((ms) => event(START_MS + ms)));
    const times = (first: number, last: number) => ({
      firstTimestampMs: START_MS + first,
      lastTimestampMs: START_MS + last,
    });
    expect(await bounds()).toEqual({ firstOffset: 0, nextOffset: 5, ...times(1, 9) });
    const connection = await gateway.cluster.connection("admin", topic.leader);
    const removed = { name: topic.name, partitions: [{ partitionIndex: 0, offset: 2n }] };
    await deleteRecordsV2.api.async(connection, [removed], 5000);
    expect(await bounds()).toEqual({ firstOffset: 2, nextOffset: 5, ...times(4, 7) });
    expect(await bounds()).toMatchObject(times(4, 7));
    // What was read a moment ago may still be there.
    const reader = (await open()).reader;
    expect(offsetsOf(await query({}, { reader }))).toEqual([3, 2, 4]);
    gateway = opened.at(-1) ?? gateway;
    expect(offsetsOf(await read())).toEqual([2, 3, 4]);
    expect(offsetsOf(await read({ offset: 1 }))).toEqual([2, 3, 4]);
    expect(await bounds()).toEqual({ firstOffset: 2, nextOffset: 5, ...times(4, 7) });
  });

  test("offsets that have no event stop nobody", async () => {
    const { addresses } = await sharedKafka();
    const producer = new Producer({
      clientId: "test",
      bootstrapBrokers: [...addresses],
      idempotent: true,
      transactionalId: `${prefix}t`,
      retryDelay: 20,
      retries: 50,
    });
    try {
      for (let i = 0; i < 3; i++) {
        const transaction = await producer.beginTransaction();
        const value = Buffer.from(String(i));
        const message = { topic: topic.name, partition: 0, value, timestamp: BigInt(START_MS - i) };
        await transaction.send({ messages: [message] });
        await transaction.commit();
      }
    } finally {
      await producer.close();
    }
    // Each transaction ends with a record that is no event.
    expect(offsetsOf(await read())).toEqual([0, 2, 4]);
    expect(await readPage()).toMatchObject({ next: 6, ended: true });
    expect(offsetsOf(await query())).toEqual([4, 2, 0]);
    expect(offsetsOf(await query({ maxEvents: 1 }))).toEqual([4, 2, 0]);
    expect(await bounds()).toMatchObject({ firstOffset: 0, nextOffset: 6 });
    await append([event(START_MS)]);
    expect(offsetsOf(await query())).toEqual([4, 2, 0, 6]);
  });

  test("after a restart the index is there, and only what came since is read", async () => {
    const events = Array.from({ length: 50_000 }, (_, i) =>
      event(
        START_MS + i - (i % 1000 === 0 ? 5000 : 0),
        new Uint8Array(300),
        i % 5000 === 0 ? { few: "yes" } : {},
      ),
    );
    await append(events);
    const late = { startMs: START_MS, endMs: START_MS + 2000 };
    const wanted = offsetsOf(await query(late));
    expect(gateway.fetcher.indexing).toBeGreaterThan(3);
    await close(gateway);
    gateway = await open();
    expect(offsetsOf(await query(late))).toEqual(wanted);
    expect(gateway.fetcher.indexing).toBe(0);
    await append([event(START_MS + 1)]);
    expect(await query({ startMs: START_MS + 1, endMs: START_MS + 2 })).toHaveLength(2);
    expect(gateway.fetcher.indexing).toBe(1);
    await close(gateway);
    gateway = await open();
    expect(await query({ startMs: START_MS + 1, endMs: START_MS + 2 })).toHaveLength(2);
    expect(gateway.fetcher.indexing).toBe(0);
    // That of a topic that is made again begins anew.
    await gateway.topics.delete([topic.name], CALL);
    topic = await create("s");
    await append(events.slice(0, 2000));
    expect(await query(late)).toHaveLength(1998);
  });

  test("where nothing can be stored, the operator hears it once, and all is read again", async () => {
    const warnings: string[] = [];
    const log = { ...SILENT, warn: (_: object, message: string) => warnings.push(message) };
    const { cluster } = gateway;
    const refused = new IndexStore(
      {
        anyConnection: (lane) => cluster.anyConnection(lane),
        connection: () => Promise.reject(new Error("no")),
      },
      "refused",
    );
    const indexes = new IndexKeeper(gateway.fetcher, refused, log);
    const reader = new EventReader(gateway.fetcher, new LogCache(gateway.fetcher), indexes);
    await append(Array.from({ length: 2000 }, (_, i) => event(START_MS + i)));
    expect(await query({}, { reader })).toHaveLength(2000);
    await indexes.close();
    expect(warnings).toHaveLength(1);
  });

  test("a topic that was made again is not the one that was read", async () => {
    await append([event(START_MS, "old"), event(START_MS, "old")]);
    expect(await query()).toHaveLength(2);
    await gateway.topics.delete([topic.name], CALL);
    const old = topic;
    topic = await create("s");
    expect(await query()).toEqual([]);
    expect(await read()).toEqual([]);
    await append([event(START_MS + 1, "new")]);
    expect(comparable(await query())).toEqual(comparable(withOffsets([event(START_MS + 1, "new")])));
    expect(await read()).toHaveLength(1);
    topic = old;
    await expect((await open()).fetcher.fetch(old, 0, CALL)).rejects.toThrow(StaleTopicError);
  });

  test("a call that ends gets its error, and others go on", async () => {
    await append(Array.from({ length: 1000 }, (_, i) => event(START_MS + i)));
    const ending = new AbortController();
    const wanted = { stream: "s", tags: {}, startMs: 0, endMs: Infinity, after: undefined };
    const pages = [createCall(ending.signal), CALL].map((call) =>
      gateway.reader.query(topic, 0, { ...wanted, maxEvents: 10, maxBytes: MAX_BYTES }, START_MS, call),
    );
    ending.abort();
    const [ended, other] = await Promise.allSettled(pages);
    expect(ended).toMatchObject({ status: "rejected", reason: { reason: "canceled" } });
    expect(other).toMatchObject({ status: "fulfilled", value: { events: { length: 10 } } });
  });
});

/** Sends a batch as it is. */
async function produce(connection: Connection, topic: string, events: readonly NewEvent[]): Promise<void> {
  const batch = encodeBatch(events, START_MS);
  sealBatch(batch, { producerId: -1n, epoch: -1, sequence: -1 });
  const send = createAPI<[], number>(
    0,
    9,
    () =>
      Writer.create()
        .appendString(null)
        .appendInt16(-1)
        .appendInt32(10_000)
        .appendArray([topic], (w, name) => {
          w.appendString(name).appendArray([0], (p, partition) => {
            p.appendInt32(partition)
              .appendUnsignedVarInt(batch.length + 1)
              .append(batch);
          });
        })
        .appendTaggedFields(),
    (_id, _key, _version, reader) => {
      reader.readUnsignedVarInt();
      reader.readString();
      reader.readUnsignedVarInt();
      reader.readInt32();
      return reader.readInt16();
    },
  );
  expect(await send.async(connection)).toBe(0);
}
