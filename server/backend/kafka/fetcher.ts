import {
  type Connection,
  createAPI,
  listOffsetsV7,
  offsetForLeaderEpochV4,
  type Reader,
} from "@platformatic/kafka";
import { abortError, PrismError } from "../../errors.ts";
import type { Call } from "../contract.ts";
import { storeError } from "../store-errors.ts";
import type { Cluster, Lane, Topic } from "./cluster.ts";
import { errorOfCode, nameOfCode, toPrismError } from "./errors.ts";
import { type Fetched, fetchOne } from "./fetch-response.ts";
import { type RecordBatch, readBatches } from "./record-batch.ts";

/** What the fetcher needs of a {@link Topic}. */
export type TopicPart = Pick<Topic, "name" | "id" | "leader">;

/** A topic is not as it was: it has another leader, or it is gone, or it was made again. */
export class StaleTopicError extends PrismError {
  constructor(what: string) {
    super("store_unavailable", "the store cannot be reached", { cause: new Error(what) });
  }
}

/** Instead of a time: the first offset that is kept, and the end of the log. */
export const EARLIEST = -2;
export const LATEST = -1;

/** A part of a log. */
export interface LogPart {
  /** It has every event from this offset on, and before `nextOffset`. */
  readonly offset: number;
  /** `offset` if that is the end, and less if the end lies before it: then it is the end. */
  readonly nextOffset: number;
  /** The first may begin before `offset`, and before `startOffset`. */
  readonly batches: readonly RecordBatch[];
  /** The memory that the batches hold. */
  readonly bytes: number;
  /** Where the log began and ended when this was read. */
  readonly startOffset: number;
  readonly endOffset: number;
}

/** Where a log ends. */
export interface LogEnd {
  readonly offset: number;
  /** How often the leader was elected until then; -1 = Kafka does not tell. */
  readonly epoch: number;
}

/** How much is fetched at once. A batch that is larger comes whole. */
const FETCH_BYTES = 1024 * 1024;

/** Reads the logs of topics. */
export class Fetcher {
  readonly #cluster: Pick<Cluster, "connection">;

  constructor(cluster: Pick<Cluster, "connection">) {
    this.#cluster = cluster;
  }

  /**
   * Reads on from an offset, at once. An offset that is no longer kept counts as the first that is.
   * Throws {@link StaleTopicError} and PrismError.
   */
  async fetch(topic: TopicPart, offset: number, call: Call, maxBytes = FETCH_BYTES): Promise<LogPart> {
    for (let from = offset; ; ) {
      const { errorCode, highWatermark, logStartOffset, records } = await this.#fetch(
        topic,
        from,
        call,
        maxBytes,
      );
      const isOutside = nameOfCode(errorCode) === "OFFSET_OUT_OF_RANGE";
      const first = isOutside ? await this.offsetAt(topic, EARLIEST, call) : from;
      if (first > from) {
        from = first;
        continue;
      }
      if (isOutside || (errorCode === 0 && from > highWatermark)) {
        // A new leader may know only later where the end is. This call fails until it does.
        const endOffset = await this.offsetAt(topic, LATEST, call);
        const nextOffset = Math.min(from, endOffset);
        const startOffset = Math.min(first, endOffset);
        return { offset, nextOffset, batches: [], bytes: 0, startOffset, endOffset };
      }
      checkCode(errorCode);
      const batches = readBatches(records);
      const nextOffset = Math.max(batches.at(-1)?.nextOffset ?? from, from);
      if (nextOffset === from && from < highWatermark) {
        throw storeError("corrupt_data", new Error(`nothing can be read at offset ${from}`));
      }
      const bytes = records.length;
      return { offset, nextOffset, batches, bytes, startOffset: logStartOffset, endOffset: highWatermark };
    }
  }

  /**
   * The first offset whose event is of this time or later; -1 = there is none. Or the offset that
   * {@link EARLIEST} or {@link LATEST} says. Throws as `fetch`.
   */
  async offsetAt(topic: TopicPart, timeMs: number, call: Call): Promise<number> {
    return (await this.#list(topic, timeMs, call)).offset;
  }

  /** Where the log ends. Throws as `fetch`. */
  endOf(topic: TopicPart, call: Call): Promise<LogEnd> {
    return this.#list(topic, LATEST, call);
  }

  /**
   * Where the events end that were appended in this leader epoch or before: whoever has read
   * further has read what the log has lost. -1 = Kafka does not know the epoch. Throws as `fetch`.
   */
  async endOfEpoch(topic: TopicPart, epoch: number, call: Call): Promise<number> {
    const partition = { partitionIndex: 0, currentLeaderEpoch: -1, leaderEpoch: epoch };
    const topics = [{ name: topic.name, partitions: [partition] }];
    const { errorCode, offset } = await this.#send(topic, "read", call, (connection) =>
      offsetForLeaderEpoch.async(connection, -1, topics),
    );
    checkCode(errorCode);
    return offset;
  }

  async #list(topic: TopicPart, timeMs: number, call: Call): Promise<LogEnd> {
    const partition = { partitionIndex: 0, currentLeaderEpoch: -1, timestamp: BigInt(timeMs) };
    const topics: listOffsetsV7.ListOffsetsRequestTopic[] = [{ name: topic.name, partitions: [partition] }];
    const { errorCode, ...listed } = await this.#send(topic, "read", call, (connection) =>
      listOffsets.async(connection, -1, 0, topics),
    );
    checkCode(errorCode);
    return listed;
  }

  #fetch(topic: TopicPart, offset: number, call: Call, maxBytes: number): Promise<Fetched> {
    const partition = {
      partition: 0,
      currentLeaderEpoch: -1,
      fetchOffset: BigInt(offset),
      lastFetchedEpoch: -1,
      partitionMaxBytes: maxBytes,
    };
    const topics = [{ topicId: topic.id, partitions: [partition] }];
    return this.#send(topic, "read", call, (connection) =>
      fetchOne.async(connection, NO_WAIT_MS, 0, maxBytes, ALL_RECORDS, 0, NO_SESSION, topics, [], ""),
    );
  }

  async #send<T>(
    { name, leader }: TopicPart,
    lane: Lane,
    call: Call,
    send: (connection: Connection) => Promise<T>,
  ): Promise<T> {
    if (leader < 0) {
      throw new StaleTopicError(`${name} has no leader`);
    }
    try {
      const connection = await untilAborted(this.#cluster.connection(lane, leader), call);
      return await untilAborted(send(connection), call);
    } catch (error) {
      throw toPrismError(error);
    }
  }
}

/** A broker answers the calls of a connection one after the other, so reads never wait. */
const NO_WAIT_MS = 0;
/** Also those of transactions that have not ended: Prism's own events must be seen at once. */
const ALL_RECORDS = 0;
/** The broker keeps nothing between fetches. */
const NO_SESSION = -1;

/** As the client's call, but an error of the partition is a value. */
const listOffsets = createAPI<
  Parameters<typeof listOffsetsV7.createRequest>,
  LogEnd & { readonly errorCode: number }
>(
  listOffsetsV7.api.key,
  listOffsetsV7.api.version,
  listOffsetsV7.createRequest,
  (_id, _key, _version, reader) => readListed(reader),
);
const offsetForLeaderEpoch = createAPI<
  Parameters<typeof offsetForLeaderEpochV4.createRequest>,
  { readonly errorCode: number; readonly offset: number }
>(
  offsetForLeaderEpochV4.api.key,
  offsetForLeaderEpochV4.api.version,
  offsetForLeaderEpochV4.createRequest,
  (_id, _key, _version, reader) => readEpochEnd(reader),
);

/** kafka.apache.org/protocol: ListOffsets Response (Version: 7), of one partition. */
function readListed(reader: Reader) {
  // The throttle time, and the number of topics.
  reader.readInt32();
  reader.readUnsignedVarInt();
  reader.readString();
  reader.readUnsignedVarInt();
  // The partition.
  reader.readInt32();
  const errorCode = reader.readInt16();
  // The time.
  reader.readInt64();
  return { errorCode, offset: Number(reader.readInt64()), epoch: reader.readInt32() };
}

/** kafka.apache.org/protocol: OffsetForLeaderEpoch Response (Version: 4), of one partition. */
function readEpochEnd(reader: Reader) {
  // The throttle time, and the number of topics.
  reader.readInt32();
  reader.readUnsignedVarInt();
  reader.readString();
  reader.readUnsignedVarInt();
  const errorCode = reader.readInt16();
  // The partition, and the epoch that was found.
  reader.readInt32();
  reader.readInt32();
  return { errorCode, offset: Number(reader.readInt64()) };
}

/** Answers that tell that a topic is not as it was. */
const STALE: ReadonlySet<string> = new Set([
  "UNKNOWN_TOPIC_ID",
  "UNKNOWN_TOPIC_OR_PARTITION",
  "INCONSISTENT_TOPIC_ID",
  "NOT_LEADER_OR_FOLLOWER",
  "LEADER_NOT_AVAILABLE",
  "REPLICA_NOT_AVAILABLE",
  "FENCED_LEADER_EPOCH",
  "UNKNOWN_LEADER_EPOCH",
  "OFFSET_NOT_AVAILABLE",
]);

function checkCode(code: number): void {
  const name = nameOfCode(code);
  if (STALE.has(name)) {
    throw new StaleTopicError(`Kafka answered ${name}`);
  }
  if (code !== 0) {
    throw errorOfCode(code);
  }
}

/** What the promise answers, or the abort's error if the call ends before. */
export function untilAborted<T>(promise: Promise<T>, call: Call): Promise<T> {
  if (call.aborted) {
    promise.catch(() => {});
    return Promise.reject(abortError(call.signal));
  }
  return new Promise((resolve, reject) => {
    const events = call.events ?? call.signal;
    const listener = { handleEvent: () => reject(abortError(call.signal)) };
    events.addEventListener("abort", listener);
    promise.then(resolve, reject).finally(() => events.removeEventListener("abort", listener));
  });
}
