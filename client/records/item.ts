import type { MessageInitShape } from "@bufbuild/protobuf";
import { CompressionType, type ItemMetadataSchema } from "../../gen/prism/common/metadata_pb.ts";
import type { ItemSchema, Item as WireItem } from "../../gen/prism/keyvalue/v1/keyvalue_pb.ts";
import { requireKnown } from "../call.ts";
import { describe, fromInt64, ownBytes, toBytes, toInt32, toInt64, toText, type Value } from "../convert.ts";
import { invalidField } from "../errors.ts";

/** How a value is compressed. */
export type Compression = "none" | "lz4" | "zstd" | "gzip";

/**
 * What is kept with an item. `compression`, `encryption` and `chunking` say how the caller prepared
 * the value; the gateway and this client do nothing with them.
 */
export interface ItemFacts {
  /** Whole seconds from the write after which the item expires. Absent or 0: never. */
  readonly ttlSeconds?: number | undefined;
  readonly compression?: Compression | undefined;
  readonly encryption?: { readonly algorithm?: string; readonly keyId?: string } | undefined;
  readonly chunking?:
    | {
        readonly totalChunks?: number;
        readonly chunkSizeBytes?: number;
        readonly hashAlgorithm?: string;
        readonly hash?: Uint8Array;
      }
    | undefined;
}

/** An item to write. Text is stored as UTF-8. */
export interface NewItem extends ItemFacts {
  /** 1 to 1,024 bytes. */
  readonly key: Value;
  readonly value: Value;
}

/** An item of a record. */
export interface RecordItem extends ItemFacts {
  readonly key: Uint8Array<ArrayBuffer>;
  readonly value: Uint8Array<ArrayBuffer>;
  /** When it was first written, by the store's clock: milliseconds since 1970. */
  readonly createdAtMs: number;
  /** When it was last written. */
  readonly updatedAtMs: number;
}

const NEW_ITEM = {
  key: true,
  value: true,
  ttlSeconds: true,
  compression: true,
  encryption: true,
  chunking: true,
} satisfies Record<keyof NewItem, true>;

const ENCRYPTION = { algorithm: true, keyId: true } as const;
const CHUNKING = { totalChunks: true, chunkSizeBytes: true, hashAlgorithm: true, hash: true } as const;

const COMPRESSION_TYPES: ReadonlyMap<unknown, CompressionType> = new Map<Compression, CompressionType>([
  ["none", CompressionType.NONE],
  ["lz4", CompressionType.LZ4],
  ["zstd", CompressionType.ZSTD],
  ["gzip", CompressionType.GZIP],
]);

const COMPRESSIONS = new Map(
  Array.from(COMPRESSION_TYPES, ([name, type]) => [type, name as Compression] as const),
);

/** An item of a request. Throws `invalid_field`. */
export function toItem(item: unknown): MessageInitShape<typeof ItemSchema> {
  if (typeof item !== "object" || item === null || Array.isArray(item)) {
    throw invalidField(`items must be objects with key and value, not ${describe(item)}`);
  }
  requireKnown(NEW_ITEM, item);
  const { key, value, ...facts } = item as NewItem;
  return { key: toBytes("key", key), value: toBytes("value", value), metadata: toMetadata(facts) };
}

function toMetadata(facts: ItemFacts): MessageInitShape<typeof ItemMetadataSchema> {
  const { ttlSeconds = 0, compression, encryption, chunking } = facts;
  const type = compression === undefined ? CompressionType.UNSPECIFIED : COMPRESSION_TYPES.get(compression);
  if (type === undefined) {
    const names = [...COMPRESSION_TYPES.keys()].join(", ");
    throw invalidField(`compression must be one of ${names}, not ${describe(compression)}`);
  }
  return {
    ttlSeconds: toInt64("ttlSeconds", ttlSeconds),
    compression: type,
    ...(encryption !== undefined && { encryption: toEncryption(encryption) }),
    ...(chunking !== undefined && { chunking: toChunking(chunking) }),
  };
}

function toEncryption(encryption: NonNullable<ItemFacts["encryption"]>) {
  requireKnown(ENCRYPTION, encryption);
  const { algorithm = "", keyId = "" } = encryption;
  return { algorithm: toText("algorithm", algorithm), keyId: toText("keyId", keyId) };
}

function toChunking(chunking: NonNullable<ItemFacts["chunking"]>) {
  requireKnown(CHUNKING, chunking);
  const { totalChunks = 0, chunkSizeBytes = 0, hashAlgorithm = "", hash = new Uint8Array(0) } = chunking;
  return {
    totalChunks: toInt32("totalChunks", totalChunks),
    chunkSizeBytes: toInt32("chunkSizeBytes", chunkSizeBytes),
    hashAlgorithm: toText("hashAlgorithm", hashAlgorithm),
    hash: toBytes("hash", hash),
  };
}

/** An item of an answer. What the writer did not state is absent. */
export function fromItem({ key, value, metadata }: WireItem): RecordItem {
  const { ttlSeconds = 0n, compression, encryption, chunking } = metadata ?? {};
  const stated = COMPRESSIONS.get(compression ?? CompressionType.UNSPECIFIED);
  return {
    key: ownBytes(key),
    value: ownBytes(value),
    createdAtMs: fromInt64("created_at_millis", metadata?.createdAtMillis ?? 0n),
    updatedAtMs: fromInt64("updated_at_millis", metadata?.updatedAtMillis ?? 0n),
    ...(ttlSeconds !== 0n && { ttlSeconds: fromInt64("ttl_seconds", ttlSeconds) }),
    ...(stated !== undefined && { compression: stated }),
    ...(encryption !== undefined && {
      encryption: { algorithm: encryption.algorithm, keyId: encryption.keyId },
    }),
    ...(chunking !== undefined && {
      chunking: {
        totalChunks: chunking.totalChunks,
        chunkSizeBytes: chunking.chunkSizeBytes,
        hashAlgorithm: chunking.hashAlgorithm,
        hash: ownBytes(chunking.hash),
      },
    }),
  };
}
