/** How it is heard that streams change. */
import { createTopicsV7 } from "@platformatic/kafka";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasSharedKafka, sharedKafka } from "../../../tests/helpers/kafka.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { CALL } from "../conformance/harness.ts";
import { Cluster, isTopic } from "./cluster.ts";
import { kafkaSchema } from "./config.ts";
import { fetchEnds } from "./fetch-response.ts";
import { Producer } from "./producer.ts";
import { type WatchCluster, watchStreams } from "./watch.ts";

describe.runIf(hasSharedKafka())("watching streams of Kafka", () => {
  let cluster: Cluster;
  let producer: Producer;
  let made = 0;
  const prefix = `watch-${process.pid}-${Date.now()}-`;

  beforeAll(async () => {
    const { addresses } = await sharedKafka();
    cluster = new Cluster(kafkaSchema.parse({ type: "kafka", brokers: addresses }));
    await cluster.open();
    producer = new Producer(cluster);
  });
  afterAll(() => cluster?.close());

  async function makeTopic(): Promise<string> {
    const name = `${prefix}${made++}`;
    const topic = { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] };
    await createTopicsV7.api.async(await cluster.anyConnection("admin"), [topic], 10_000, false);
    await waitFor(async () => expect(await cluster.topics([name])).toMatchObject([{ leader: 1 }]));
    return name;
  }

  async function append(topic: string, ...texts: readonly string[]): Promise<void> {
    const events = texts.map((text) => ({ timestampMs: 0, payload: Buffer.from(text), tags: {} }));
    const appends = [{ topic, leader: 1, events }];
    expect(await producer.append(appends, 0, CALL)).toEqual([expect.any(Number)]);
  }

  test("a leader that is away takes nothing from the streams of others", async () => {
    const [away, near] = [await makeTopic(), await makeTopic()];
    const halfAway: WatchCluster = {
      connection: (lane, broker) => cluster.connection(lane, broker),
      topics: async (names) =>
        (await cluster.topics(names)).map((topic) =>
          isTopic(topic) && topic.name === away ? { ...topic, leader: 99 } : topic,
        ),
    };
    const changes: string[] = [];
    let misses = 0;
    const stop = watchStreams(halfAway, ({ stream }) => stream, {
      // That of the broker that is away is asked first.
      wanted: () => [away, near].map((stream) => ({ namespace: "n", stream })),
      changed: (_, stream) => changes.push(stream),
      replaced: () => {},
      missed: () => misses++,
    });
    try {
      await waitFor(() => expect(changes).toEqual(expect.arrayContaining([away, near])));
      changes.length = 0;
      await append(near, "a");
      await waitFor(() => expect(changes).toContain(near));
      expect(misses).toBe(0);
    } finally {
      stop();
    }
  });

  test("the ends of logs are read past all that lies before them", async () => {
    const names = [await makeTopic(), await makeTopic(), await makeTopic()];
    await append(names[0] ?? "", "a", "b".repeat(100_000));
    await append(names[2] ?? "", "c");
    const topics = (await cluster.topics(names)).filter(isTopic);
    const unknown = "00000000-0000-4000-8000-000000000000";
    const asked = [...topics.map(({ id }) => id), unknown].map((topicId) => ({
      topicId,
      partitions: [
        {
          partition: 0,
          currentLeaderEpoch: -1,
          fetchOffset: 0n,
          lastFetchedEpoch: -1,
          partitionMaxBytes: 1_000_000,
        },
      ],
    }));
    const connection = await cluster.connection("watch", 1);
    const answer = await fetchEnds.async(connection, 0, 0, 1_000_000, 0, 0, -1, asked, [], "");
    expect(answer.errorCode).toBe(0);
    expect(new Map(answer.ends.map(({ topicId, ...end }) => [topicId, end]))).toEqual(
      new Map([
        [topics[0]?.id, { errorCode: 0, highWatermark: 2 }],
        [topics[1]?.id, { errorCode: 0, highWatermark: 0 }],
        [topics[2]?.id, { errorCode: 0, highWatermark: 1 }],
        // UNKNOWN_TOPIC_ID
        [unknown, { errorCode: 100, highWatermark: -1 }],
      ]),
    );
  });
});
