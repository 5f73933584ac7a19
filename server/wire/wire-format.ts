/**
 * JSON options for every protocol: zero, false and empty fields are written, and text that is not
 * UTF-8 is refused, where the default decoder would insert U+FFFD.
 */
export const JSON_OPTIONS = {
  alwaysEmitImplicit: true,
  textDecoder: new TextDecoder("utf-8", { fatal: true }),
} as const;

/** The size of an envelope's head: flags (one byte) and length (four) before the message. */
export const ENVELOPE_HEAD_BYTES = 5;

/**
 * A flag of an envelope (grpc.github.io/grpc/core/md_doc__p_r_o_t_o_c_o_l-_h_t_t_p2.html,
 * "Compressed-Flag").
 */
export const COMPRESSED_FLAG = 1;

/**
 * Connect's message for a compressed message in a request that names no compression. Nothing else
 * tells it from broken protobuf.
 */
export const UNNAMED_COMPRESSION = "received compressed envelope, but do not know how to decompress";

/** A message in its envelope, as gRPC and Connect frame it. */
export function envelope(flags: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(ENVELOPE_HEAD_BYTES + data.byteLength);
  bytes[0] = flags;
  new DataView(bytes.buffer).setUint32(1, data.byteLength);
  bytes.set(data, ENVELOPE_HEAD_BYTES);
  return bytes;
}
