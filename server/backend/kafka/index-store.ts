import { setTimeout as delay } from "node:timers/promises";
import {
  type Connection,
  FindCoordinatorKeyTypes,
  findCoordinatorV4,
  offsetCommitV8,
  offsetFetchV8,
} from "@platformatic/kafka";
import type { Cluster, Topic } from "./cluster.ts";
import { answered, errorOfCode, MISSING, nameOfCode } from "./errors.ts";
import { TimeIndex } from "./time-index.ts";

/** The most bytes of metadata that a broker takes with an offset, unless it is told otherwise. */
const MAX_METADATA_BYTES = 4096;

/** The most topics in one request. */
const MAX_TOPICS = 50;

/** A broker makes the topic of offsets when it is first asked, or reads it when it has started. */
const COORDINATOR_TRIES = 10;
const COORDINATOR_PAUSE_MS = 100;

/** Answers that tell to ask again for the broker that keeps the offsets. */
const NO_COORDINATOR: ReadonlySet<string> = new Set([
  "COORDINATOR_NOT_AVAILABLE",
  "COORDINATOR_LOAD_IN_PROGRESS",
  "NOT_COORDINATOR",
]);

/** An index, and the leader epoch in which the log was last known to have its events. */
export interface StoredIndex {
  readonly index: TimeIndex;
  /** -1 = none is known. */
  readonly epoch: number;
}

/** The index of a topic. */
export interface IndexOfTopic extends StoredIndex {
  readonly topic: Pick<Topic, "name" | "id">;
}

/**
 * Keeps time indexes in Kafka, so that a new start need not read all logs: as the metadata of the
 * offsets that a consumer group has committed. Nobody consumes in the group. Methods throw
 * PrismError.
 */
export class IndexStore {
  readonly #cluster: Pick<Cluster, "connection" | "anyConnection">;
  readonly #group: string;
  constructor(cluster: Pick<Cluster, "connection" | "anyConnection">, group: string) {
    this.#cluster = cluster;
    this.#group = group;
  }

  /** The index of a topic as it was stored last. `undefined` = none was. */
  async load({ name, id }: Pick<Topic, "name" | "id">): Promise<StoredIndex | undefined> {
    const groups = [{ groupId: this.#group, memberEpoch: -1, topics: [{ name, partitionIndexes: [0] }] }];
    const { groups: found } = await this.#ask<offsetFetchV8.OffsetFetchResponse>(
      (connection) => offsetFetchV8.api.async(connection, groups, false),
      ({ groups: [group] }) => group?.errorCode ?? 0,
    );
    const [partition] = found[0]?.topics[0]?.partitions ?? [];
    if (partition !== undefined && partition.errorCode !== 0) {
      throw errorOfCode(partition.errorCode);
    }
    const index = partition?.metadata ? TimeIndex.decode(partition.metadata, id) : undefined;
    return index && { index, epoch: partition?.committedLeaderEpoch ?? -1 };
  }

  /** Stores indexes. Answers the ids of topics that are gone. */
  async save(indexes: readonly IndexOfTopic[]): Promise<readonly string[]> {
    const gone: string[] = [];
    for (let from = 0; from < indexes.length; from += MAX_TOPICS) {
      gone.push(...(await this.#save(indexes.slice(from, from + MAX_TOPICS))));
    }
    return gone;
  }

  async #save(indexes: readonly IndexOfTopic[]): Promise<readonly string[]> {
    const topics = indexes.map(({ topic, index, epoch }) => ({
      name: topic.name,
      partitions: [
        {
          partitionIndex: 0,
          committedOffset: BigInt(index.nextOffset),
          committedLeaderEpoch: epoch,
          committedMetadata: index.encode(topic.id, MAX_METADATA_BYTES),
        },
      ],
    }));
    const codeOf = ({ partitions: [partition] }: offsetCommitV8.OffsetCommitResponseTopic) =>
      partition?.errorCode ?? 0;
    const response = await this.#ask<offsetCommitV8.OffsetCommitResponse>(
      (connection) => offsetCommitV8.api.async(connection, this.#group, -1, "", null, topics),
      (answer) => answer.topics.map(codeOf).find((code) => NO_COORDINATOR.has(nameOfCode(code))) ?? 0,
    );
    const codes = new Map(response.topics.map((topic) => [topic.name, codeOf(topic)]));
    const failed = [...codes.values()].find((code) => code !== 0 && !MISSING.has(nameOfCode(code)));
    if (failed !== undefined) {
      throw errorOfCode(failed);
    }
    return indexes.flatMap(({ topic: { name, id } }) => (codes.get(name) ? id : []));
  }

  /** Asks the broker that keeps the group's offsets. `codeOf` answers what concerns the group. */
  async #ask<Response>(
    send: (connection: Connection) => Promise<Response>,
    codeOf: (response: Response) => number,
  ): Promise<Response> {
    for (let tries = 1; ; tries++) {
      const { errorCode, nodeId } = await this.#findCoordinator();
      let code = errorCode;
      if (code === 0) {
        const response = await answered(send(await this.#cluster.connection("admin", nodeId)));
        code = codeOf(response);
        if (code === 0) {
          return response;
        }
      }
      if (!NO_COORDINATOR.has(nameOfCode(code)) || tries === COORDINATOR_TRIES) {
        throw errorOfCode(code);
      }
      await delay(COORDINATOR_PAUSE_MS);
    }
  }

  async #findCoordinator(): Promise<{ readonly errorCode: number; readonly nodeId: number }> {
    const connection = await this.#cluster.anyConnection("admin");
    const { coordinators } = await answered(
      findCoordinatorV4.api.async(connection, FindCoordinatorKeyTypes.GROUP, [this.#group]),
    );
    return coordinators[0] ?? { errorCode: 0, nodeId: -1 };
  }
}
