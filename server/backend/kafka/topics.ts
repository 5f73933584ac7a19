import { setTimeout as delay } from "node:timers/promises";
import {
  ConfigResourceTypes,
  type Connection,
  createTopicsV7,
  deleteTopicsV6,
  IncrementalAlterConfigOperationTypes,
  incrementalAlterConfigsV1,
} from "@platformatic/kafka";
import { abortError, PrismError } from "../../errors.ts";
import { type Call, isRefusal, Refusal } from "../contract.ts";
import { storeError } from "../store-errors.ts";
import { compareUtf8 } from "../utf8.ts";
import type { Cluster, Topic } from "./cluster.ts";
import type { KafkaConfig } from "./config.ts";
import { adminError, answered, type Doubt, MISSING, nameOfCode, toPrismError } from "./errors.ts";
import { streamOf, topicPrefixOf } from "./names.ts";
import { retentionOptions, topicOptions } from "./topic-config.ts";
import { MAX_AGE_MS, type StreamTopic, type TopicFound, TopicLookup } from "./topic-lookup.ts";

/** Brokers hear of a change one after the other. The one that we ask has so much time for it. */
const SETTLE_MS = 5_000;
const FIRST_PAUSE_MS = 2;
const MAX_PAUSE_MS = 100;

/** Without a configured number: so many replicas, or all brokers if they are fewer. */
export const DEFAULT_REPLICAS = 3;

/** A topic to make. */
export interface NewTopic {
  readonly name: string;
  readonly retentionMs: number;
  /** `undefined` = as the store's options say. */
  readonly replicas: number | undefined;
}

/** What brokers say of one topic of a request. */
interface Said {
  readonly errorCode: number;
  readonly errorMessage?: string | null | undefined;
}

/** All topics at one moment. */
interface Listing {
  readonly atMs: number;
  readonly topics: Promise<readonly Topic[]>;
  /** By namespace, in byte order. */
  readonly streams: Map<string, readonly string[]>;
}

/**
 * The topics of a cluster that keep streams. All methods throw PrismError. What changes several
 * topics answers for each, also if it failed: the others may have been changed. It throws if none
 * can be looked at.
 */
export class StreamTopics {
  readonly #cluster: Cluster;
  readonly #config: KafkaConfig;
  readonly #lookup: TopicLookup;
  #listing: Listing | undefined;
  /** One that is away for a moment counts too: a new topic waits for it. */
  #mostBrokers = 0;
  /** Whether the brokers have the options that bound the times of events. */
  #boundsTimes = true;

  constructor(cluster: Cluster, config: KafkaConfig) {
    this.#cluster = cluster;
    this.#config = config;
    this.#lookup = new TopicLookup(cluster);
  }

  /** On how many brokers a new stream is, if nobody says it. */
  get defaultReplicas(): number {
    this.#mostBrokers = Math.max(this.#mostBrokers, this.#cluster.brokerCount);
    return this.#config.replication_factor ?? Math.max(1, Math.min(DEFAULT_REPLICAS, this.#mostBrokers));
  }

  /** See {@link TopicLookup.find}. */
  find(names: readonly string[]): Promise<readonly TopicFound[]> {
    return this.#lookup.find(names);
  }

  /** See {@link TopicLookup.findNow}. */
  findNow(names: readonly string[]): Promise<readonly TopicFound[]> {
    return this.#lookup.findNow(names);
  }

  /** See {@link TopicLookup.forget}. */
  forget(name: string): void {
    this.#lookup.forget(name);
  }

  /**
   * Makes topics, each with one partition, and waits until they have a leader. One that is there
   * already is answered as it is. No name may come twice. Refuses a number of replicas or a name
   * that the brokers do not take. `doubt`: "never" = to the caller a topic that was made has no
   * effect, so he may try again when it is not known whether it was.
   */
  async create(
    topics: readonly NewTopic[],
    call: Call,
    doubt: Doubt = "never",
  ): Promise<readonly (StreamTopic | Refusal | PrismError)[]> {
    const answers = await this.#create(topics, doubt);
    this.#listing = undefined;
    const ids = new Map<string, string | undefined>();
    for (const [i, { name }] of topics.entries()) {
      const answer = answers[i];
      if (!isRefusal(answer) && !(answer instanceof PrismError)) {
        ids.set(name, answer);
      }
    }
    const settled = await this.#settle([...ids.keys()], call, doubt, (topic, name) => {
      const id = ids.get(name);
      return topic !== undefined && topic.leader >= 0 && (id === undefined || topic.id === id);
    });
    return topics.map(({ name }, i) => {
      const answer = answers[i];
      if (isRefusal(answer) || answer instanceof PrismError) {
        return answer;
      }
      const topic = settled.get(name);
      return topic ?? storeError("internal", new Error(`the topic ${name} was made and is not there`));
    });
  }

  /**
   * Changes the retention of topics, in milliseconds; 0 = for ever. Tells for each whether it was
   * there. No name may come twice.
   */
  async setRetention(
    changes: readonly { readonly name: string; readonly retentionMs: number }[],
    call: Call,
  ): Promise<readonly (boolean | PrismError)[]> {
    const resources = changes.map(({ name, retentionMs }) => ({
      resourceType: ConfigResourceTypes.TOPIC,
      resourceName: name,
      configs: retentionOptions(retentionMs).map((option) => ({
        ...option,
        configOperation: IncrementalAlterConfigOperationTypes.SET,
      })),
    }));
    const retentions = new Map(changes.map(({ name, retentionMs }) => [name, retentionMs]));
    return await this.#change(
      [...retentions.keys()],
      "change topics",
      call,
      async (connection) => {
        const request = incrementalAlterConfigsV1.api.async(connection, resources, false);
        const { responses } = await answered(request, "maybe");
        return responses.map((said) => ({ ...said, name: said.resourceName }));
      },
      (topic, { name }) => topic === undefined || topic.retentionMs === retentions.get(name),
    );
  }

  /** Deletes topics; tells for each whether it was there. No name may come twice. */
  async delete(names: readonly string[], call: Call): Promise<readonly (boolean | PrismError)[]> {
    const before = await this.findNow(names);
    const failed = before.filter((topic) => topic instanceof PrismError);
    if (failed[0] !== undefined && failed.length === names.length) {
      throw failed[0];
    }
    const there = before.flatMap((topic) => (topic instanceof PrismError ? [] : (topic?.name ?? [])));
    if (there.length === 0) {
      return before.map((topic) => (topic instanceof PrismError ? topic : false));
    }
    // By name: a topic that was made again meanwhile is the one that is meant.
    const topics = there.map((name) => ({ name }));
    const answers = await this.#change(
      there,
      "delete topics",
      call,
      async (connection) => {
        const request = deleteTopicsV6.api.async(connection, topics, this.#patienceMs);
        const { responses } = await answered(request, "maybe");
        return responses.map((said) => ({ ...said, name: said.name ?? "" }));
      },
      (topic, { topicId }) => topic?.id !== topicId,
    );
    this.#listing = undefined;
    const gone = new Map(there.map((name, i) => [name, answers[i]]));
    return before.map((topic) =>
      topic instanceof PrismError ? topic : ((topic && gone.get(topic.name)) ?? false),
    );
  }

  /**
   * The streams of a namespace in byte order of their names. What others changed shows within
   * {@link MAX_AGE_MS}.
   */
  async streamsOf(namespace: string): Promise<readonly string[]> {
    const nowMs = performance.now();
    let listing = this.#listing;
    if (listing === undefined || nowMs - listing.atMs > MAX_AGE_MS) {
      listing = { atMs: nowMs, topics: this.#cluster.allTopics(), streams: new Map() };
      this.#listing = listing;
    }
    let topics: readonly Topic[];
    try {
      topics = await listing.topics;
    } catch (error) {
      if (this.#listing === listing) {
        this.#listing = undefined;
      }
      throw toPrismError(error);
    }
    let streams = listing.streams.get(namespace);
    if (streams === undefined) {
      const prefix = topicPrefixOf(this.#config.topic_prefix, namespace);
      streams = topics.flatMap(({ name }) => streamOf(prefix, name) ?? []).sort(compareUtf8);
      listing.streams.set(namespace, streams);
    }
    return streams;
  }

  /** The next listing is a new one. */
  forgetListing(): void {
    this.#listing = undefined;
  }

  /** How long a broker may take for a change. It has to answer before the request is given up. */
  get #patienceMs(): number {
    return Math.ceil(this.#config.request_timeout_ms / 2);
  }

  /**
   * Changes topics, and waits until each is `as` wanted. Tells for each whether it was there.
   * `send` answers what the brokers say of each.
   */
  async #change<Answer extends Said & { readonly name: string }>(
    names: readonly string[],
    what: string,
    call: Call,
    send: (connection: Connection) => Promise<readonly Answer[]>,
    as: (topic: StreamTopic | undefined, answer: Answer) => boolean,
  ): Promise<readonly (boolean | PrismError)[]> {
    const answers = new Map<string, Answer>();
    try {
      for (const answer of await send(await this.#cluster.anyConnection("admin"))) {
        answers.set(answer.name, answer);
      }
    } catch (error) {
      const failed = toPrismError(error, "maybe");
      return names.map(() => failed);
    }
    const changed = names.filter((name) => answers.get(name)?.errorCode === 0);
    const settled = await this.#settle(changed, call, "maybe", (topic, name) => {
      const answer = answers.get(name);
      return answer === undefined || as(topic, answer);
    });
    return names.map((name) => {
      const { errorCode, errorMessage } = answers.get(name) ?? NO_ANSWER;
      if (errorCode === 0) {
        const topic = settled.get(name);
        return topic instanceof PrismError ? topic : true;
      }
      return MISSING.has(nameOfCode(errorCode)) ? false : adminError(errorCode, errorMessage, what, "maybe");
    });
  }

  /** Answers ids of topics; `undefined` = it was there. */
  async #create(
    topics: readonly NewTopic[],
    doubt: Doubt,
  ): Promise<readonly (string | undefined | Refusal | PrismError)[]> {
    const boundsTimes = this.#boundsTimes;
    let answers = await this.#sendCreate(topics, boundsTimes, doubt);
    if (boundsTimes && answers.some(isInvalidConfig)) {
      // Brokers before 3.6 do not know the options that bound the times of events.
      const refused = topics.filter((_, i) => isInvalidConfig(answers[i]));
      const again = await this.#sendCreate(refused, false, doubt);
      if (again.some((answer) => !(answer instanceof PrismError) && answer.errorCode === 0)) {
        this.#boundsTimes = false;
      }
      let next = 0;
      answers = answers.map((answer) => (isInvalidConfig(answer) ? (again[next++] ?? NO_ANSWER) : answer));
    }
    return topics.map(({ replicas }, i) => {
      const answer = answers[i] ?? NO_ANSWER;
      if (answer instanceof PrismError) {
        return answer;
      }
      const { errorCode, errorMessage, topicId } = answer;
      const name = nameOfCode(errorCode);
      if (name === "" || name === "TOPIC_ALREADY_EXISTS") {
        return name === "" ? topicId : undefined;
      }
      if (name === "INVALID_TOPIC_EXCEPTION") {
        return new Refusal("invalid_field", "Kafka does not take a topic of this name", {
          field: "stream",
          cause: errorMessage,
        });
      }
      if (name === "INVALID_REPLICATION_FACTOR" && replicas !== undefined) {
        return refuseReplicas(replicas, errorMessage);
      }
      return adminError(errorCode, errorMessage, "make topics", doubt);
    });
  }

  /** Answers in the order of the topics. The error of a request that failed is that of each. */
  async #sendCreate(
    topics: readonly NewTopic[],
    boundsTimes: boolean,
    doubt: Doubt,
  ): Promise<readonly (createTopicsV7.CreateTopicsResponseTopic | PrismError)[]> {
    if (topics.length === 0) {
      return [];
    }
    const request = topics.map(({ name, retentionMs, replicas = this.defaultReplicas }) => ({
      name,
      numPartitions: 1,
      replicationFactor: replicas,
      assignments: [],
      configs: topicOptions(retentionMs, replicas, boundsTimes),
    }));
    try {
      const connection = await this.#cluster.anyConnection("admin");
      const response = await answered(
        createTopicsV7.api.async(connection, request, this.#patienceMs, false),
        doubt,
      );
      const answers = new Map(response.topics.map((topic) => [topic.name, topic]));
      return topics.map(({ name }) => answers.get(name) ?? NO_ANSWER);
    } catch (error) {
      const failed = toPrismError(error, doubt);
      return topics.map(() => failed);
    }
  }

  /**
   * Asks about topics until they are `as` wanted. Answers each as it is then, or the error if that
   * was not seen; `undefined` = it is not there. `doubt`: "maybe" = they were changed, so such an
   * error does not tell that nothing was.
   */
  async #settle(
    names: readonly string[],
    call: Call,
    doubt: Doubt,
    as: (topic: StreamTopic | undefined, name: string) => boolean,
  ): Promise<ReadonlyMap<string, StreamTopic | undefined | PrismError>> {
    const untilMs = performance.now() + SETTLE_MS;
    const settled = new Map<string, StreamTopic | undefined | PrismError>();
    const fail = (name: string, error: PrismError) => {
      settled.set(name, doubt === "maybe" ? storeError("outcome_unknown", error) : error);
    };
    let open = names;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
      for (const name of open) {
        this.forget(name);
      }
      const found = await this.findNow(open);
      for (const [i, name] of open.entries()) {
        const topic = found[i];
        if (topic instanceof PrismError) {
          fail(name, topic);
        } else if (as(topic, name)) {
          settled.set(name, topic);
        } else {
          this.forget(name);
        }
      }
      open = open.filter((name) => !settled.has(name));
      if (open.length === 0) {
        return settled;
      }
      if (call.aborted || performance.now() > untilMs) {
        for (const name of open) {
          const error = new Error(`the brokers do not agree on the topic ${name}`);
          fail(name, call.aborted ? abortError(call.signal) : storeError("store_unavailable", error));
        }
        return settled;
      }
      await delay(pauseMs);
    }
  }
}

/** Stands for the answer about a topic that a response leaves out. */
const NO_ANSWER: createTopicsV7.CreateTopicsResponseTopic = {
  name: "",
  topicId: "",
  // UNKNOWN_SERVER_ERROR
  errorCode: -1,
  errorMessage: null,
  numPartitions: -1,
  replicationFactor: -1,
  configs: null,
};

function isInvalidConfig(answer: Said | PrismError | undefined): boolean {
  return (
    answer !== undefined &&
    !(answer instanceof PrismError) &&
    nameOfCode(answer.errorCode) === "INVALID_CONFIG"
  );
}

/** The refusal of a stream on more brokers than there are. */
function refuseReplicas(replicas: number, cause?: unknown): Refusal {
  const message = `config.replication_factor is ${replicas}, and the cluster has fewer brokers`;
  return new Refusal("invalid_field", message, { field: "config.replication_factor", cause });
}
