import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { compressionsAlgorithms } from "@platformatic/kafka";
import { storeError } from "../store-errors.ts";
import { MAX_BATCH_BYTES } from "./topic-config.ts";

/**
 * What Java's clients write before the blocks of snappy, with two versions of 32 bits behind it.
 */
const XERIAL = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEAD_BYTES = 16;

const LZ4_MAGIC = 0x184d2204;
/** The magic number, flags, the size of blocks. */
const LZ4_FIXED_BYTES = 6;
const LZ4_HAS_BLOCK_CHECKSUM = 1 << 4;
const LZ4_HAS_SIZE = 1 << 3;
const LZ4_HAS_CONTENT_CHECKSUM = 1 << 2;
const LZ4_HAS_DICTIONARY = 1;
/** In the size of a block: it is as it was, not compressed. */
const LZ4_PLAIN = 0x80000000;
const LZ4_MIN_MATCH_BYTES = 4;

/**
 * Decompresses the records of a batch. `compression` is Kafka's number of the method; 0 = none.
 * Throws {@link PrismError} `corrupt_data`, also if they would have more than
 * {@link MAX_BATCH_BYTES}: few compressed bytes could fill the memory.
 */
export function decompress(records: Buffer, compression: number): Buffer {
  try {
    switch (compression) {
      case 0:
        return records;
      case 1:
        return gunzipSync(records, { maxOutputLength: MAX_BATCH_BYTES });
      case 2:
        refuseLarge(sizeOfSnappy(records));
        return compressionsAlgorithms.snappy.decompressSync(records);
      case 3: {
        const { bytes, end } = sizeOfLz4(records);
        refuseLarge(bytes);
        return compressionsAlgorithms.lz4.decompressSync(records.subarray(0, end));
      }
      case 4:
        return zstdDecompressSync(records, { maxOutputLength: MAX_BATCH_BYTES });
    }
  } catch (error) {
    const isLarge = error instanceof Error && Reflect.get(error, "code") === "ERR_BUFFER_TOO_LARGE";
    throw storeError("corrupt_data", isLarge ? tooLarge() : error);
  }
  throw storeError("corrupt_data", new Error(`compression ${compression} is unknown`));
}

function refuseLarge(bytes: number): void {
  if (bytes > MAX_BATCH_BYTES) {
    throw tooLarge();
  }
}

function tooLarge(): Error {
  return new Error(`the records of a compressed batch have more than ${MAX_BATCH_BYTES} bytes`);
}

/** The size that the blocks tell of themselves. Whoever decompresses them makes that much room. */
function sizeOfSnappy(records: Buffer): number {
  if (!records.subarray(0, XERIAL.length).equals(XERIAL)) {
    return sizeOfSnappyBlock(records, 0);
  }
  let bytes = 0;
  for (let at = XERIAL_HEAD_BYTES; at < records.length; ) {
    const size = records.readUInt32BE(at);
    bytes += sizeOfSnappyBlock(records, at + 4);
    at += 4 + size;
  }
  return bytes;
}

/** A varint of 32 bits without sign. */
function sizeOfSnappyBlock(records: Buffer, start: number): number {
  let bytes = 0;
  for (let i = 0; i < 5; i++) {
    const byte = records.readUInt8(start + i);
    bytes += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) {
      break;
    }
  }
  return bytes;
}

/**
 * The size of what is in a frame (lz4_Frame_format.md), and where the frame ends. A frame need not
 * tell its size, so this adds up what its blocks make.
 */
function sizeOfLz4(records: Buffer): { readonly bytes: number; readonly end: number } {
  if (records.readUInt32LE(0) !== LZ4_MAGIC) {
    throw new Error("a frame of lz4 begins otherwise");
  }
  const flags = records.readUInt8(4);
  const has = (flag: number, size: number) => ((flags & flag) === 0 ? 0 : size);
  const checksumBytes = has(LZ4_HAS_BLOCK_CHECKSUM, 4);
  let bytes = 0;
  // Behind them stands the checksum of the head.
  let at = LZ4_FIXED_BYTES + has(LZ4_HAS_SIZE, 8) + has(LZ4_HAS_DICTIONARY, 4) + 1;
  for (;;) {
    const size = records.readUInt32LE(at);
    at += 4;
    if (size === 0) {
      return { bytes, end: at + has(LZ4_HAS_CONTENT_CHECKSUM, 4) };
    }
    if (size >= LZ4_PLAIN) {
      bytes += size - LZ4_PLAIN;
      at += size - LZ4_PLAIN + checksumBytes;
    } else {
      bytes += sizeOfLz4Block(records.subarray(at, at + size));
      at += size + checksumBytes;
    }
  }
}

/** Adds up literals and matches (lz4_Block_format.md). */
function sizeOfLz4Block(block: Buffer): number {
  let bytes = 0;
  let at = 0;
  /** A length of 15 goes on in bytes, of which 255 is never the last. */
  const length = (start: number): number => {
    let sum = start;
    if (start === 15) {
      let byte: number;
      do {
        byte = block[at++] ?? 0;
        sum += byte;
      } while (byte === 255);
    }
    return sum;
  };
  while (at < block.length) {
    const token = block[at++] ?? 0;
    const literals = length(token >>> 4);
    bytes += literals;
    at += literals;
    // The last one has no match.
    if (at < block.length) {
      at += 2;
      bytes += length(token & 15) + LZ4_MIN_MATCH_BYTES;
    }
  }
  return bytes;
}
