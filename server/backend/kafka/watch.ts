import { setTimeout as delay } from "node:timers/promises";
import { listOffsetsV7 } from "@platformatic/kafka";
import type { PrismError } from "../../errors.ts";
import type { StreamId, StreamListener } from "../contract.ts";
import { type Cluster, isTopic, type Topic } from "./cluster.ts";
import { answered, errorOfCode, nameOfCode } from "./errors.ts";
import { type FetchedEnd, fetchEnds } from "./fetch-response.ts";
import { LATEST } from "./fetcher.ts";

/**
 * The longest that a fetch waits for events, and how often the listener is asked what it wants to
 * hear of. A new tail hears of events of other gateways after this time.
 */
const WAIT_MS = 100;

/** The pause after a broker could not be asked. */
const AWAY_MS = 1_000;

/** Answers after which the topic is another one than before, or its log is. */
const REPLACED: ReadonlySet<string> = new Set([
  "UNKNOWN_TOPIC_ID",
  "UNKNOWN_TOPIC_OR_PARTITION",
  "INCONSISTENT_TOPIC_ID",
  "OFFSET_OUT_OF_RANGE",
]);

/** The part of the {@link Cluster} that watching uses. */
export type WatchCluster = Pick<Cluster, "connection" | "topics">;

/** A stream that is watched. */
interface Watched {
  readonly id: StreamId;
  readonly topic: Topic;
  /** The end of the log, as far as was told. */
  end: number;
}

/**
 * Tells `listener` of events that come to the streams that it wants to hear of, whoever appends
 * them. A fetch waits at each broker that leads some of them. `topicOf` gives the name of a
 * stream's topic; `undefined` = no stream can have this name. Answers a function that ends it.
 */
export function watchStreams(
  cluster: WatchCluster,
  topicOf: (id: StreamId) => string | undefined,
  listener: StreamListener,
): () => void {
  const watch = new StreamWatch(cluster, topicOf, listener);
  void watch.run();
  return () => watch.stop();
}

class StreamWatch {
  readonly #cluster: WatchCluster;
  readonly #topicOf: (id: StreamId) => string | undefined;
  readonly #listener: StreamListener;
  /** By the names of their topics. */
  readonly #watched = new Map<string, Watched>();
  /** The names of topics that it begins to watch. */
  readonly #beginning = new Set<string>();
  /** The brokers at which a fetch waits. */
  readonly #followed = new Set<number>();
  readonly #stopping = new AbortController();

  constructor(
    cluster: WatchCluster,
    topicOf: (id: StreamId) => string | undefined,
    listener: StreamListener,
  ) {
    this.#cluster = cluster;
    this.#topicOf = topicOf;
    this.#listener = listener;
  }

  stop(): void {
    this.#stopping.abort();
  }

  /** Does not throw. */
  async run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      let pauseMs = WAIT_MS;
      try {
        await this.#sync();
      } catch {
        // Those who wait look for themselves, and learn from that how the store is.
        this.#listener.missed();
        pauseMs = AWAY_MS;
      }
      await this.#pause(pauseMs);
    }
  }

  /** Begins to watch what is wanted, and no longer watches what is not. */
  async #sync(): Promise<void> {
    const unwatched = new Map<string, StreamId>();
    const unwanted = new Set(this.#watched.keys());
    for (const id of this.#listener.wanted()) {
      const name = this.#topicOf(id);
      if (name !== undefined && !unwanted.delete(name) && !this.#beginning.has(name)) {
        unwatched.set(name, id);
      }
    }
    for (const name of unwanted) {
      this.#watched.delete(name);
    }
    if (unwatched.size === 0) {
      return;
    }
    const names = [...unwatched.keys()];
    const found = await this.#cluster.topics(names);
    for (const [i, name] of names.entries()) {
      const id = unwatched.get(name);
      if (id === undefined || isTopic(found[i])) {
        continue;
      }
      if (found[i] === undefined) {
        // It may have been deleted since those who wait looked.
        this.#listener.replaced(id.namespace, id.stream);
      } else {
        this.#listener.changed(id.namespace, id.stream);
      }
    }
    for (const [leader, topics] of byLeader(found)) {
      const led = topics.flatMap((topic) => {
        const id = unwatched.get(topic.name);
        return id === undefined ? [] : [{ id, topic }];
      });
      // A broker that does not answer holds up nothing at the others.
      void this.#begin(leader, led);
    }
  }

  /** Begins to watch topics that a broker leads. Does not throw. */
  async #begin(leader: number, led: readonly Omit<Watched, "end">[]): Promise<void> {
    for (const { topic } of led) {
      this.#beginning.add(topic.name);
    }
    try {
      const ends = await this.#ends(
        leader,
        led.map(({ topic }) => topic),
      );
      for (const { id, topic } of led) {
        const end = ends.get(topic.name);
        if (end !== undefined) {
          this.#watched.set(topic.name, { id, topic, end });
          this.#listener.changed(id.namespace, id.stream);
        }
      }
    } catch {
      // Those who wait look for themselves, and learn from that how the broker is.
      for (const { id } of led) {
        this.#listener.changed(id.namespace, id.stream);
      }
      await this.#pause(AWAY_MS);
    }
    for (const { topic } of led) {
      this.#beginning.delete(topic.name);
    }
    if (!this.#followed.has(leader)) {
      this.#followed.add(leader);
      void this.#follow(leader);
    }
  }

  /** Waits at a broker for events of the streams that it leads, until there are none. */
  async #follow(leader: number): Promise<void> {
    const { signal } = this.#stopping;
    for (;;) {
      const watched = [...this.#watched.values()].filter(({ topic }) => topic.leader === leader);
      if (signal.aborted || watched.length === 0) {
        this.#followed.delete(leader);
        return;
      }
      try {
        await this.#fetch(leader, watched);
      } catch {
        for (const each of watched) {
          this.#lose(each);
        }
        await this.#pause(AWAY_MS);
      }
    }
  }

  async #fetch(leader: number, watched: readonly Watched[]): Promise<void> {
    const byId = new Map(watched.map((each) => [each.topic.id, each]));
    for (const { topicId, errorCode, highWatermark } of await this.#wait(leader, watched)) {
      const each = byId.get(topicId);
      if (each === undefined) {
        continue;
      }
      if (errorCode !== 0) {
        this.#lose(each, REPLACED.has(nameOfCode(errorCode)));
      } else if (highWatermark > each.end) {
        each.end = highWatermark;
        this.#listener.changed(each.id.namespace, each.id.stream);
      }
    }
  }

  /** Watches a stream no longer. It is watched again if it is still wanted and there. */
  #lose(each: Watched, isReplaced = false): void {
    const { id, topic } = each;
    if (this.#watched.get(topic.name) !== each) {
      return;
    }
    this.#watched.delete(topic.name);
    if (isReplaced) {
      this.#listener.replaced(id.namespace, id.stream);
    } else {
      this.#listener.changed(id.namespace, id.stream);
    }
  }

  /** One fetch, which waits. It answers little: it tells that there is something, not what. */
  async #wait(leader: number, watched: readonly Watched[]): Promise<readonly FetchedEnd[]> {
    const topics = watched.map(({ topic, end }) => ({
      topicId: topic.id,
      partitions: [
        {
          partition: 0,
          currentLeaderEpoch: -1,
          fetchOffset: BigInt(end),
          lastFetchedEpoch: -1,
          partitionMaxBytes: 1,
        },
      ],
    }));
    const connection = await this.#cluster.connection("watch", leader);
    const answer = await fetchEnds.async(connection, WAIT_MS, 1, 1, 0, 0, -1, topics, [], "");
    if (answer.errorCode !== 0) {
      throw errorOfCode(answer.errorCode);
    }
    return answer.ends;
  }

  /** The ends of the topics' logs, by their names. */
  async #ends(leader: number, topics: readonly Topic[]): Promise<ReadonlyMap<string, number>> {
    const connection = await this.#cluster.connection("watch", leader);
    const asked = topics.map(({ name }) => ({
      name,
      partitions: [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp: BigInt(LATEST) }],
    }));
    const answer = await answered(listOffsetsV7.api.async(connection, -1, 0, asked));
    const ends = new Map<string, number>();
    for (const { name, partitions } of answer.topics) {
      const [partition] = partitions;
      if (partition?.errorCode === 0) {
        ends.set(name, Number(partition.offset));
      }
    }
    return ends;
  }

  /** Not longer than until it is stopped. */
  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stopping.signal }).catch(() => {});
  }
}

/** The topics that there are and that somebody leads, by their leaders. */
function byLeader(
  topics: readonly (Topic | PrismError | undefined)[],
): ReadonlyMap<number, readonly Topic[]> {
  const led = topics.flatMap((topic) => (isTopic(topic) && topic.leader >= 0 ? [topic] : []));
  return Map.groupBy(led, ({ leader }) => leader);
}
