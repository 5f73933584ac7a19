import { ConfigResourceTypes, describeConfigsV4 } from "@platformatic/kafka";
import { PrismError } from "../../errors.ts";
import { type Cluster, isTopic, type Topic } from "./cluster.ts";
import { adminError, MISSING, nameOfCode, toPrismError } from "./errors.ts";
import { RETENTION_KEYS, retentionOf } from "./topic-config.ts";

/** What is known of a topic, and of all topics, is asked for again when it is older. */
export const MAX_AGE_MS = 1_000;

/** A topic that is used after this time is asked for while its users go on. */
const REFRESH_AFTER_MS = 500;

/** The most topics that are known at a time. */
const MAX_KNOWN = 10_000;

/** The most topics that one question is about. */
const MAX_ASKED = 500;

/** The topic of a stream. */
export interface StreamTopic extends Topic {
  /** In milliseconds; 0 = for ever. */
  readonly retentionMs: number;
}

/** The answer to a question for a topic; `undefined` = there is none. */
export type TopicFound = StreamTopic | PrismError | undefined;

/** What is known of a topic. */
interface Known {
  /** `undefined` = nothing; what was asked for before `atMs` tells nothing either. */
  readonly topic: StreamTopic | undefined;
  /** On the clock of `performance.now()`. */
  readonly atMs: number;
}

/** Looks topics up, and knows for a second what it was told. Throws PrismError. */
export class TopicLookup {
  readonly #cluster: Pick<Cluster, "topics" | "askAny">;
  readonly #known = new Map<string, Known>();
  /** Topics whose next answer somebody waits for. Nobody has been asked yet. */
  #wanted = new Map<string, PromiseWithResolvers<TopicFound>>();
  #isAsking = false;

  constructor(cluster: Pick<Cluster, "topics" | "askAny">) {
    this.#cluster = cluster;
  }

  /**
   * Tells of topics; `undefined` where there is none. What it tells is at most {@link MAX_AGE_MS}
   * old. That a topic is not there is never old. An error is that of one topic. Throws if no broker
   * can be asked.
   */
  async find(names: readonly string[]): Promise<readonly TopicFound[]> {
    return await Promise.all(names.map((name) => this.#find(name)));
  }

  /**
   * As {@link find}, and nothing that it tells is old. If no broker can be asked, each has that
   * error.
   */
  async findNow(names: readonly string[]): Promise<readonly TopicFound[]> {
    return await Promise.all(names.map((name) => this.#ask(name).catch((error) => toPrismError(error))));
  }

  /** The next who needs this topic asks for it: a broker said that it is not what was told. */
  forget(name: string): void {
    this.#remember(name, undefined, performance.now());
  }

  async #find(name: string): Promise<TopicFound> {
    const { topic, atMs } = this.#known.get(name) ?? NOTHING;
    const ageMs = performance.now() - atMs;
    if (topic === undefined || ageMs > MAX_AGE_MS) {
      return await this.#ask(name);
    }
    if (ageMs > REFRESH_AFTER_MS) {
      // If it fails, those who need the answer ask again.
      this.#ask(name).catch(() => {});
    }
    return topic;
  }

  /** The answer to a question that is asked after this call. */
  #ask(name: string): Promise<TopicFound> {
    let wanted = this.#wanted.get(name);
    if (wanted === undefined) {
      wanted = Promise.withResolvers();
      this.#wanted.set(name, wanted);
    }
    if (!this.#isAsking) {
      this.#isAsking = true;
      // Those who call in the same turn share a question.
      queueMicrotask(() => void this.#askAll());
    }
    return wanted.promise;
  }

  async #askAll(): Promise<void> {
    while (this.#wanted.size > 0) {
      const all = [...this.#wanted];
      const asked = all.slice(0, MAX_ASKED);
      this.#wanted = new Map(all.slice(MAX_ASKED));
      const atMs = performance.now();
      try {
        const topics = await this.#look(asked.map(([name]) => name));
        for (const [i, [name, { resolve }]] of asked.entries()) {
          const topic = topics[i];
          if (!(topic instanceof PrismError)) {
            this.#remember(name, topic, atMs);
          }
          resolve(topic);
        }
      } catch (error) {
        for (const [, { reject }] of asked) {
          reject(error);
        }
      }
    }
    this.#isAsking = false;
  }

  /** An error is that of one topic. */
  async #look(names: readonly string[]): Promise<readonly TopicFound[]> {
    const [topics, retentions] = await Promise.all([this.#cluster.topics(names), this.#retentions(names)]);
    return topics.map((topic) => {
      if (!isTopic(topic)) {
        return topic;
      }
      const retentionMs = retentions.get(topic.name);
      // A topic that is just being made or deleted may have one of the two only.
      return typeof retentionMs === "number" ? { ...topic, retentionMs } : retentionMs;
    });
  }

  async #retentions(names: readonly string[]): Promise<ReadonlyMap<string, number | PrismError>> {
    const request = names.map((resourceName) => ({
      resourceType: ConfigResourceTypes.TOPIC,
      resourceName,
      configurationKeys: RETENTION_KEYS,
    }));
    const { results } = await this.#cluster.askAny<describeConfigsV4.DescribeConfigsResponse>((connection) =>
      describeConfigsV4.api.async(connection, request, false, false),
    );
    const retentions = new Map<string, number | PrismError>();
    for (const { errorCode, errorMessage, resourceName, configs } of results) {
      if (errorCode === 0) {
        retentions.set(resourceName, retentionOf(configs));
      } else if (!MISSING.has(nameOfCode(errorCode))) {
        const error = adminError(errorCode, errorMessage, "read the options of topics", "never");
        retentions.set(resourceName, error);
      }
    }
    return retentions;
  }

  /** Keeps an answer to a question of that time, unless a later one is known. */
  #remember(name: string, topic: StreamTopic | undefined, atMs: number): void {
    const known = this.#known;
    if ((known.get(name)?.atMs ?? 0) > atMs) {
      return;
    }
    known.delete(name);
    known.set(name, { topic, atMs });
    if (known.size > MAX_KNOWN) {
      const [oldest] = known.keys();
      known.delete(oldest ?? name);
    }
  }
}

const NOTHING: Known = { topic: undefined, atMs: -Infinity };
