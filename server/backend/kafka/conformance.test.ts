/** Kafka's store on a real broker: the suite of all stores, and tails behind two gateways. */
import { Admin } from "@platformatic/kafka";
import { afterAll, beforeAll, describe } from "vitest";
import { hasSharedKafka, sharedKafka } from "../../../tests/helpers/kafka.ts";
import { MAX_TTL_SECONDS } from "../../limits.ts";
import { NAMESPACE, present } from "../conformance/harness.ts";
import { createManualClock } from "../conformance/manual-clock.ts";
import { describeBackend } from "../conformance/suite.ts";
import { describeTails } from "../conformance/tails.ts";
import { SILENT } from "../contract.ts";
import { createBackend } from "../factory.ts";
import { createCoalescedBackend } from "../layers/coalesced.ts";
import { createGuardedBackend } from "../layers/guarded.ts";
import { createKafkaBackend } from "./backend.ts";
import { kafkaSchema } from "./config.ts";
import { topicOf } from "./names.ts";

describe.runIf(hasSharedKafka())("kafka", () => {
  let brokers: readonly string[] = [];
  let admin: Admin | undefined;
  let prefixes = 0;

  beforeAll(async () => {
    brokers = (await sharedKafka()).addresses;
    admin = new Admin({ clientId: "prism-tests", bootstrapBrokers: [...brokers] });
  });
  afterAll(() => admin?.close());

  const newConfig = () =>
    kafkaSchema.parse({
      type: "kafka",
      brokers: [...brokers],
      topic_prefix: `test-${process.pid}-${++prefixes}-`,
    });

  /** Removes what a store has. */
  async function drop(prefix: string): Promise<void> {
    const topics = (await present(admin).listTopics()).filter((topic) => topic.startsWith(prefix));
    if (topics.length > 0) {
      await present(admin).deleteTopics({ topics });
    }
  }

  describeBackend({
    name: "kafka",
    capabilities: ["streams", "streamNames", "erase"],
    durable: true,
    atomic: "key",
    streamLimits: {
      takesName: (stream) => topicOf("test-", NAMESPACE, stream) !== undefined,
    },
    movesClock: true,
    maxTtlMs: MAX_TTL_SECONDS * 1000,
    async create() {
      const config = newConfig();
      const clock = createManualClock();
      const store = createKafkaBackend(config, { clock, log: SILENT });
      return {
        // The room counts on it that no stream is in two calls at once.
        backend: createGuardedBackend(createCoalescedBackend(store)),
        advance: clock.advance,
        dispose: () => drop(config.topic_prefix),
      };
    },
  });

  describeTails("kafka, two gateways", async () => {
    const config = newConfig();
    const backends = await Promise.all([0, 1].map(() => createBackend(config)));
    await Promise.all(backends.map((backend) => backend.open()));
    return {
      backends,
      async [Symbol.asyncDispose]() {
        await Promise.all(backends.map((backend) => backend.close()));
        await drop(config.topic_prefix);
      },
    };
  });
});
