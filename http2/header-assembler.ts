import { ConnectionError, ErrorCode } from "./errors.ts";

/**
 * Owns the header block that comes in several frames: HEADERS without END_HEADERS, and
 * CONTINUATION.
 */
export class HeaderAssembler {
  streamId = 0;
  endStream = false;
  /** The stream that the HEADERS frame depends on; 0 = none is named. */
  dependsOn = 0;
  /** Whether a block is open: until it ends, no other frame may come (RFC 9113 section 6.10). */
  open = false;
  openedAt = 0;
  #parts: Buffer[] = [];
  #bytes = 0;
  readonly #maxBytes: number;
  readonly #maxFrames: number;

  constructor(maxBytes: number, maxFrames: number) {
    this.#maxBytes = maxBytes;
    this.#maxFrames = maxFrames;
  }

  begin(streamId: number, endStream: boolean, dependsOn: number, part: Buffer, now: number): void {
    this.streamId = streamId;
    this.endStream = endStream;
    this.dependsOn = dependsOn;
    this.open = true;
    this.openedAt = now;
    this.#parts = [part];
    this.#bytes = part.length;
  }

  /** Throws ConnectionError above the limits: a block without end is an attack (CVE-2024-27316). */
  add(part: Buffer): void {
    this.#bytes += part.length;
    this.#parts.push(part);
    if (this.#bytes > this.#maxBytes || this.#parts.length > this.#maxFrames + 1) {
      throw new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "header block too long");
    }
  }

  take(): Buffer {
    const block = Buffer.concat(this.#parts);
    this.open = false;
    this.#parts = [];
    return block;
  }
}
