/** Appends while the broker that leads dies, stops or is cut off. */
import { createTopicsV7 } from "@platformatic/kafka";
import { describe, expect, test } from "vitest";
import { canStartKafka, type Kafka, startKafka } from "../../../tests/helpers/kafka.ts";
import { readLog, textsOf } from "../../../tests/helpers/kafka-log.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { PrismError } from "../../errors.ts";
import { CALL } from "../conformance/harness.ts";
import { Cluster, isTopic } from "./cluster.ts";
import { kafkaSchema } from "./config.ts";
import { Producer } from "./producer.ts";

const WORKERS = 8;

describe.runIf(canStartKafka())("appends to three brokers", { timeout: 180_000 }, () => {
  test("while leaders die, what is acknowledged is there once and where it was said to be", async () => {
    await using kafka = await startKafka({ nodes: 3 });
    const cluster = new Cluster(
      kafkaSchema.parse({ type: "kafka", brokers: kafka.addresses, request_timeout_ms: 3000 }),
    );
    await cluster.open();
    const names = Array.from({ length: WORKERS }, (_, i) => `topic-${i}`);
    await makeTopics(cluster, names);
    const producer = new Producer(cluster);
    const loads = names.map((name) => new Load(cluster, producer, name));
    const running = loads.map((load) => load.run());
    try {
      for (const kill of ["SIGKILL", "SIGSTOP", "SIGTERM"] as const) {
        await progress(loads, "before");
        const leader = await leaderOf(cluster, names[0] ?? "");
        await end(kafka, leader, kill);
        await waitFor(async () => expect(await leaderOf(cluster, names[0] ?? "")).not.toBe(leader));
        await progress(loads, "with two brokers");
        await bringBack(kafka, leader, kill);
        await waitFor(async () => expect(cluster.brokerCount).toBe(3));
      }
    } finally {
      for (const load of loads) {
        load.isOver = true;
      }
      await Promise.all(running);
    }
    for (const load of loads) {
      await load.check();
    }
    await cluster.close();
  });
});

/** Appends one event after the other to one topic. */
class Load {
  isOver = false;
  /** By their offsets. */
  readonly acknowledged = new Map<number, string>();
  readonly unknown = new Set<string>();
  readonly #cluster: Cluster;
  readonly #producer: Producer;
  readonly #name: string;

  constructor(cluster: Cluster, producer: Producer, name: string) {
    this.#cluster = cluster;
    this.#producer = producer;
    this.#name = name;
  }

  async run(): Promise<void> {
    let leader = -1;
    for (let i = 0; !this.isOver; i++) {
      const events = [{ timestampMs: 0, payload: Buffer.from(`${i}`), tags: {} }];
      const [answer] = await this.#producer.append([{ topic: this.#name, leader, events }], Date.now(), CALL);
      if (typeof answer === "number") {
        this.acknowledged.set(answer, `${i}`);
      } else {
        expect(answer).toBeInstanceOf(PrismError);
        const reason = answer instanceof PrismError ? answer.reason : undefined;
        if (reason === "outcome_unknown") {
          this.unknown.add(`${i}`);
        } else {
          expect(reason).toBe("store_unavailable");
        }
        leader = await leaderOf(this.#cluster, this.#name).catch(() => -1);
      }
    }
  }

  async check(): Promise<void> {
    const found = textsOf(await readLog(this.#cluster, this.#name));
    const rest = new Map(found);
    for (const [offset, text] of this.acknowledged) {
      expect([offset, found.get(offset)]).toEqual([offset, text]);
      rest.delete(offset);
    }
    const late = [...rest.values()];
    expect(new Set(late).size).toBe(late.length);
    for (const text of late) {
      expect(this.unknown).toContain(text);
    }
    const order = [...found.values()].map(Number);
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  }
}

async function makeTopics(cluster: Cluster, names: readonly string[]): Promise<void> {
  const topics = names.map((name) => ({
    name,
    numPartitions: 1,
    replicationFactor: 3,
    assignments: [],
    configs: [],
  }));
  await createTopicsV7.api.async(await cluster.anyConnection("admin"), topics, 10_000, false);
}

async function leaderOf(cluster: Cluster, name: string): Promise<number> {
  const [topic] = await cluster.topics([name]);
  if (!isTopic(topic) || topic.leader < 0) {
    throw new Error(`nobody leads ${name}`);
  }
  return topic.leader;
}

/** Waits until every load has come on. */
async function progress(loads: readonly Load[], when: string): Promise<void> {
  const before = loads.map(({ acknowledged }) => acknowledged.size);
  await waitFor(() => {
    for (const [i, { acknowledged }] of loads.entries()) {
      expect(acknowledged.size, when).toBeGreaterThan((before[i] ?? 0) + 20);
    }
  });
}

async function end(kafka: Kafka, id: number, how: "SIGKILL" | "SIGSTOP" | "SIGTERM"): Promise<void> {
  switch (how) {
    case "SIGKILL":
      return await kafka.node(id).kill();
    case "SIGTERM":
      return await kafka.node(id).stop();
    case "SIGSTOP":
      kafka.node(id).signal("SIGSTOP");
  }
}

async function bringBack(kafka: Kafka, id: number, how: "SIGKILL" | "SIGSTOP" | "SIGTERM"): Promise<void> {
  if (how === "SIGSTOP") {
    kafka.node(id).signal("SIGCONT");
  } else {
    await kafka.node(id).start();
  }
}
