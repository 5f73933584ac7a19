import {
  apiVersionsV3,
  ConfigResourceTypes,
  type Connection,
  createTopicsV7,
  deleteTopicsV6,
  describeConfigsV4,
  describeGroupsV5,
  fetchV13,
  findCoordinatorV4,
  incrementalAlterConfigsV1,
  initProducerIdV4,
  listOffsetsV7,
  metadataV12,
  offsetCommitV8,
  offsetFetchV8,
  offsetForLeaderEpochV4,
  produceV9,
  ResponseError,
} from "@platformatic/kafka";
import { type Diagnosis, diagnoseTls, fine, problem, unreachable, warning } from "../diagnosis.ts";
import { Cluster } from "./cluster.ts";
import { describePlace, type KafkaConfig } from "./config.ts";
import { answered, nameOfCode, openError } from "./errors.ts";
import { indexGroupOf, MAX_TOPIC_LENGTH } from "./names.ts";
import { MAX_BATCH_BYTES, topicOptions } from "./topic-config.ts";
import { DEFAULT_REPLICAS, StreamTopics } from "./topics.ts";

/** The calls that Prism makes, each in the version that it knows. */
const CALLS = [
  apiVersionsV3,
  metadataV12,
  offsetCommitV8,
  offsetFetchV8,
  produceV9,
  initProducerIdV4,
  fetchV13,
  listOffsetsV7,
  createTopicsV7,
  deleteTopicsV6,
  describeConfigsV4,
  incrementalAlterConfigsV1,
  findCoordinatorV4,
  offsetForLeaderEpochV4,
].map(({ api }) => api);

/** The oldest Kafka that Prism is for. 3.1 has all of them, and KRaft is ready since this one. */
const OLDEST = "3.3";

/** Looks at each broker of a Kafka. Nothing is made: the right to make topics is asked for only. */
export async function* diagnose(config: KafkaConfig, timeoutMs: number): AsyncGenerator<Diagnosis, void> {
  const place = describePlace(config);
  const options = {
    ...config,
    connect_timeout_ms: Math.min(config.connect_timeout_ms, timeoutMs),
    request_timeout_ms: Math.min(config.request_timeout_ms, timeoutMs),
  };
  const cluster = new Cluster(options);
  try {
    await cluster.open();
    const connection = await cluster.anyConnection("admin");
    const { brokers } = await metadataV12.api.async(connection, [], false, false);
    yield fine("reachable", `${place}; brokers: ${brokers.length}`);
    yield await diagnoseBrokers(cluster, brokers);
    yield await diagnoseVersion(connection);
    yield diagnoseTls(connection.socket);
    yield diagnoseReplicas(config, brokers.length);
    yield await diagnoseStreams(connection, new StreamTopics(cluster, options), options);
    yield await diagnoseIndex(connection, config);
    const settings = await settingsOf(connection, brokers[0]?.nodeId ?? 0);
    if (settings !== undefined) {
      yield* diagnoseSettings(settings);
    }
  } catch (error) {
    yield unreachable(openError(error, place));
  } finally {
    await cluster.close();
  }
}

/** Whether each broker can be reached where the brokers say that it is. */
async function diagnoseBrokers(
  cluster: Cluster,
  brokers: readonly metadataV12.MetadataResponseBroker[],
): Promise<Diagnosis> {
  const looks = brokers.map(async ({ nodeId, host, port }) => {
    try {
      await cluster.connection("admin", nodeId);
      return undefined;
    } catch {
      return `${host}:${port}`;
    }
  });
  const away = (await Promise.all(looks)).filter((address) => address !== undefined);
  return away.length === 0
    ? fine("brokers", brokers.map(({ host, port }) => `${host}:${port}`).join(", "))
    : problem(
        "brokers",
        `${away.join(", ")} cannot be reached from here; the brokers name these addresses (advertised.listeners)`,
      );
}

async function diagnoseVersion(connection: Connection): Promise<Diagnosis> {
  const { apiKeys } = await apiVersionsV3.api.async(connection, "prism", "0");
  const missing = CALLS.filter(({ key, version }) => {
    const known = apiKeys.find(({ apiKey }) => apiKey === key);
    return known === undefined || known.minVersion > version || known.maxVersion < version;
  });
  const names = missing.map(({ key, version }) => {
    const name = apiKeys.find(({ apiKey }) => apiKey === key)?.name ?? `call ${key}`;
    return `${name} ${version}`;
  });
  return names.length === 0
    ? fine("version", "it has all calls that Prism makes")
    : problem("version", `without ${names.join(", ")}: Prism needs Kafka ${OLDEST} or newer`);
}

function diagnoseReplicas({ replication_factor: factor }: KafkaConfig, brokers: number): Diagnosis {
  if (factor !== undefined && factor > brokers) {
    return problem(
      "replicas",
      `replication_factor is ${factor}, and the brokers are ${brokers}: no stream can be made`,
    );
  }
  const replicas = factor ?? Math.min(DEFAULT_REPLICAS, brokers);
  if (replicas >= 3) {
    return fine("replicas", `${replicas} of a new stream, of which one may be away`);
  }
  return warning(
    "replicas",
    replicas === 1
      ? "one of a new stream: a broker that loses its disk loses acknowledged events; let it be 3"
      : "two of a new stream: an acknowledged event may be on one broker only; let it be 3",
  );
}

/** Whether the brokers would make the topic of a stream. They check it, and make none. */
async function diagnoseStreams(
  connection: Connection,
  topics: StreamTopics,
  { topic_prefix, request_timeout_ms }: KafkaConfig,
): Promise<Diagnosis> {
  const name = `${topic_prefix}doctor__${"x".repeat(8)}`.slice(0, MAX_TOPIC_LENGTH);
  const replicas = topics.defaultReplicas;
  const topic = { name, numPartitions: 1, replicationFactor: replicas, assignments: [] };
  let refusal = "";
  // Without the bounds of times, which older brokers do not know.
  for (const boundsTimes of [true, false]) {
    const configs = topicOptions(0, replicas, boundsTimes);
    refusal = await whyNotMade(connection, { ...topic, configs }, request_timeout_ms);
    if (!refusal.startsWith("INVALID_CONFIG")) {
      break;
    }
  }
  if (refusal === "") {
    return fine("streams", `their topics can be made, as ${topic_prefix}NAMESPACE__STREAM`);
  }
  return refusal.startsWith("TOPIC_AUTHORIZATION_FAILED") || refusal.startsWith("CLUSTER_AUTHORIZATION")
    ? problem(
        "streams",
        `our user may not make topics: let it CREATE, ALTER_CONFIGS, READ, WRITE and DELETE those that begin with ${topic_prefix}`,
      )
    : problem("streams", `no topic can be made: ${refusal}`);
}

/** Kafka's name of the error, and what it says; "" = it would be made. */
async function whyNotMade(
  connection: Connection,
  topic: createTopicsV7.CreateTopicsRequestTopic,
  timeoutMs: number,
): Promise<string> {
  const { topics } = await answered(createTopicsV7.api.async(connection, [topic], timeoutMs, true));
  const [answer] = topics;
  const name = nameOfCode(answer?.errorCode ?? 0);
  // Somebody has such a stream.
  return name === "" || name === "TOPIC_ALREADY_EXISTS" ? "" : `${name} ${answer?.errorMessage ?? ""}`.trim();
}

/** Whether the state of the time indexes can be kept. */
async function diagnoseIndex(connection: Connection, { topic_prefix }: KafkaConfig): Promise<Diagnosis> {
  const group = indexGroupOf(topic_prefix);
  // Another broker may know of the group; that is an answer too.
  const { groups } = await answered(describeGroupsV5.api.async(connection, [group], false));
  return nameOfCode(groups[0]?.errorCode ?? 0) === "GROUP_AUTHORIZATION_FAILED"
    ? warning(
        "time index",
        `our user may not READ the group ${group}: after each start the first query of a stream reads all of it`,
      )
    : fine("time index", `kept in the group ${group}`);
}

type Settings = ReadonlyMap<string, string>;

/** The settings of a broker; `undefined` = our user may not ask. */
async function settingsOf(connection: Connection, broker: number): Promise<Settings | undefined> {
  const resource = { resourceType: ConfigResourceTypes.BROKER, resourceName: String(broker) };
  try {
    const { results } = await describeConfigsV4.api.async(connection, [resource]);
    return new Map(results[0]?.configs.map(({ name, value }) => [name, value ?? ""]));
  } catch (error) {
    if (error instanceof ResponseError) {
      return undefined;
    }
    throw error;
  }
}

function* diagnoseSettings(settings: Settings): Generator<Diagnosis, void> {
  if (settings.get("delete.topic.enable") === "false") {
    yield warning("deletes", "refused (delete.topic.enable is false): streams cannot be deleted");
  }
  if (settings.get("unclean.leader.election.enable") === "true") {
    yield warning(
      "durability",
      "unclean.leader.election.enable is true: a broker that lacks acknowledged events may become the leader",
    );
  }
  const largest = Number(settings.get("socket.request.max.bytes") ?? MAX_BATCH_BYTES);
  if (largest < MAX_BATCH_BYTES) {
    yield warning("appends", `of more than ${largest} bytes are refused (socket.request.max.bytes)`);
  }
}
