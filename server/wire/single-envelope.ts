import { Code, ConnectError } from "@connectrpc/connect";
import { type MessageLimits, messageTooLarge } from "./message-limits.ts";
import { COMPRESSED_FLAG, ENVELOPE_HEAD_BYTES, UNNAMED_COMPRESSION } from "./wire-format.ts";

/**
 * The message of a body that must hold exactly one envelope. Its flags are 0 or, with
 * `compression`, COMPRESSED_FLAG. Throws PrismError if it is too large, otherwise ConnectError in
 * Connect's words. `kind` is the method's kind.
 */
export function readSingleEnvelope(
  body: Uint8Array,
  kind: "unary" | "server-streaming",
  limits: MessageLimits,
  compression: boolean,
): Uint8Array {
  if (body.byteLength === 0) {
    throw new ConnectError(`protocol error: missing input message for ${kind} method`, Code.Unimplemented);
  }
  const length = envelopeLength(body);
  if (length > limits.maxBytes && length !== Number.POSITIVE_INFINITY) {
    throw messageTooLarge(limits);
  }
  const end = ENVELOPE_HEAD_BYTES + length;
  const rest = body.byteLength - end;
  if (rest < 0 || (rest > 0 && rest < ENVELOPE_HEAD_BYTES + envelopeLength(body.subarray(end)))) {
    throw new ConnectError("protocol error: incomplete envelope", Code.InvalidArgument);
  }
  if (body[0] === COMPRESSED_FLAG && !compression) {
    throw new ConnectError(UNNAMED_COMPRESSION, Code.Internal);
  }
  if (body[0] !== 0 && !(compression && body[0] === COMPRESSED_FLAG)) {
    throw new ConnectError("protocol error: a flag without its meaning", Code.InvalidArgument);
  }
  if (rest > 0) {
    throw new ConnectError(
      `protocol error: received extra input message for ${kind} method`,
      Code.Unimplemented,
    );
  }
  return body.subarray(ENVELOPE_HEAD_BYTES);
}

/** The envelope's declared length; Infinity = its head is incomplete. */
function envelopeLength(bytes: Uint8Array): number {
  return bytes.byteLength < ENVELOPE_HEAD_BYTES
    ? Number.POSITIVE_INFINITY
    : (bytes[1] ?? 0) * 0x100_0000 + (((bytes[2] ?? 0) << 16) | ((bytes[3] ?? 0) << 8) | (bytes[4] ?? 0));
}
