import { createAPI, fetchV13, type Reader } from "@platformatic/kafka";

/** An answer about one partition. */
export interface Fetched {
  readonly errorCode: number;
  readonly highWatermark: number;
  readonly logStartOffset: number;
  readonly records: Buffer;
}

/** Where the log of a topic ends. */
export interface FetchedEnd {
  readonly topicId: string;
  readonly errorCode: number;
  /** The end; tells nothing if there is an error. */
  readonly highWatermark: number;
}

/** What a fetch of several topics answers. `errorCode` is of the whole request. */
export interface FetchedEnds {
  readonly errorCode: number;
  readonly ends: readonly FetchedEnd[];
}

type FetchRequest = Parameters<typeof fetchV13.createRequest>;

/**
 * Fetches from one partition. As the client's call, but an error of the partition is a value, and
 * records stay as they are.
 */
export const fetchOne = createAPI<FetchRequest, Fetched>(
  fetchV13.api.key,
  fetchV13.api.version,
  fetchV13.createRequest,
  (_id, _key, _version, reader) => readOne(reader),
);

/** Fetches from one partition of each of several topics, and passes over the records. */
export const fetchEnds = createAPI<FetchRequest, FetchedEnds>(
  fetchV13.api.key,
  fetchV13.api.version,
  fetchV13.createRequest,
  (_id, _key, _version, reader) => readEnds(reader),
);

function readOne(reader: Reader): Fetched {
  const errorCode = readHead(reader);
  if (errorCode !== 0 || reader.readUnsignedVarInt() < 2) {
    return { errorCode, highWatermark: 0, logStartOffset: 0, records: Buffer.alloc(0) };
  }
  reader.readUUID();
  reader.readUnsignedVarInt();
  const { recordBytes, ...partition } = readPartition(reader);
  const records = reader.buffer.slice(reader.position, reader.position + recordBytes);
  return { ...partition, records };
}

function readEnds(reader: Reader): FetchedEnds {
  const errorCode = readHead(reader);
  const ends = reader.readArray((topic) => {
    const topicId = topic.readUUID();
    const [partition] = topic.readArray((each) => {
      const { recordBytes, errorCode, highWatermark } = readPartition(each);
      each.skip(recordBytes);
      return { errorCode, highWatermark };
    });
    return { topicId, errorCode: 0, highWatermark: 0, ...partition };
  });
  return { errorCode, ends };
}

/**
 * kafka.apache.org/protocol: Fetch Response (Version: 13), up to the topics. Answers the error of
 * the request; 0 = none.
 */
function readHead(reader: Reader): number {
  // The throttle time.
  reader.readInt32();
  const errorCode = reader.readInt16();
  // The session.
  reader.readInt32();
  return errorCode;
}

/** One partition up to its records. */
function readPartition(reader: Reader) {
  // The partition.
  reader.readInt32();
  const errorCode = reader.readInt16();
  const highWatermark = Number(reader.readInt64());
  // The last stable offset.
  reader.readInt64();
  const logStartOffset = Number(reader.readInt64());
  reader.readNullableArray((transaction) => transaction.skip(16));
  // The preferred replica.
  reader.readInt32();
  const recordBytes = Math.max(reader.readUnsignedVarInt() - 1, 0);
  return { errorCode, highWatermark, logStartOffset, recordBytes };
}
