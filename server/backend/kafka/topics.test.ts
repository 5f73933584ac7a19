/** Topics on a real Kafka: what is made, told, changed, deleted and listed. */
import { ConfigResourceTypes, createTopicsV7, describeConfigsV4 } from "@platformatic/kafka";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { hasSharedKafka, sharedKafka } from "../../../tests/helpers/kafka.ts";
import { PrismError } from "../../errors.ts";
import { AWKWARD_KEYS, CALL, sortedByBytes } from "../conformance/harness.ts";
import { isRefusal } from "../contract.ts";
import { eraseAll } from "../erase-all.ts";
import { storeError } from "../store-errors.ts";
import type { StreamCreate } from "../streams.ts";
import { Cluster } from "./cluster.ts";
import { type KafkaConfig, kafkaSchema } from "./config.ts";
import { topicOf } from "./names.ts";
import { createStreamAdmin, type StreamAdmin } from "./streams-admin.ts";
import { MAX_BATCH_BYTES } from "./topic-config.ts";
import type { StreamTopic } from "./topic-lookup.ts";
import { StreamTopics } from "./topics.ts";

let prefixes = 0;

/** A gateway's view of the topics. */
interface View {
  readonly cluster: Cluster;
  readonly topics: StreamTopics;
  readonly admin: StreamAdmin;
}

describe.runIf(hasSharedKafka())("topics of streams", () => {
  const opened: Cluster[] = [];
  let prefix = "";

  async function open(options: Partial<KafkaConfig> = {}): Promise<View> {
    const { addresses } = await sharedKafka();
    const config = kafkaSchema.parse({
      type: "kafka",
      brokers: addresses,
      topic_prefix: prefix,
      ...options,
    });
    const cluster = new Cluster(config);
    opened.push(cluster);
    await cluster.open();
    const topics = new StreamTopics(cluster, config);
    return { cluster, topics, admin: createStreamAdmin(topics, prefix) };
  }

  beforeEach(() => {
    prefix = `topics-${process.pid}-${++prefixes}.`;
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((cluster) => cluster.close()));
  });

  const nameOf = (stream: string) => topicOf(prefix, "n", stream) ?? "";
  const of = async ({ topics }: View, stream: string): Promise<StreamTopic | undefined> => {
    const [topic] = await topics.find([nameOf(stream)]);
    return topic instanceof PrismError ? undefined : topic;
  };
  const creating = (stream: string, config: Partial<StreamCreate> = {}): StreamCreate => ({
    stream,
    retentionMs: 0,
    partitions: 0,
    replicationFactor: 0,
    ...config,
  });
  const create = ({ admin }: View, ...creates: StreamCreate[]) => admin.createStream("n", creates, CALL);
  const list = async ({ admin }: View, namespace = "n") =>
    (await admin.pageStreams(namespace, { prefix: "", after: undefined, maxNames: 1000 }, CALL)).names;

  async function optionsOf({ cluster }: View, stream: string): Promise<Record<string, string>> {
    const resource = { resourceType: ConfigResourceTypes.TOPIC, resourceName: nameOf(stream) };
    const connection = await cluster.anyConnection("admin");
    const { results } = await describeConfigsV4.api.async(connection, [resource]);
    const configs = results[0]?.configs ?? [];
    return Object.fromEntries(configs.map(({ name, value }) => [name, value ?? ""]));
  }

  /** Makes a topic as somebody else would. */
  async function makeByHand({ cluster }: View, name: string, numPartitions: number): Promise<void> {
    const connection = await cluster.anyConnection("admin");
    const topic = { name, numPartitions, replicationFactor: 1, assignments: [], configs: [] };
    await createTopicsV7.api.async(connection, [topic], 5_000, false);
  }

  test("a new topic has a leader, an id, and the options that streams need", async () => {
    const view = await open();
    expect(await create(view, creating("s", { retentionMs: 3_600_000 }))).toEqual([undefined]);
    const topic = await of(view, "s");
    expect(topic).toMatchObject({ name: nameOf("s"), partitions: 1, replicas: 1, retentionMs: 3_600_000 });
    expect(topic?.leader).toBeGreaterThanOrEqual(0);
    expect(topic?.id).toMatch(/^[0-9a-f-]{36}$/);
    expect(await optionsOf(view, "s")).toMatchObject({
      "retention.ms": "3600000",
      "segment.ms": "360000",
      "cleanup.policy": "delete",
      "message.timestamp.type": "CreateTime",
      "message.timestamp.after.max.ms": "9223372036854775807",
      "message.timestamp.before.max.ms": "9223372036854775807",
      "max.message.bytes": String(MAX_BATCH_BYTES),
      "min.insync.replicas": "1",
    });
  });

  test("a stream that is there gets another retention, and keeps its topic", async () => {
    const view = await open();
    await create(view, creating("s"));
    const before = await of(view, "s");
    expect(before?.retentionMs).toBe(0);
    for (const retentionMs of [86_400_000, 5, 0]) {
      expect(await create(view, creating("s", { retentionMs }))).toEqual([undefined]);
      expect(await of(view, "s")).toEqual({ ...before, retentionMs });
      expect(await optionsOf(view, "s")).toMatchObject({ "retention.ms": String(retentionMs || -1) });
    }
  });

  test("a deleted topic is gone at once, and one of its name is another", async () => {
    const view = await open();
    for (let i = 0; i < 5; i++) {
      await create(view, creating("s"), creating("t"));
      const before = await of(view, "s");
      expect(await view.admin.deleteStream("n", ["s", "none", "s"], CALL)).toEqual([true, false, false]);
      expect(await of(view, "s")).toBeUndefined();
      expect(await list(view)).toEqual(["t"]);
      await create(view, creating("s"));
      expect((await of(view, "s"))?.id).not.toBe(before?.id);
      expect(await list(view)).toEqual(["s", "t"]);
    }
    expect(await view.admin.deleteStream("n", ["s"], CALL)).toEqual([true]);
    expect(await view.admin.deleteStream("n", ["s"], CALL)).toEqual([false]);
  });

  test("two gateways that make and delete one stream at once do not fail", async () => {
    const views = await Promise.all([open(), open()]);
    for (let i = 0; i < 5; i++) {
      const made = await Promise.all(views.flatMap((view) => [1, 2].map(() => create(view, creating("s")))));
      expect(made).toEqual(made.map(() => [undefined]));
      const [one, other] = await Promise.all(views.map((view) => of(view, "s")));
      expect(one).toEqual(other);
      const gone = await Promise.all(views.map(({ admin }) => admin.deleteStream("n", ["s"], CALL)));
      expect(gone.flat().filter(Boolean)).toHaveLength(1);
    }
  });

  test("what another gateway made is found at once, and what it deleted within a second", async () => {
    const [one, other] = await Promise.all([open(), open()]);
    expect(await of(other, "s")).toBeUndefined();
    await create(one, creating("s"));
    const topic = await of(other, "s");
    expect(topic?.id).toBe((await of(one, "s"))?.id);
    await one.admin.deleteStream("n", ["s"], CALL);
    await expect.poll(() => of(other, "s")).toBeUndefined();
  });

  test("forgetting a topic asks for it again", async () => {
    const [one, other] = await Promise.all([open(), open()]);
    await create(one, creating("s"));
    const before = await of(other, "s");
    await one.admin.deleteStream("n", ["s"], CALL);
    await create(one, creating("s"));
    other.topics.forget(nameOf("s"));
    const after = await of(other, "s");
    expect(after?.id).not.toBe(before?.id);
    expect(after?.id).toBe((await of(one, "s"))?.id);
  });

  test("many are asked for together, also more than one question holds", async () => {
    const view = await open();
    const streams = ["a", "b", "c"];
    await create(view, ...streams.map((stream) => creating(stream)));
    const names = Array.from({ length: 1200 }, (_, i) => nameOf(streams[i] ?? `none ${i}`));
    const found = await view.topics.find(names);
    expect(found.map((topic) => topic?.name)).toEqual(names.map((name, i) => (i < 3 ? name : undefined)));
  });

  test("streams are one partition; a topic of somebody else may have more", async () => {
    const view = await open();
    expect(await create(view, creating("s", { partitions: 2 }))).toMatchObject([
      { reason: "invalid_field", field: "config.partitions" },
    ]);
    expect(await of(view, "s")).toBeUndefined();
    expect(await create(view, creating("s", { partitions: 1, replicationFactor: 1 }))).toEqual([undefined]);
    expect(await create(view, creating("s", { partitions: 2 }))).toMatchObject([
      { reason: "stream_differs", field: "config.partitions" },
    ]);
    await makeByHand(view, nameOf("t"), 3);
    await expect.poll(() => of(view, "t")).toMatchObject({ partitions: 3 });
    expect(await create(view, creating("t", { partitions: 3 }))).toEqual([undefined]);
    expect(await create(view, creating("t", { partitions: 1 }))).toMatchObject([
      { reason: "stream_differs" },
    ]);
  });

  test("more replicas than brokers are refused to a caller, and not taken by default", async () => {
    const view = await open();
    expect(await create(view, creating("s", { replicationFactor: 50 }))).toMatchObject([
      { reason: "invalid_field", field: "config.replication_factor" },
    ]);
    expect(await create(view, creating("s"))).toEqual([undefined]);
    expect(await create(view, creating("s", { replicationFactor: 2 }))).toMatchObject([
      { reason: "stream_differs", field: "config.replication_factor" },
    ]);
    const other = await open({ replication_factor: 7 });
    const tooFew = {
      reason: "store_unavailable",
      message: "the cluster has too few brokers for a new stream now",
    };
    expect(await create(other, creating("u"))).toMatchObject([tooFew]);
    expect(await of(other, "u")).toBeUndefined();
    // It is the answer of its own stream only.
    const two = (stream: string) => [creating(stream, { replicationFactor: 1 }), creating("u")];
    const each = { ...CALL, each: true };
    expect(await other.admin.createStream("n", two("v"), each)).toMatchObject([undefined, tooFew]);
    expect(await of(other, "v")).toMatchObject({ replicas: 1 });
    const unknown = { reason: "outcome_unknown" };
    expect(await create(other, ...two("w"))).toMatchObject([unknown, unknown]);
    expect(await of(other, "w")).toMatchObject({ replicas: 1 });
  });

  test("a change that took effect is not told as without effect, whatever fails then", async () => {
    const view = await open();
    const { cluster, topics, admin } = view;
    await create(view, creating("s"), creating("t"));
    const lookUp = cluster.topics;
    const failed = storeError("store_unavailable");
    cluster.topics = () => Promise.reject(failed);
    const unknown = { reason: "outcome_unknown", cause: failed };
    const changes = [{ name: nameOf("t"), retentionMs: 7 }];
    expect(await topics.setRetention(changes, CALL)).toMatchObject([unknown]);
    // What an append makes may be made again.
    const topic = { name: nameOf("u"), retentionMs: 0, replicas: undefined };
    expect(await topics.create([topic], CALL)).toMatchObject([{ reason: "store_unavailable" }]);
    expect(await topics.create([{ ...topic, name: nameOf("v") }], CALL, "maybe")).toMatchObject([unknown]);
    await expect(admin.deleteStream("n", ["s"], CALL)).rejects.toBe(failed);
    cluster.topics = (names) => {
      cluster.topics = () => Promise.reject(failed);
      return lookUp.call(cluster, names);
    };
    expect(await admin.deleteStream("n", ["s"], CALL)).toMatchObject([{ reason: "outcome_unknown" }]);
    cluster.topics = lookUp;
    expect(await list(view)).toEqual(["t", "u", "v"]);
    expect(await of(view, "t")).toMatchObject({ retentionMs: 7 });
  });

  test("whether a stream was made is open when the connection broke", async () => {
    const { cluster, topics } = await open();
    const connect = cluster.anyConnection;
    cluster.anyConnection = async (lane) => {
      const connection = await connect.call(cluster, lane);
      // The request is sent before.
      setImmediate(() => connection.socket.destroy());
      return connection;
    };
    const topic = { name: nameOf("s"), retentionMs: 0, replicas: undefined };
    expect(await topics.create([topic], CALL, "maybe")).toMatchObject([{ reason: "outcome_unknown" }]);
    expect(await topics.create([topic], CALL)).toMatchObject([{ reason: "store_unavailable" }]);
    cluster.anyConnection = connect;
    expect(await topics.create([topic], CALL, "maybe")).toMatchObject([{ name: topic.name }]);
  });

  test("with `each` the others are made; otherwise one refusal is that of all", async () => {
    const view = await open();
    const creates = [
      creating("new"),
      creating("x".repeat(300)),
      creating("new", { partitions: 2 }),
      creating("new", { retentionMs: 7 }),
    ];
    const answers = await create(view, ...creates);
    expect(answers).toEqual(creates.map(() => expect.objectContaining({ reason: "invalid_field" })));
    expect(await list(view)).toEqual([]);
    const each = await view.admin.createStream("n", creates, { ...CALL, each: true });
    expect(each.map((answer) => isRefusal(answer) && answer.field)).toEqual([
      false,
      "stream",
      "config.partitions",
      false,
    ]);
    expect(await of(view, "new")).toMatchObject({ retentionMs: 7 });
  });

  test("a name that Kafka takes for another's is refused", async () => {
    const view = await open();
    await makeByHand(view, nameOf("s").replace(".", "_"), 1);
    expect(await create(view, creating("s"))).toMatchObject([{ reason: "invalid_field", field: "stream" }]);
  });

  test("names are listed by namespace, in byte order, in pages; those of others are left out", async () => {
    const view = await open();
    const names = AWKWARD_KEYS.filter((key) => topicOf(prefix, "n", key) !== undefined);
    await create(view, ...names.map((name) => creating(name)));
    await view.admin.createStream("n_", [creating("other")], CALL);
    await view.admin.createStream("n2", [creating("other")], CALL);
    await makeByHand(view, `${prefix}n__not.ours`, 1);
    await makeByHand(view, `${prefix}else`, 1);
    const sorted = sortedByBytes(names);
    expect(await list(view)).toEqual(sorted);
    const paged: string[] = [];
    for (let after: string | undefined, i = 0; i === 0 || after !== undefined; i++) {
      const page = await view.admin.pageStreams("n", { prefix: "", after, maxNames: 5 }, CALL);
      paged.push(...page.names);
      after = page.next;
    }
    expect(paged).toEqual(sorted);
    const range = { prefix: "a", start: "a ", end: "a0", after: undefined, maxNames: 100 };
    expect((await view.admin.pageStreams("n", range, CALL)).names).toEqual(["a b", "a%", "a/b"]);
    await eraseAll(view.admin.erase, "n", CALL);
    expect(await list(view)).toEqual([]);
    expect(await list(view, "n_")).toEqual(["other"]);
  });
});
