/**
 * How JSON is read and written, in every protocol: fields that are zero, false or empty are there, and text that
 * is not UTF-8 is refused, where the default decoder would put U+FFFD in its place.
 */
export const JSON_OPTIONS = {
  alwaysEmitImplicit: true,
  textDecoder: new TextDecoder("utf-8", { fatal: true }),
} as const;

/** Of an envelope: flags (one byte) and length (four), in front of the message. */
export const ENVELOPE_HEAD_BYTES = 5;

/** Of an envelope (grpc.github.io/grpc/core/md_doc__p_r_o_t_o_c_o_l-_h_t_t_p2.html, "Compressed-Flag"). */
export const COMPRESSED_FLAG = 1;

/** What Connect says of a message with that flag in a request that names no compression. Nothing else tells it from broken protobuf. */
export const UNNAMED_COMPRESSION = "received compressed envelope, but do not know how to decompress";

/** A message in its envelope, as gRPC and Connect frame it. */
export function envelope(flags: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(ENVELOPE_HEAD_BYTES + data.byteLength);
  bytes[0] = flags;
  new DataView(bytes.buffer).setUint32(1, data.byteLength);
  bytes.set(data, ENVELOPE_HEAD_BYTES);
  return bytes;
}
