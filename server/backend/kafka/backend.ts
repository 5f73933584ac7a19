import type { Backend } from "../contract.ts";
import type { StoreTools } from "../room.ts";
import { Cluster } from "./cluster.ts";
import { describePlace, type KafkaConfig } from "./config.ts";
import { openError } from "./errors.ts";
import { EventReader } from "./event-reader.ts";
import { Fetcher } from "./fetcher.ts";
import { IndexKeeper } from "./index-keeper.ts";
import { IndexStore } from "./index-store.ts";
import { LogCache } from "./log-cache.ts";
import { indexGroupOf, topicOf } from "./names.ts";
import { Producer } from "./producer.ts";
import { createStreams } from "./streams.ts";
import { createStreamAdmin } from "./streams-admin.ts";
import { StreamTopics } from "./topics.ts";
import { watchStreams } from "./watch.ts";

/** A store in Kafka: streams, each in a topic of its own. */
export function createKafkaBackend(config: KafkaConfig, { clock, log }: StoreTools): Backend {
  const prefix = config.topic_prefix;
  const cluster = new Cluster(config);
  const topics = new StreamTopics(cluster, config);
  const fetcher = new Fetcher(cluster);
  const indexes = new IndexKeeper(fetcher, new IndexStore(cluster, indexGroupOf(prefix)), log);
  const logs = new LogCache(fetcher);
  const reader = new EventReader(fetcher, logs, indexes);
  const producer = new Producer(cluster);
  const { erase, pageStreams, ...admin } = createStreamAdmin(topics, prefix);
  return {
    type: config.type,
    atomic: "key",
    streams: createStreams({ topics, admin, producer, reader, indexes, prefix, clock }),
    streamNames: { pageStreams },
    watchStreams: (listener) =>
      watchStreams(cluster, ({ namespace, stream }) => topicOf(prefix, namespace, stream), listener),
    erase,
    async open() {
      try {
        await cluster.open();
        indexes.open();
      } catch (error) {
        await cluster.close();
        throw openError(error, describePlace(config));
      }
    },
    async check() {
      await cluster.topics([]);
    },
    async close() {
      await indexes.close();
      logs.clear();
      await cluster.close();
    },
  };
}
