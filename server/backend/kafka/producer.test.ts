import {
  type Connection,
  ConnectionPool,
  createTopicsV7,
  deleteTopicsV6,
  metadataV12,
  produceV9,
} from "@platformatic/kafka";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasSharedKafka, sharedKafka } from "../../../tests/helpers/kafka.ts";
import { readLog, textsOf } from "../../../tests/helpers/kafka-log.ts";
import { startTcpProxy, type TcpProxy } from "../../../tests/helpers/tcp-proxy.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { CALL } from "../conformance/harness.ts";
import type { NewEvent } from "../streams.ts";
import { Cluster } from "./cluster.ts";
import { kafkaSchema } from "./config.ts";
import { type AppendCluster, Producer, type TopicAppended } from "./producer.ts";

const NOW_MS = 1_700_000_000_000;
const REQUEST_TIMEOUT_MS = 60_000;

function event(text: string, timestampMs = NOW_MS): NewEvent {
  return { timestampMs, payload: Buffer.from(text), tags: {} };
}

describe.runIf(hasSharedKafka())("appends to Kafka", () => {
  let cluster: Cluster;
  let proxy: TcpProxy;
  /** Its appends go through `proxy`. */
  let shaky: AppendCluster & { renew(): Promise<void> };
  let made = 0;
  const prefix = `append-${process.pid}-${Date.now()}-`;

  beforeAll(async () => {
    const { addresses } = await sharedKafka();
    cluster = new Cluster(kafkaSchema.parse({ type: "kafka", brokers: addresses }));
    await cluster.open();
    proxy = await startTcpProxy(Number(addresses[0]?.split(":")[1]));
    const newPool = () =>
      new ConnectionPool("test", { connectTimeout: 5_000, requestTimeout: REQUEST_TIMEOUT_MS });
    let pool = newPool();
    shaky = {
      connection: () => pool.get({ host: "127.0.0.1", port: proxy.port }) as Promise<Connection>,
      topics: (names) => cluster.topics(names),
      renew: async () => {
        await pool.close();
        pool = newPool();
      },
    };
  });
  afterAll(async () => {
    await proxy?.[Symbol.asyncDispose]();
    await shaky?.renew();
    await cluster?.close();
  });

  async function makeTopic(options: Readonly<Record<string, string>> = {}, name = `${prefix}${made++}`) {
    const connection = await cluster.anyConnection("admin");
    // Otherwise the broker drops events of this test's times whenever it likes.
    const all = { "retention.ms": "-1", ...options };
    const configs = Object.entries(all).map(([key, value]) => ({ name: key, value }));
    const topic = { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs };
    await createTopicsV7.api.async(connection, [topic], 10_000, false);
    await waitFor(async () => expect(await cluster.topics([name])).toMatchObject([{ leader: 1 }]));
    return name;
  }

  /** Appends to one topic. */
  async function append(
    producer: Producer,
    topic: string,
    texts: readonly string[],
    call = CALL,
  ): Promise<TopicAppended> {
    const events = texts.map((text) => event(text));
    const [answer] = await producer.append([{ topic, leader: 1, events }], NOW_MS, call);
    return answer;
  }

  /** What is in a topic, in the order of offsets from 0 on. */
  async function texts(name: string): Promise<string[]> {
    const found = textsOf(await readLog(cluster, name));
    expect([...found.keys()]).toEqual(Array.from({ length: found.size }, (_, i) => i));
    return [...found.values()];
  }

  const deadline = (ms: number) => ({ ...CALL, deadlineMs: performance.now() + ms });
  const failure = (reason: string) => expect.objectContaining({ reason });

  test("of several topics go out together; each answers its first offset", async () => {
    const topics = await Promise.all([makeTopic(), makeTopic(), makeTopic()]);
    const producer = new Producer(cluster);
    const of = (names: readonly string[]) =>
      names.map((topic, i) => ({ topic, leader: 1, events: [event(`a${i}`), event(`b${i}`, 0)] }));
    expect(await producer.append(of(topics), NOW_MS, CALL)).toEqual([0, 0, 0]);
    expect(await producer.append(of(topics.toReversed()), NOW_MS, CALL)).toEqual([2, 2, 2]);
    expect(await texts(topics[0] ?? "")).toEqual(["a0", "b0", "a2", "b2"]);
  });

  test("at the same time, in different orders, all come in, each topic's in the order of the calls", async () => {
    const topics = await Promise.all([makeTopic(), makeTopic()]);
    const producer = new Producer(cluster);
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        producer.append(
          (i % 2 === 0 ? topics : topics.toReversed()).map((topic) => ({
            topic,
            leader: 1,
            events: [event(`${i}`)],
          })),
          NOW_MS,
          CALL,
        ),
      ),
    );
    expect(answers).toEqual(Array.from({ length: 100 }, (_, i) => [i, i]));
    for (const topic of topics) {
      expect(await texts(topic)).toEqual(Array.from({ length: 100 }, (_, i) => `${i}`));
    }
  });

  test("a topic that is not there is told; one that is made again takes them from 0 on", async () => {
    const producer = new Producer(cluster);
    expect(await append(producer, `${prefix}never`, ["a"])).toBeUndefined();
    const topic = await makeTopic();
    expect(await append(producer, topic, ["a", "b"])).toBe(0);
    const connection = await cluster.anyConnection("admin");
    await deleteTopicsV6.api.async(connection, [{ name: topic, topicId: null }], 10_000);
    await waitFor(async () => expect(await cluster.topics([topic])).toEqual([undefined]));
    expect(await append(producer, topic, ["c"])).toBeUndefined();
    await makeTopic({}, topic);
    expect(await append(producer, topic, ["d"])).toBe(0);
    expect(await append(producer, topic, ["e"])).toBe(1);
    expect(await texts(topic)).toEqual(["d", "e"]);
  });

  test("a refusal is of its topic alone, and what comes after it is taken", async () => {
    const small = await makeTopic({ "max.message.bytes": "1000" });
    const late = await makeTopic({ "message.timestamp.before.max.ms": "1000" });
    const other = await makeTopic();
    const producer = new Producer(cluster);
    const of = (topic: string, text: string) => ({ topic, leader: 1, events: [event(text)] });
    expect(
      await producer.append([of(small, "x".repeat(2000)), of(late, "a"), of(other, "a")], NOW_MS, CALL),
    ).toEqual([failure("value_too_large"), failure("invalid_field"), 0]);
    expect(await producer.append([of(small, "b"), of(other, "b")], NOW_MS, CALL)).toEqual([0, 1]);
  });

  test("an answer that is lost is asked for again: the events come in once", async () => {
    const topics = await Promise.all([makeTopic(), makeTopic()]);
    const producer = new Producer(shaky);
    for (let i = 0; i < 3; i++) {
      await append(producer, topics[0] ?? "", [`${i} before`]);
      proxy.cutAnswers();
      const both = topics.map((topic) => ({ topic, leader: 1, events: [event(`${i}`), event(`${i} too`)] }));
      expect(await producer.append(both, NOW_MS, CALL)).toEqual([3 * i + 1, 2 * i]);
    }
    expect(await texts(topics[1] ?? "")).toEqual(["0", "0 too", "1", "1 too", "2", "2 too"]);
  });

  /**
   * Writes two events in the name of a producer that wrote to this topic, from this sequence on.
   */
  async function intrude(topic: string, producerEpoch: number, first: number): Promise<void> {
    const producerId = (await readLog(cluster, topic))[0]?.bytes.readBigInt64BE(43);
    const messages = [1, 2].map((i) => ({ topic, partition: 0, value: Buffer.from(`other ${i}`) }));
    const options = { producerId, producerEpoch, sequences: { getWithDefault: () => first } };
    const connection = await cluster.connection("append", 1);
    await produceV9.api.async(connection, -1, 1000, messages as never, options as never);
  }

  test.each([
    ["", false],
    [", also if another topic takes a new producer meanwhile", true],
  ])(
    "without an answer until the deadline it is unknown; then it never comes in after what follows%s",
    async (_, isFenced) => {
      const topic = await makeTopic();
      const producer = new Producer(shaky);
      expect(await append(producer, topic, ["a"])).toBe(0);
      const other = await makeTopic();
      expect(await append(producer, other, ["a"])).toBe(0);
      proxy.freeze();
      const sentBefore = proxy.bytesFromClients;
      const answer = append(producer, topic, ["held up"], deadline(300));
      await waitFor(() => expect(proxy.bytesFromClients).toBeGreaterThan(sentBefore));
      expect(await answer).toEqual(failure("outcome_unknown"));
      const held = await shaky.connection("append", 1);
      const throughProxy = shaky.connection;
      shaky.connection = (lane, broker) => cluster.connection(lane, broker);
      if (isFenced) {
        await intrude(other, 9, 0);
        expect(await append(producer, other, ["b"])).toBe(3);
      }
      expect(await append(producer, topic, ["b"])).toBe(1);
      expect(await append(producer, topic, ["c"])).toBe(2);
      shaky.connection = throughProxy;
      proxy.thaw();
      // A broker answers the calls of a connection in their order.
      await metadataV12.api.async(held, [], false, false);
      expect(await append(producer, topic, ["d"])).toBe(3);
      expect(await texts(topic)).toEqual(["a", "b", "c", "d"]);
    },
  );

  test("what is unknown and was written takes nothing from what follows", async () => {
    const topic = await makeTopic();
    const producer = new Producer(shaky);
    expect(await append(producer, topic, ["a"])).toBe(0);
    const throughProxy = shaky.connection;
    shaky.connection = async (...args) => {
      const connection = await throughProxy(...args);
      shaky.connection = () => Promise.reject(new Error("no way"));
      return connection;
    };
    proxy.cutAnswers();
    expect(await append(producer, topic, ["unknown"], deadline(200))).toEqual(failure("outcome_unknown"));
    shaky.connection = throughProxy;
    expect(await append(producer, topic, ["b"])).toBe(2);
    expect(await texts(topic)).toEqual(["a", "unknown", "b"]);
  });

  test("while answers and connections are lost under load, each event comes in once", async () => {
    const topics = await Promise.all([makeTopic(), makeTopic(), makeTopic()]);
    const producer = new Producer(shaky);
    let begun = 0;
    const acknowledged = topics.map(() => new Map<number, string>());
    await Promise.all(
      Array.from({ length: 30 }, async (_, worker) => {
        for (let i = 0; i < 40; i++) {
          begun++;
          if (begun % 100 === 50) {
            proxy.cutAnswers();
          } else if (begun % 100 === 0) {
            proxy.cut();
          }
          const at = worker % topics.length;
          const text = `${worker} ${i}`;
          const offset = await append(producer, topics[at] ?? "", [text]);
          expect(offset).toBeTypeOf("number");
          acknowledged[at]?.set(Number(offset), text);
        }
      }),
    );
    for (const [at, topic] of topics.entries()) {
      const found = await texts(topic);
      expect(found).toEqual(Array.from({ length: 400 }, (_, offset) => acknowledged[at]?.get(offset)));
    }
  });

  test("while no broker can be reached nothing was written, and it is told at once", async () => {
    const topic = await makeTopic();
    const producer = new Producer(shaky);
    proxy.refuse();
    expect(await append(producer, topic, ["a"])).toEqual(failure("store_unavailable"));
    await proxy.restore();
    expect(await append(producer, topic, ["b"])).toBe(0);
    proxy.cut();
    expect(await append(producer, topic, ["c"])).toBe(1);
    expect(await texts(topic)).toEqual(["b", "c"]);
  });

  test("a wrong leader is found out", async () => {
    const topic = await makeTopic();
    const producer = new Producer(cluster);
    const of = (leader: number) => [{ topic, leader, events: [event("a")] }];
    expect(await producer.append(of(-1), NOW_MS, CALL)).toEqual([0]);
    expect(await producer.append(of(99), NOW_MS, CALL)).toEqual([1]);
  });

  test("a call that ends while it waits for its turn appends nothing", async () => {
    const topic = await makeTopic();
    const other = await makeTopic();
    const producer = new Producer(shaky);
    expect(await append(producer, topic, ["a"])).toBe(0);
    proxy.freeze();
    const first = append(producer, topic, ["first"], deadline(300));
    const ending = new AbortController();
    const call = { ...CALL, signal: ending.signal };
    const both = [topic, other].map((name) => ({ topic: name, leader: 1, events: [event("second")] }));
    const second = producer.append(both, NOW_MS, call);
    ending.abort();
    await expect(second).rejects.toEqual(failure("canceled"));
    expect(await first).toEqual(failure("outcome_unknown"));
    proxy.thaw();
    expect(await append(producer, other, ["third"])).toBe(0);
    expect(await append(producer, topic, ["fourth"])).toBeTypeOf("number");
    expect(await texts(topic)).not.toContain("second");
  });

  test("a broker that has lost the sequence, or knows a later epoch, gets a new one", async () => {
    const topic = await makeTopic();
    const producer = new Producer(cluster);
    expect(await append(producer, topic, ["a"])).toBe(0);
    await intrude(topic, 0, 1);
    expect(await append(producer, topic, ["b"])).toBe(3);
    await intrude(topic, 9, 0);
    expect(await append(producer, topic, ["c"])).toBe(6);
    expect(await append(producer, topic, ["d"])).toBe(7);
    const found = await texts(topic);
    expect(found).toEqual(["a", "other 1", "other 2", "b", "other 1", "other 2", "c", "d"]);
  });
});
