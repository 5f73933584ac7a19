/** Streams whose topics somebody else made, with options of their own, on a real broker. */
import { createTopicsV7 } from "@platformatic/kafka";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { hasSharedKafka, sharedKafka } from "../../../tests/helpers/kafka.ts";
import { waitFor } from "../../../tests/helpers/until.ts";
import { CALL, NAMESPACE, present } from "../conformance/harness.ts";
import { type Backend, isRefusal, SILENT } from "../contract.ts";
import type { EventAppend } from "../streams.ts";
import { createKafkaBackend } from "./backend.ts";
import { Cluster } from "./cluster.ts";
import { kafkaSchema } from "./config.ts";
import { topicOf } from "./names.ts";

describe.runIf(hasSharedKafka())("topics that others made", () => {
  let cluster: Cluster;
  let backend: Backend;
  const prefix = `foreign-${process.pid}-${Date.now()}-`;

  beforeAll(async () => {
    const { addresses } = await sharedKafka();
    const config = kafkaSchema.parse({ type: "kafka", brokers: addresses, topic_prefix: prefix });
    cluster = new Cluster(config);
    await cluster.open();
    backend = createKafkaBackend(config, { clock: { now: () => 1_000_000 }, log: SILENT });
    await backend.open();
  });
  afterAll(async () => {
    await backend?.close();
    await cluster?.close();
  });

  async function makeTopic(stream: string, options: Readonly<Record<string, string>>): Promise<void> {
    const name = present(topicOf(prefix, NAMESPACE, stream));
    const configs = Object.entries(options).map(([key, value]) => ({ name: key, value }));
    const topic = { name, numPartitions: 1, replicationFactor: 1, assignments: [], configs };
    await createTopicsV7.api.async(await cluster.anyConnection("admin"), [topic], 10_000, false);
    await waitFor(async () => expect(await cluster.topics([name])).toMatchObject([{ leader: 1 }]));
  }

  function append(stream: string, payload: string, timestampMs = 0): EventAppend {
    const events = [{ timestampMs, payload: Buffer.from(payload), tags: {} }];
    return { stream, events, retentionMs: 0, refusesExpired: false };
  }

  const appendEach = (appends: readonly EventAppend[]) =>
    present(backend.streams).appendEvents(NAMESPACE, appends, { ...CALL, each: true });

  async function query(stream: string, startMs: number): Promise<readonly (readonly [string, number])[]> {
    const span = {
      stream,
      startMs,
      endMs: Infinity,
      after: undefined,
      tags: {},
      maxEvents: 100,
      maxBytes: 1e6,
    };
    const [page] = await present(backend.streams).queryEvents(NAMESPACE, [span], CALL);
    if (page === undefined || isRefusal(page)) {
      throw new Error("there is no page");
    }
    return page.events.map(({ payload, timestampMs }) => [`${payload}`, timestampMs]);
  }

  test("with Kafka's own times: a query finds what was appended at Kafka's time", async () => {
    await makeTopic("retimed", { "message.timestamp.type": "LogAppendTime" });
    const beforeMs = Date.now();
    const [old, now] = await appendEach([append("retimed", "old", 5), append("retimed", "now")]);
    expect(old).toEqual({ offset: 0, nowMs: expect.any(Number), expired: 0 });
    const { nowMs } = old as { nowMs: number };
    expect(nowMs).toBeGreaterThanOrEqual(beforeMs);
    expect(now).toEqual({ offset: 1, nowMs, expired: 0 });
    const held = [
      ["old", nowMs],
      ["now", nowMs],
    ];
    expect(await query("retimed", nowMs)).toEqual(held);
    expect(await query("retimed", 0)).toEqual(held);
    await appendEach([append("retimed", "later", 6)]);
    expect((await query("retimed", nowMs)).map(([text]) => text)).toEqual(["old", "now", "later"]);
  });

  test("appends that are too large only together are taken, in their order", async () => {
    await makeTopic("small", { "max.message.bytes": "2000", "retention.ms": "-1" });
    const texts = ["a".repeat(900), "b".repeat(900), "c".repeat(3000), "d".repeat(900)];
    const answers = await appendEach(texts.map((text, i) => append("small", text, 10 - i)));
    expect(answers).toEqual([
      expect.objectContaining({ offset: 0 }),
      expect.objectContaining({ offset: 1 }),
      expect.objectContaining({ reason: "value_too_large" }),
      expect.objectContaining({ offset: 2 }),
    ]);
    expect((await query("small", 0)).map(([text, timeMs]) => [text[0], timeMs])).toEqual([
      ["d", 7],
      ["b", 9],
      ["a", 10],
    ]);
  });

  test("a compacted topic takes no events, and the caller hears why", async () => {
    await makeTopic("compacted", { "cleanup.policy": "compact" });
    await makeTopic("other", {});
    const [refused, taken] = await appendEach([append("compacted", "a"), append("other", "a")]);
    expect(refused).toMatchObject({
      reason: "store_unavailable",
      message: expect.stringContaining("cleanup.policy=compact"),
      cause: expect.objectContaining({ message: expect.stringMatching(/__compacted: .*without key/) }),
    });
    expect(taken).toMatchObject({ offset: 0 });
    expect(await query("compacted", 0)).toEqual([]);
  });

  test("the appends of one call to a small topic are all taken or none", async () => {
    await makeTopic("whole", { "max.message.bytes": "2000", "retention.ms": "-1" });
    const appends = ["a", "b", "c"].map((text) => append("whole", text.repeat(900), 1));
    const refused = expect.objectContaining({ reason: "value_too_large" });
    expect(await present(backend.streams).appendEvents(NAMESPACE, appends, CALL)).toEqual([
      refused,
      refused,
      refused,
    ]);
    expect(await query("whole", 0)).toEqual([]);
  });
});
