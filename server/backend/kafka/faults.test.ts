/** What gateways promise while brokers are frozen, killed and away, and others change topics. */
import { Admin, Producer, stringSerializers } from "@platformatic/kafka";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import {
  canStartKafka,
  hasSharedKafka,
  type Kafka,
  type KafkaNode,
  sharedKafka,
  startKafka,
} from "../../../tests/helpers/kafka.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { PrismError } from "../../errors.ts";
import { NAMESPACE, present } from "../conformance/harness.ts";
import { seeded } from "../conformance/seeded.ts";
import {
  append,
  appendTo,
  create,
  describeOne,
  event,
  payloadsOf,
  query,
  read,
} from "../conformance/stream-values.ts";
import { waitEvents } from "../conformance/tails.ts";
import { answerOf, type Backend, createCall, type StreamStore } from "../contract.ts";
import { createBackend } from "../factory.ts";
import { type KafkaConfig, kafkaSchema } from "./config.ts";
import { topicOf } from "./names.ts";

/** Brokers take seconds to start, and many on a busy machine. */
const SLOW = { timeout: 300_000 };

let prefixes = 0;

/** What an appender was told of one append. */
interface Told {
  readonly stream: string;
  readonly payloads: readonly string[];
  /** The offset of the first event, or why there is none. */
  readonly answer: number | string;
}

/** Appenders that never stop by themselves. */
interface Load {
  readonly told: readonly Told[];
  /** Resolves when so many more appends are acknowledged. */
  grown(count: number): Promise<void>;
  /** Stops them, and resolves when each has its last answer. */
  stop(): Promise<void>;
}

const STREAMS = ["s0", "s1", "s2"];

/** Some appenders for each gateway, each of which numbers its appends. */
function startLoad(gateways: readonly Backend[], random: () => number): Load {
  const told: Told[] = [];
  let isStopping = false;

  async function run({ streams }: Backend, appender: string): Promise<void> {
    for (let i = 0; !isStopping; i++) {
      const stream = STREAMS[Math.floor(random() * STREAMS.length)] ?? "";
      const parts = Array.from({ length: 1 + Math.floor(random() * 3) }, (_, part) => part);
      const payloads = parts.map((part) => `${appender}:${i}:${part}`);
      const events = payloads.map((payload) => event(0, payload));
      // What is in doubt longer than this is told so.
      const call = createCall(AbortSignal.timeout(20_000));
      const answer = await present(streams)
        .appendEvents(NAMESPACE, [append(stream, events)], call)
        .then(([first]) => answerOf(present(first ?? undefined)).offset)
        .catch(reasonOf);
      told.push({ stream, payloads, answer });
      if (typeof answer === "string") {
        // A store that is away answers at once.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  const running = Promise.all(
    gateways.flatMap((gateway, g) => ["a", "b", "c", "d"].map((name) => run(gateway, `${g}${name}`))),
  );
  const acknowledged = () => told.filter(({ answer }) => typeof answer === "number").length;
  return {
    told,
    async grown(count) {
      const wanted = acknowledged() + count;
      await waitFor(() => expect(acknowledged()).toBeGreaterThanOrEqual(wanted));
    },
    async stop() {
      isStopping = true;
      await running;
    },
  };
}

function reasonOf(error: unknown): string {
  if (error instanceof PrismError) {
    return error.reason;
  }
  throw error;
}

/**
 * Expects of the streams what was told: each acknowledged append once, at its offset and whole; no
 * append that had no effect; one in doubt at most once and whole; each appender's in its order.
 */
async function verify({ told }: Load, streams: StreamStore): Promise<void> {
  for (const stream of STREAMS) {
    const found = await read(streams, stream);
    expect(found.map(({ offset }) => offset)).toEqual([...found.keys()]);
    const payloads = payloadsOf(found);
    expect(new Set(payloads).size).toBe(payloads.length);
    const places = new Map(payloads.map((payload, place) => [payload, place]));
    const last = new Map<string, number>();
    for (const each of told.filter((one) => one.stream === stream)) {
      const place = places.get(each.payloads[0] ?? "");
      if (typeof each.answer === "number") {
        expect(place, each.payloads[0]).toBe(each.answer);
      } else if (each.answer !== "outcome_unknown") {
        expect(place, `${each.payloads[0]} ${each.answer}`).toBeUndefined();
      }
      expect(each.payloads.map((payload) => places.get(payload))).toEqual(
        each.payloads.map((_, i) => (place === undefined ? undefined : place + i)),
      );
      const appender = each.payloads[0]?.split(":")[0] ?? "";
      if (place !== undefined) {
        expect(place).toBeGreaterThan(last.get(appender) ?? -1);
        last.set(appender, place);
      }
    }
    // By time it is the same, and nothing is there that nobody appended.
    expect(payloadsOf(await query(streams, stream)).sort()).toEqual([...payloads].sort());
    const known = new Set(told.flatMap((each) => each.payloads));
    expect(payloads.filter((payload) => !known.has(payload))).toEqual([]);
  }
}

const EXPECTED = ["outcome_unknown", "store_unavailable", "overloaded"];

function expectReasons({ told }: Load): void {
  const reasons = new Set(told.flatMap(({ answer }) => (typeof answer === "string" ? [answer] : [])));
  expect([...reasons].filter((reason) => !EXPECTED.includes(reason))).toEqual([]);
}

/** Gateways that the test closes at its end. */
function useGateways() {
  let opened: Backend[] = [];
  afterEach(async () => {
    await Promise.all(opened.map((backend) => backend.close()));
    opened = [];
  });
  return async (
    brokers: readonly string[],
    options: Partial<KafkaConfig> = {},
  ): Promise<Backend & { readonly streams: StreamStore }> => {
    const backend = await createBackend(
      kafkaSchema.parse({ type: "kafka", brokers, topic_prefix: "faults-", ...options }),
    );
    opened.push(backend);
    await backend.open();
    return { ...backend, streams: present(backend.streams) };
  };
}

/** A Kafka that ends with the test. */
async function start(nodes: 1 | 3): Promise<Kafka> {
  const kafka = await startKafka({ nodes });
  onTestFinished(() => kafka[Symbol.asyncDispose]());
  return kafka;
}

describe.runIf(canStartKafka())("brokers that fail", () => {
  const open = useGateways();

  test(
    "one that is frozen and killed under load: what is acknowledged is there once, in order",
    SLOW,
    async () => {
      const kafka = await start(1);
      const node = present(kafka.nodes[0]);
      const { random, seed } = seeded();
      console.info(`frozen and killed: seed ${seed}`);
      const options = { request_timeout_ms: 1000 };
      const gateways = [await open(kafka.addresses, options), await open(kafka.addresses, options)];
      const load = startLoad(gateways, random);
      await load.grown(100);
      for (const frozenMs of [300, 1500, 3000]) {
        node.signal("SIGSTOP");
        await new Promise((resolve) => setTimeout(resolve, frozenMs));
        node.signal("SIGCONT");
        await load.grown(50);
      }
      for (let round = 0; round < 2; round++) {
        await node.kill();
        await node.start();
        await load.grown(50);
      }
      await load.stop();
      expectReasons(load);
      await verify(load, present(gateways[0]).streams);
    },
  );

  test(
    "three of which leaders are killed under load: nothing acknowledged is lost or doubled",
    SLOW,
    async () => {
      const kafka = await start(3);
      const { random, seed } = seeded();
      console.info(`leaders killed: seed ${seed}`);
      const options = { request_timeout_ms: 1000 };
      const gateways = [await open(kafka.addresses, options), await open(kafka.addresses, options)];
      const { streams } = present(gateways[0]);
      for (const stream of STREAMS) {
        await create(streams, stream);
      }
      expect(await describeOne(streams, "s0")).toMatchObject({ replicationFactor: 3 });
      const load = startLoad(gateways, random);
      await load.grown(100);
      // What the others lead is written there, and its answer comes when the frozen one is left
      // out: until then it is sent again and again.
      const frozen = await leaderOf(kafka, "faults-", "s0");
      frozen.signal("SIGSTOP");
      await load.grown(100);
      frozen.signal("SIGCONT");
      await load.grown(100);
      for (const stream of STREAMS) {
        const leader = await leaderOf(kafka, "faults-", stream);
        await leader.kill();
        await load.grown(100);
        await leader.start();
        await load.grown(100);
      }
      await load.stop();
      expectReasons(load);
      await verify(load, streams);
    },
  );

  test(
    "all away: calls fail as the store's, and go on by themselves when a broker is back",
    SLOW,
    async () => {
      const kafka = await start(1);
      const node = present(kafka.nodes[0]);
      const { streams } = await open(kafka.addresses, { request_timeout_ms: 2000 });
      await appendTo(streams, "s", [event(1, "before")]);
      const away = { reason: "store_unavailable" };
      for (const { leave, comeBack } of [
        { leave: () => node.kill(), comeBack: () => node.start() },
        { leave: () => node.signal("SIGSTOP"), comeBack: () => node.signal("SIGCONT") },
      ]) {
        await leave();
        // The first one finds it out; an append that was sent then may be in doubt.
        await expect(query(streams, "s")).rejects.toMatchObject(away);
        await expect(query(streams, "s")).rejects.toMatchObject(away);
        await expect(appendTo(streams, "s", [event(1, "away")])).rejects.toMatchObject(away);
        await expect(create(streams, "new")).rejects.toMatchObject(away);
        await expect(describeOne(streams, "s")).rejects.toMatchObject(away);
        await comeBack();
        await waitFor(async () => expect(payloadsOf(await query(streams, "s"))).toContain("before"));
      }
      await appendTo(streams, "s", [event(2, "after")]);
      expect(payloadsOf(await read(streams, "s"))).toEqual(["before", "after"]);
    },
  );
});

/** The node that leads the topic of a stream. */
async function leaderOf(kafka: Kafka, prefix: string, stream: string): Promise<KafkaNode> {
  const admin = new Admin({ clientId: "t", bootstrapBrokers: [...kafka.addresses] });
  try {
    const topic = present(topicOf(prefix, NAMESPACE, stream));
    const { topics } = await admin.metadata({ topics: [topic], forceUpdate: true });
    return kafka.node(present(topics.get(topic)?.partitions[0]).leader);
  } finally {
    await admin.close();
  }
}

describe.runIf(hasSharedKafka())("others that change topics", () => {
  const open = useGateways();

  /** A gateway with a prefix of its own, a topic's name there, and Kafka's own clients. */
  async function start() {
    const brokers = [...(await sharedKafka()).addresses];
    const topic_prefix = `faults-${process.pid}-${++prefixes}-`;
    const gateway = await open(brokers, { topic_prefix });
    const admin = new Admin({ clientId: "t", bootstrapBrokers: brokers });
    onTestFinished(() => admin.close());
    const topic = present(topicOf(topic_prefix, NAMESPACE, "s"));
    return { gateway, streams: gateway.streams, admin, topic, brokers };
  }

  test("a topic that is deleted: nothing is there, tails end, and an append makes it again", async () => {
    const { gateway, streams, admin, topic } = await start();
    await appendTo(streams, "s", [event(1, "0"), event(2, "1")]);
    const tail = waitEvents(gateway, "s", { offset: 2 });
    await waitEvents(gateway, "s", { offset: 2, waitMs: 1 });
    await admin.deleteTopics({ topics: [topic] });
    expect(await tail).toBeUndefined();
    await waitFor(async () => expect(await describeOne(streams, "s")).toBeUndefined());
    const span = { stream: "s", tags: {}, startMs: 0, endMs: Infinity, after: undefined };
    const bounds = { maxEvents: 1, maxBytes: 1 };
    expect(await streams.queryEvents(NAMESPACE, [{ ...span, ...bounds }], createCall())).toEqual([undefined]);
    expect(await appendTo(streams, "s", [event(3, "new")])).toMatchObject({ offset: 0 });
    // At once too, while it is still known as it was.
    await admin.deleteTopics({ topics: [topic] });
    expect(await appendTo(streams, "s", [event(3, "newer")])).toMatchObject({ offset: 0 });
    expect(payloadsOf(await read(streams, "s"))).toEqual(["newer"]);
    expect(payloadsOf(await query(streams, "s"))).toEqual(["newer"]);
  });

  test("a topic that gets more partitions goes on in its first one", async () => {
    const { gateway, streams, admin, topic } = await start();
    await appendTo(streams, "s", [event(1, "0")]);
    const tail = waitEvents(gateway, "s", { offset: 1 });
    await admin.createPartitions({ topics: [{ name: topic, count: 3 }] });
    await waitFor(async () => expect(await describeOne(streams, "s")).toMatchObject({ partitions: 3 }));
    for (let i = 1; i < 20; i++) {
      expect(await appendTo(streams, "s", [event(i, String(i))])).toMatchObject({ offset: i });
    }
    expect(payloadsOf(present(await tail).events)).toContain("1");
    const all = Array.from({ length: 20 }, (_, i) => String(i));
    expect(payloadsOf(await read(streams, "s"))).toEqual(all);
    expect(new Set(payloadsOf(await query(streams, "s")))).toEqual(new Set(all));
  });

  test("what other programs write is read: keys, headers, no value, compressed, in transactions", async () => {
    const { streams, topic, brokers } = await start();
    await appendTo(streams, "s", [event(10, "first", { a: "1" })]);
    const client = { clientId: "t", bootstrapBrokers: brokers, serializers: stringSerializers };
    const own = { topic, partition: 0, key: "key" };
    for (const compression of ["none", "gzip"] as const) {
      const producer = new Producer(client);
      await producer.send({
        compression,
        messages: [
          { ...own, timestamp: 20n, value: compression, headers: { "t:a": "2", other: "x" } },
          { ...own, timestamp: 15n },
        ],
      });
      await producer.close();
    }
    const producer = new Producer({ ...client, idempotent: true, transactionalId: topic, retryDelay: 20 });
    for (const outcome of ["commit", "abort"] as const) {
      const transaction = await producer.beginTransaction();
      await transaction.send({ messages: [{ ...own, timestamp: 30n, value: outcome }] });
      await transaction[outcome]();
    }
    await producer.close();
    // The end of a transaction has an offset and is no event.
    const { offset } = await appendTo(streams, "s", [event(40, "last")]);
    expect(offset).toBeGreaterThan(6);
    const wanted = ["first", "none", "", "gzip", "", "commit"];
    const found = await read(streams, "s");
    expect(payloadsOf(found).filter((payload) => payload !== "abort")).toEqual([...wanted, "last"]);
    expect(found.slice(0, 3).map(({ tags }) => tags)).toEqual([{ a: "1" }, { a: "2" }, {}]);
    expect(found.at(-1)?.offset).toBe(offset);
    const times = (await query(streams, "s", { startMs: 15, endMs: 30 })).map((each) => each.timestampMs);
    expect(times).toEqual([15, 15, 20, 20]);
    expect(payloadsOf(await query(streams, "s", { tags: { a: "2" } }))).toEqual(["none", "gzip"]);
  });
});
