import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type ItemMetadata, ItemMetadataSchema } from "../gen/prism/common/metadata_pb.ts";
import { PrismError } from "./errors.ts";

/**
 * The metadata of an item as stores keep it: the message, encoded, without its times and its time
 * to live, which stores keep apart. Empty = nothing was stated.
 */

const NOTHING = new Uint8Array(0);

/** The parts of the metadata that stores keep as they came. */
export function packMetadata(metadata: ItemMetadata | undefined): Uint8Array {
  if (metadata === undefined) {
    return NOTHING;
  }
  const { compression, encryption, chunking } = metadata;
  if (compression === 0 && encryption === undefined && chunking === undefined) {
    return NOTHING;
  }
  const kept = { compression, ...(encryption && { encryption }), ...(chunking && { chunking }) };
  return toBinary(ItemMetadataSchema, create(ItemMetadataSchema, kept));
}

/** These parts again. Throws {@link PrismError} `corrupt_data`. */
export function unpackMetadata(metadata: Uint8Array): MessageInitShape<typeof ItemMetadataSchema> {
  if (metadata.length === 0) {
    return {};
  }
  try {
    return fromBinary(ItemMetadataSchema, metadata);
  } catch (error) {
    const message = "the metadata of an item does not read back as what was written";
    throw new PrismError("corrupt_data", message, { cause: error });
  }
}
