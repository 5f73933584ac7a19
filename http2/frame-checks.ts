import { ConnectionError, ErrorCode } from "./errors.ts";

/** Section 6.1: the padding must leave room for its own length. */
export function paddingOf(bytes: Buffer, start: number, end: number): number {
  requireSize(end > start, "a padded frame");
  const padding = bytes.readUInt8(start);
  if (padding >= end - start) {
    throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "padding longer than its frame");
  }
  return padding;
}

/** A frame of the whole connection. */
export function requireStreamZero(streamId: number, what: string): void {
  if (streamId !== 0) {
    throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, `${what} on stream ${streamId}`);
  }
}

/** `holds`: the frame has the size that its type has (section 4.2). */
export function requireSize(holds: boolean, what: string): void {
  if (!holds) {
    throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, `${what} of the wrong size`);
  }
}
