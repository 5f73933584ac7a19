import { crc32c, Writer } from "@platformatic/kafka";

/*
 * A record batch of format 2 (kafka.apache.org/documentation/#recordbatch). Numbers are big-endian.
 *
 *   first offset: 64 bits; bytes behind here: 32; leader epoch: 32; format: 8; CRC-32C of what is
 *   behind it: 32; attributes: 16; last offset minus first: 32; first time, greatest time: 64 each;
 *   producer id: 64; producer epoch: 16; first sequence: 32; count of records: 32; records
 *
 * A record: its size; attributes: 8 bits; time minus first time; offset minus first offset; key;
 * value; count of headers; for each the name and the value. Sizes, counts and differences are
 * zigzag varints. Before a key, a name or a value stands its size; -1 = null.
 */
export const AT_SIZE = 8;
export const AT_LEADER_EPOCH = 12;
export const AT_FORMAT = 16;
export const AT_CRC = 17;
export const AT_ATTRIBUTES = 21;
export const AT_LAST_DELTA = 23;
export const AT_FIRST_TIME = 27;
export const AT_MAX_TIME = 35;
export const AT_PRODUCER_ID = 43;
export const AT_PRODUCER_EPOCH = 51;
export const AT_SEQUENCE = 53;
export const AT_COUNT = 57;
export const HEAD_BYTES = 61;
/** What stands before the bytes that `bytes behind here` counts. */
export const SIZE_END = 12;

export const FORMAT = 2;

/** Headers whose name begins so are tags. */
export const TAG_PREFIX = "t:";

/**
 * The checksum that belongs in a batch. The client copies a plain buffer before it computes, and
 * this one not.
 */
export function checksum(batch: Buffer): number {
  return crc32c(Writer.create().append(batch.subarray(AT_ATTRIBUTES)).dynamicBuffer);
}
