/** Topics on three brokers, of which one goes away. */
import { ConfigResourceTypes, describeConfigsV4 } from "@platformatic/kafka";
import { expect, test } from "vitest";
import { canStartKafka, startKafka } from "../../../tests/helpers/kafka.ts";
import { CALL } from "../conformance/harness.ts";
import { Cluster } from "./cluster.ts";
import { kafkaSchema } from "./config.ts";
import { topicOf } from "./names.ts";
import { createStreamAdmin } from "./streams-admin.ts";
import { StreamTopics } from "./topics.ts";

test.runIf(canStartKafka())(
  "a new stream is on three brokers, of which two must have an event, also while one is away",
  { timeout: 180_000 },
  async () => {
    await using kafka = await startKafka({ nodes: 3 });
    const config = kafkaSchema.parse({ type: "kafka", brokers: kafka.addresses });
    const cluster = new Cluster(config);
    await cluster.open();
    try {
      const topics = new StreamTopics(cluster, config);
      const admin = createStreamAdmin(topics, config.topic_prefix);
      const nameOf = (stream: string) => topicOf(config.topic_prefix, "n", stream) ?? "";
      const of = async (stream: string) => (await topics.find([nameOf(stream)]))[0];
      const create = (stream: string, replicationFactor = 0) =>
        admin.createStream("n", [{ stream, retentionMs: 0, partitions: 0, replicationFactor }], CALL);

      // Each broker hears of a topic in its own time, and each is asked.
      for (let i = 0; i < 10; i++) {
        expect(await create(`s${i}`)).toEqual([undefined]);
        expect(await of(`s${i}`)).toMatchObject({ replicas: 3, partitions: 1 });
      }
      const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: nameOf("s0") };
      const { results } = await describeConfigsV4.api.async(await cluster.anyConnection("admin"), [resource]);
      expect(results[0]?.configs).toContainEqual(
        expect.objectContaining({ name: "min.insync.replicas", value: "2" }),
      );
      expect(await create("two", 2)).toEqual([undefined]);
      expect(await of("two")).toMatchObject({ replicas: 2 });

      await kafka.node(3).kill();
      const countBrokers = async () => {
        await cluster.topics([]);
        return cluster.brokerCount;
      };
      await expect.poll(countBrokers, { timeout: 60_000 }).toBe(2);
      // It has a place on the broker that is away, and gets there when that is back.
      expect(await create("late")).toEqual([undefined]);
      expect(await of("late")).toMatchObject({ replicas: 3 });
      expect(await create("late")).toEqual([undefined]);
      expect(await create("more", 4)).toMatchObject([
        { reason: "invalid_field", field: "config.replication_factor" },
      ]);
      expect((await topics.streamsOf("n")).length).toBe(12);
      expect(await admin.deleteStream("n", ["s0", "late"], CALL)).toEqual([true, true]);
      expect(await of("late")).toBeUndefined();
    } finally {
      await cluster.close();
    }
  },
);
