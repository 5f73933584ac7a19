/** A user who may not do all at the brokers. */
import {
  AclOperations,
  AclPermissionTypes,
  createAclsV3,
  ResourcePatternTypes,
  ResourceTypes,
} from "@platformatic/kafka";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { canStartKafka, type Kafka, startKafka } from "../../../tests/helpers/kafka.ts";
import { bytes, CALL, present } from "../conformance/harness.ts";
import { createBackend } from "../factory.ts";
import { Cluster } from "./cluster.ts";
import { type KafkaConfig, kafkaSchema } from "./config.ts";
import { diagnose } from "./diagnose.ts";
import { topicOf } from "./names.ts";
import { createStreamAdmin } from "./streams-admin.ts";
import { StreamTopics } from "./topics.ts";

/** The rights on topics that docs/backends.md names. */
const RIGHTS = ["CREATE", "ALTER_CONFIGS", "READ", "WRITE", "DELETE"] as const;
type Right = (typeof RIGHTS)[number] | "DESCRIBE" | "DESCRIBE_CONFIGS";

const SLOW = 120_000;
const STREAM = { stream: "s", retentionMs: 0, partitions: 0, replicationFactor: 0 };

describe.runIf(canStartKafka())("rights at a Kafka", { timeout: SLOW }, () => {
  let kafka: Kafka;
  let count = 0;
  let config: KafkaConfig;
  const opened: Cluster[] = [];

  beforeAll(async () => {
    kafka = await startKafka({
      users: { prism: "sesame" },
      settings: {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
      },
    });
  }, SLOW);
  afterAll(() => kafka[Symbol.asyncDispose]());
  beforeEach(() => {
    config = kafkaSchema.parse({
      type: "kafka",
      brokers: kafka.nodes.map(({ saslAddress }) => saslAddress),
      topic_prefix: `rights${++count}.`,
      sasl: { mechanism: "PLAIN", username: "prism", password: "sesame" },
    });
    return async () => {
      await Promise.all(opened.splice(0).map((cluster) => cluster.close()));
    };
  });

  async function open(options: KafkaConfig) {
    const cluster = new Cluster(options);
    opened.push(cluster);
    await cluster.open();
    const topics = new StreamTopics(cluster, options);
    return { cluster, topics, admin: createStreamAdmin(topics, options.topic_prefix) };
  }

  /** Lets our user do this with all topics of the prefix. */
  async function grant(...rights: readonly Right[]): Promise<void> {
    await grantOn(ResourceTypes.TOPIC, ...rights);
  }

  async function grantOn(
    resourceType: typeof ResourceTypes.TOPIC | typeof ResourceTypes.GROUP,
    ...rights: readonly Right[]
  ): Promise<void> {
    await grantOnNamed(resourceType, config.topic_prefix, ...rights);
  }

  /** `prefix`: of the topics that it concerns. */
  async function grantOnNamed(
    resourceType: typeof ResourceTypes.TOPIC | typeof ResourceTypes.GROUP,
    prefix: string,
    ...rights: readonly Right[]
  ): Promise<void> {
    const { cluster } = await open(kafkaSchema.parse({ type: "kafka", brokers: kafka.addresses }));
    const isTopic = resourceType === ResourceTypes.TOPIC;
    const acls = rights.map((right) => ({
      resourceType,
      resourceName: isTopic ? prefix : `${config.topic_prefix}index`,
      resourcePatternType: isTopic ? ResourcePatternTypes.PREFIXED : ResourcePatternTypes.LITERAL,
      principal: "User:prism",
      host: "*",
      operation: AclOperations[right],
      permissionType: AclPermissionTypes.ALLOW,
    }));
    await createAclsV3.api.async(await cluster.anyConnection("admin"), acls);
  }

  /** What `prism doctor` says of this. */
  async function examine(what = "streams"): Promise<string> {
    for await (const { check, state, message } of diagnose(config, 30_000)) {
      if (check === what) {
        return `${state}: ${message}`;
      }
    }
    return "";
  }

  test("a user without the right to make topics reads what to grant, and that is enough", async () => {
    const { admin, topics } = await open(config);
    await expect(admin.createStream("n", [STREAM], CALL)).rejects.toMatchObject({ name: "PrismError" });
    const message = await examine();
    expect(message).toMatch(/^problem: our user may not make topics: let it /);
    const named = RIGHTS.filter((right) => message.includes(right));
    expect(named).toEqual(RIGHTS);
    await grant(...named);
    await expect.poll(() => examine()).toMatch(/^ok: /);
    expect(await admin.createStream("n", [STREAM], CALL)).toEqual([undefined]);
    expect(await admin.createStream("n", [{ ...STREAM, retentionMs: 5 }], CALL)).toEqual([undefined]);
    expect(await topics.find([topicOf(config.topic_prefix, "n", "s") ?? ""])).toMatchObject([
      { retentionMs: 5 },
    ]);
    expect(await topics.streamsOf("n")).toEqual(["s"]);
    expect(await admin.deleteStream("n", ["s"], CALL)).toEqual([true]);
    expect(await examine("time index")).toMatch(/^warning: our user may not READ the group rights\d+\.index/);
    await appendAndQuery("without");
    await grantOn(ResourceTypes.GROUP, "READ");
    await expect.poll(() => examine("time index")).toMatch(/^ok: /);
    await appendAndQuery("with");
  });

  /** Uses a stream as callers do; twice, because the second start finds what the first one kept. */
  async function appendAndQuery(stream: string): Promise<void> {
    for (const offset of [0, 1]) {
      const backend = await createBackend(config);
      await backend.open();
      try {
        const streams = present(backend.streams);
        const events = [{ timestampMs: 1000 - offset, payload: bytes(`${offset}`), tags: {} }];
        const appends = [{ stream, events, retentionMs: 0, refusesExpired: false }];
        expect(await streams.appendEvents("n", appends, CALL)).toMatchObject([{ offset }]);
        const query = { stream, startMs: 0, endMs: Infinity, after: undefined, tags: {} };
        const [page] = await streams.queryEvents("n", [{ ...query, maxEvents: 9, maxBytes: 9999 }], CALL);
        expect(page).toMatchObject({
          events: offset === 0 ? [{ offset: 0 }] : [{ offset: 1 }, { offset: 0 }],
        });
      } finally {
        await backend.close();
      }
    }
  }

  test("a right that is missing is told of by the call that needs it, and others go on", async () => {
    await grant("DESCRIBE", "DESCRIBE_CONFIGS");
    const { admin, topics } = await open(config);
    const refused = (what: string) => ({
      reason: "store_unavailable",
      message: `the brokers do not let the gateway ${what}`,
    });
    await expect.poll(() => topics.find([topicOf(config.topic_prefix, "n", "s") ?? ""])).toEqual([undefined]);
    // These share a question.
    const [known, secret] = await Promise.all([
      topics.find([topicOf(config.topic_prefix, "n", "s") ?? ""]),
      topics.find([topicOf("secret.", "n", "s") ?? ""]),
    ]);
    expect(known).toEqual([undefined]);
    expect(secret).toMatchObject([{ reason: "store_unavailable" }]);
    expect(await admin.createStream("n", [STREAM], CALL)).toMatchObject([refused("make topics")]);
    await grant("CREATE");
    await expect.poll(() => admin.createStream("n", [STREAM], CALL)).toEqual([undefined]);
    expect(await admin.createStream("n", [{ ...STREAM, retentionMs: 5 }], CALL)).toMatchObject([
      refused("change topics"),
    ]);
    expect(await admin.deleteStream("n", ["s"], CALL)).toMatchObject([refused("delete topics")]);
    expect(await topics.streamsOf("n")).toEqual(["s"]);
    // Rights on one stream: each of the others answers for itself.
    await admin.createStream("n", [{ ...STREAM, stream: "t" }], CALL);
    const ofT = topicOf(config.topic_prefix, "n", "t") ?? "";
    await grantOnNamed(ResourceTypes.TOPIC, ofT, "ALTER_CONFIGS", "DELETE");
    const each = { ...CALL, each: true };
    const both = (retentionMs: number) => ["s", "t"].map((stream) => ({ ...STREAM, stream, retentionMs }));
    await expect
      .poll(() => admin.createStream("n", both(6), each))
      .toMatchObject([refused("change topics"), undefined]);
    const unknown = { reason: "outcome_unknown" };
    expect(await admin.createStream("n", both(7), CALL)).toMatchObject([unknown, unknown]);
    expect(await admin.deleteStream("n", ["s", "t", "t"], each)).toMatchObject([
      refused("delete topics"),
      true,
      false,
    ]);
    expect(await topics.streamsOf("n")).toEqual(["s"]);
  });
});
