import { setTimeout as delay } from "node:timers/promises";
import {
  type Connection,
  createAPI,
  initProducerIdV4,
  type Reader,
  ResponseError,
  Writer,
} from "@platformatic/kafka";

/** How long a broker that has just started may have no numbers for producers. */
const LOADING_MS = 500;
const PAUSE_MS = 5;

/** Takes the number of a new producer. Rejects as the client does. */
export async function takeProducerId(connection: Connection): Promise<bigint> {
  for (const endMs = performance.now() + LOADING_MS; ; await delay(PAUSE_MS)) {
    try {
      const { producerId } = await initProducerIdV4.api.async(connection, null, 0);
      return producerId;
    } catch (error) {
      const isLoading =
        error instanceof ResponseError && error.findBy("apiId", "COORDINATOR_LOAD_IN_PROGRESS") !== null;
      if (!isLoading || performance.now() > endMs) {
        throw error;
      }
    }
  }
}

/** What became of a topic's batch. */
export interface ProduceAnswer {
  readonly code: number;
  /** -1 if it failed. */
  readonly offset: number;
  /**
   * The time that the broker gave all events of the batch. -1 = they have their own. For a batch
   * that was sent before, it may be their greatest own time too.
   */
  readonly logAppendTimeMs: number;
  /** What the broker says of the failure. "" = nothing. */
  readonly message: string;
}

/** By the names of the topics. */
export type ProduceAnswers = ReadonlyMap<string, ProduceAnswer>;

/** A batch and where it goes. */
export interface ProduceItem {
  readonly topic: string;
  readonly batch: Buffer;
}

const PRODUCE = 0;
const PRODUCE_VERSION = 9;
/** The batch is in all replicas that are in sync before it is answered. */
const ALL_REPLICAS = -1;

/**
 * The call Produce with batches that are encoded already. A broker's refusal of one topic is an
 * answer: the client's own call throws, whatever became of the others.
 */
export const produce = createAPI<[timeoutMs: number, items: readonly ProduceItem[]], ProduceAnswers>(
  PRODUCE,
  PRODUCE_VERSION,
  (timeoutMs: number, items: readonly ProduceItem[]) =>
    Writer.create()
      .appendString(null)
      .appendInt16(ALL_REPLICAS)
      .appendInt32(timeoutMs)
      .appendArray([...items], (topics, { topic, batch }) => {
        topics.appendString(topic).appendArray([0], (partitions, partition) => {
          partitions
            .appendInt32(partition)
            .appendUnsignedVarInt(batch.length + 1)
            .append(batch);
        });
      })
      .appendTaggedFields(),
  (_id, _key, _version, reader) => readAnswers(reader),
);

function readAnswers(reader: Reader): ProduceAnswers {
  const answers = new Map<string, ProduceAnswer>();
  reader.readArray((topics) => {
    const topic = topics.readString();
    topics.readArray((partitions) => {
      partitions.readInt32();
      const code = partitions.readInt16();
      const offset = Number(partitions.readInt64());
      const logAppendTimeMs = Number(partitions.readInt64());
      // The first offset of the log.
      partitions.readInt64();
      // What is wrong with single records. The first tells enough.
      let ofRecord = "";
      partitions.readArray((records) => {
        records.readInt32();
        ofRecord ||= records.readNullableString() ?? "";
      });
      const message = partitions.readNullableString() || ofRecord;
      answers.set(topic, { code, offset, logAppendTimeMs, message });
    });
  });
  return answers;
}
