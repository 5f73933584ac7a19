/**
 * Owns what the peer's messages are made of: its header blocks and DATA, on the streams they belong
 * to.
 */
import type { ControlBudget } from "./control-budget.ts";
import { ConnectionError, ErrorCode } from "./errors.ts";
import { Flag, INITIAL_WINDOW_BYTES, MAX_31_BITS } from "./frame.ts";
import { paddingOf, requireSize } from "./frame-checks.ts";
import { HeaderAssembler } from "./header-assembler.ts";
import { HeaderList } from "./header-list.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { HEADER_BLOCK_FACTOR, type Limits } from "./limits.ts";
import type { OpenStreams } from "./open-streams.ts";
import type { ReceiveWindows } from "./receive-windows.ts";
import type { Role } from "./role.ts";

const EMPTY = Buffer.alloc(0);

/** Stands for the headers of a stream that depends on itself. */
const MALFORMED = new HeaderList();
MALFORMED.malformed = true;

/** The table that a peer may use until it knows our SETTINGS (RFC 9113 section 6.5.2). */
const INITIAL_TABLE_BYTES = 4096;

/** What the reader needs of its connection. */
interface MessageReaderParts {
  readonly limits: Limits;
  readonly budget: ControlBudget;
  readonly windows: ReceiveWindows;
  readonly streams: OpenStreams;
  readonly role: Role;
  /** A header block began, which has to end in time. */
  blockBegan(): void;
}

/**
 * Reads HEADERS, CONTINUATION and DATA. Throws ConnectionError for what breaks the whole
 * connection.
 */
export class MessageReader {
  readonly #parts: MessageReaderParts;
  readonly #budget: ControlBudget;
  readonly #windows: ReceiveWindows;
  readonly #streams: OpenStreams;
  readonly #role: Role;
  readonly #decoder: HpackDecoder;
  readonly #assembler: HeaderAssembler;
  /** The peer knows our SETTINGS. */
  #settingsKnown = false;

  constructor(parts: MessageReaderParts) {
    const { limits } = parts;
    this.#parts = parts;
    this.#budget = parts.budget;
    this.#windows = parts.windows;
    this.#streams = parts.streams;
    this.#role = parts.role;
    this.#decoder = new HpackDecoder(INITIAL_TABLE_BYTES, limits.maxHeaderListBytes);
    this.#assembler = new HeaderAssembler(
      limits.maxHeaderListBytes * HEADER_BLOCK_FACTOR,
      limits.maxContinuationFrames,
    );
  }

  /** A header block has begun and is not at its end: no other frame may come (section 6.10). */
  get blockOpen(): boolean {
    return this.#assembler.open;
  }

  /** When that block began, by `performance.now()`. */
  get blockOpenedAt(): number {
    return this.#assembler.openedAt;
  }

  /**
   * The window of a new stream: the least that the peer may think it is while our SETTINGS are on
   * their way.
   */
  get newStreamWindow(): number {
    const { streamBytes } = this.#windows;
    return this.#settingsKnown ? streamBytes : Math.max(streamBytes, INITIAL_WINDOW_BYTES);
  }

  /** The peer has acknowledged our SETTINGS. */
  settingsAcked(): void {
    if (!this.#settingsKnown) {
      this.#settingsKnown = true;
      this.#decoder.setTableLimit(this.#parts.limits.headerTableBytes);
    }
  }

  /** Section 6.1. */
  data(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const frameBytes = end - start;
    this.#windows.take(frameBytes);
    const stream = this.#streams.get(streamId);
    const endStream = (flags & Flag.END_STREAM) !== 0;
    if ((flags & Flag.PADDED) !== 0) {
      end -= paddingOf(bytes, start, end);
      start++;
    }
    if (end === start && !endStream) {
      this.#budget.spend();
    }
    if (stream === undefined) {
      this.#dropData(streamId, frameBytes);
      return;
    }
    const code = stream.receiving.check(frameBytes, end - start, endStream);
    if (code !== undefined) {
      this.#windows.give(frameBytes);
      this.#streams.breakOff(stream, code);
      return;
    }
    if (frameBytes > end - start) {
      // Nobody reads the padding.
      stream.receiving.consumed(frameBytes - (end - start));
    }
    stream.receiving.receive(end === start ? EMPTY : bytes.subarray(start, end), endStream);
  }

  /** DATA of a stream that is not open. */
  #dropData(streamId: number, frameBytes: number): void {
    this.requireOpened(streamId);
    this.#windows.give(frameBytes);
    if (!this.#streams.wasReset(streamId)) {
      this.#budget.spend();
      this.#streams.resetId(streamId, ErrorCode.STREAM_CLOSED);
    }
  }

  /** Section 6.2. `now` is when the frame came. */
  headers(flags: number, streamId: number, bytes: Buffer, start: number, end: number, now: number): void {
    if (streamId === 0) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "HEADERS on stream 0");
    }
    if ((flags & Flag.PADDED) !== 0) {
      end -= paddingOf(bytes, start, end);
      start++;
    }
    let dependsOn = 0;
    if ((flags & Flag.PRIORITY) !== 0) {
      requireSize(end - start >= 5, "HEADERS");
      dependsOn = bytes.readUInt32BE(start) & MAX_31_BITS;
      start += 5;
    }
    const endStream = (flags & Flag.END_STREAM) !== 0;
    if ((flags & Flag.END_HEADERS) === 0) {
      this.#assembler.begin(streamId, endStream, dependsOn, bytes.subarray(start, end), now);
      this.#parts.blockBegan();
      return;
    }
    this.#headerBlock(streamId, endStream, dependsOn, bytes, start, end);
  }

  /** Section 6.10. */
  continuation(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const assembler = this.#assembler;
    if (!assembler.open || assembler.streamId !== streamId) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "CONTINUATION of nothing");
    }
    this.#budget.spend();
    assembler.add(bytes.subarray(start, end));
    if ((flags & Flag.END_HEADERS) !== 0) {
      const block = assembler.take();
      this.#headerBlock(streamId, assembler.endStream, assembler.dependsOn, block, 0, block.length);
    }
  }

  /** Section 5.1: on an idle stream only HEADERS and PRIORITY may come. */
  requireOpened(streamId: number): void {
    if (streamId === 0 || this.#role.isIdle(streamId)) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, `a frame on stream ${streamId}, which is idle`);
    }
  }

  #headerBlock(
    streamId: number,
    endStream: boolean,
    dependsOn: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    // Decoded in any case: the table changes with each block.
    const list = this.#decoder.decode(bytes, start, end);
    const streams = this.#streams;
    const stream = streams.get(streamId);
    if (stream === undefined) {
      if (!streams.wasReset(streamId)) {
        this.#role.headers(streamId, dependsOn === streamId ? MALFORMED : list, endStream);
      }
      return;
    }
    const { receiving } = stream;
    if (receiving.ended) {
      streams.breakOff(stream, ErrorCode.STREAM_CLOSED);
    } else if (dependsOn === streamId) {
      streams.breakOff(stream, ErrorCode.PROTOCOL_ERROR);
    } else if (!receiving.hasHeaders) {
      this.#role.headers(streamId, list, endStream);
    } else if (!endStream || list.hasPseudo || list.malformed || list.tooLarge || receiving.isShort) {
      // Trailers end a stream and have no pseudo-header fields (section 8.1).
      streams.breakOff(stream, ErrorCode.PROTOCOL_ERROR);
    } else {
      stream.receiveTrailers(list);
    }
  }
}
