import type { ItemFacts } from "../../client/node.ts";

/** What the caller said of an item, for JSON. */
export function factsToJson({ compression, encryption, chunking }: ItemFacts): object {
  return {
    ...(compression !== undefined && { compression }),
    ...(encryption !== undefined && {
      encryption: { algorithm: encryption.algorithm, key_id: encryption.keyId },
    }),
    ...(chunking !== undefined && {
      chunking: {
        total_chunks: chunking.totalChunks,
        chunk_size_bytes: chunking.chunkSizeBytes,
        hash_algorithm: chunking.hashAlgorithm,
        ...(chunking.hash !== undefined && { hash_base64: Buffer.from(chunking.hash).toString("base64") }),
      },
    }),
  };
}

/** The opposite of {@link factsToJson}. The client checks what it is handed. */
export function factsFromJson({
  compression,
  encryption,
  chunking,
}: Readonly<Record<string, unknown>>): ItemFacts {
  const { algorithm, key_id: keyId } = toObject(encryption);
  const { total_chunks, chunk_size_bytes, hash_algorithm, hash_base64: hash } = toObject(chunking);
  return {
    ...(compression !== undefined && { compression }),
    ...(encryption !== undefined && { encryption: { algorithm, keyId } }),
    ...(chunking !== undefined && {
      chunking: {
        totalChunks: total_chunks,
        chunkSizeBytes: chunk_size_bytes,
        hashAlgorithm: hash_algorithm,
        ...(typeof hash === "string" && { hash: Buffer.from(hash, "base64") }),
      },
    }),
  } as unknown as ItemFacts;
}

function toObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
