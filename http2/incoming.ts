import type { Duplex } from "node:stream";
import { ConnectionError, ErrorCode } from "./errors.ts";
import { Flag, INITIAL_WINDOW_BYTES, MAX_31_BITS } from "./frame.ts";
import { paddingOf, requireSize } from "./frame-checks.ts";
import { HeaderList } from "./header-list.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { type ConnectionOptions, Lifecycle } from "./lifecycle.ts";
import type { Stream } from "./stream.ts";

const EMPTY = Buffer.alloc(0);

/** Stands for the headers of a stream that depends on itself. */
const MALFORMED = new HeaderList();
MALFORMED.malformed = true;

/** The table that a peer may use until it knows our SETTINGS (RFC 9113 section 6.5.2). */
const INITIAL_TABLE_BYTES = 4096;

/** What a peer's messages are made of: header blocks and DATA, on the streams that they belong to. */
export abstract class Incoming extends Lifecycle {
  protected readonly decoder: HpackDecoder;
  /** The peer knows our SETTINGS. */
  protected settingsAcked = false;

  constructor(socket: Duplex, options: ConnectionOptions) {
    super(socket, options);
    this.decoder = new HpackDecoder(INITIAL_TABLE_BYTES, this.limits.maxHeaderListBytes);
  }

  /** A header block that opens a stream or answers one; malformed and too large ones too. */
  protected abstract onHeaders(streamId: number, list: HeaderList, endStream: boolean): void;
  /** Whether a stream that is not in `streams` was never opened (section 5.1, idle). */
  protected abstract isIdle(streamId: number): boolean;

  /** Section 6.1. */
  protected onData(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const frameBytes = end - start;
    this.receiveWindow -= frameBytes;
    if (this.receiveWindow < 0) {
      throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the connection's window");
    }
    const stream = this.streams.get(streamId);
    const endStream = (flags & Flag.END_STREAM) !== 0;
    if ((flags & Flag.PADDED) !== 0) {
      end -= paddingOf(bytes, start, end);
      start++;
    }
    if (end === start && !endStream) {
      this.spend();
    }
    if (stream === undefined) {
      this.requireOpened(streamId);
      this.consumed(undefined, frameBytes);
      if (!this.recentResets.has(streamId)) {
        this.spend();
        this.resetId(streamId, ErrorCode.STREAM_CLOSED);
      }
      return;
    }
    stream.receiveWindow -= frameBytes;
    const code = stream.remoteEnded
      ? ErrorCode.STREAM_CLOSED
      : stream.receiveWindow < 0
        ? ErrorCode.FLOW_CONTROL_ERROR
        : this.bodyError(stream, end - start, endStream);
    if (code !== undefined) {
      this.consumed(undefined, frameBytes);
      this.streamError(stream, code);
      return;
    }
    if (frameBytes > end - start) {
      // Nobody reads the padding.
      this.consumed(stream, frameBytes - (end - start));
    }
    stream.receive(end === start ? EMPTY : bytes.subarray(start, end), endStream);
  }

  /** Sections 8.1 and 8.1.1: DATA only after headers, and as much as content-length says. */
  private bodyError(stream: Stream, length: number, end: boolean): ErrorCode | undefined {
    if (!stream.hasHeaders) {
      return ErrorCode.PROTOCOL_ERROR;
    }
    if (stream.bodyLeft >= 0) {
      stream.bodyLeft -= length;
      if (stream.bodyLeft < 0 || (end && stream.bodyLeft > 0)) {
        return ErrorCode.PROTOCOL_ERROR;
      }
    }
    return undefined;
  }

  /** Section 6.2. */
  protected onHeadersFrame(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
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
      this.assembler.begin(streamId, endStream, dependsOn, bytes.subarray(start, end), this.receivedAt);
      this.clock.schedule();
      return;
    }
    this.onHeaderBlock(streamId, endStream, dependsOn, bytes, start, end);
  }

  /** Section 6.10. */
  protected onContinuation(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    const { assembler } = this;
    if (!assembler.open || assembler.streamId !== streamId) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "CONTINUATION of nothing");
    }
    this.spend();
    assembler.add(bytes.subarray(start, end));
    if ((flags & Flag.END_HEADERS) !== 0) {
      const block = assembler.take();
      this.onHeaderBlock(streamId, assembler.endStream, assembler.dependsOn, block, 0, block.length);
    }
  }

  private onHeaderBlock(
    streamId: number,
    endStream: boolean,
    dependsOn: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    const list = this.decoder.decode(bytes, start, end);
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      if (this.recentResets.has(streamId)) {
        return;
      }
      this.onHeaders(streamId, dependsOn === streamId ? MALFORMED : list, endStream);
      return;
    }
    if (stream.remoteEnded) {
      this.streamError(stream, ErrorCode.STREAM_CLOSED);
    } else if (dependsOn === streamId) {
      this.streamError(stream, ErrorCode.PROTOCOL_ERROR);
    } else if (!stream.hasHeaders) {
      this.onHeaders(streamId, list, endStream);
    } else if (!endStream || list.hasPseudo || list.malformed || list.tooLarge || stream.bodyLeft > 0) {
      // Trailers end a stream and have no pseudo-header fields (section 8.1).
      this.streamError(stream, ErrorCode.PROTOCOL_ERROR);
    } else {
      stream.trailers = list;
      stream.receive(EMPTY, true);
    }
  }

  /** Section 5.1: on an idle stream only HEADERS and PRIORITY may come. */
  protected requireOpened(streamId: number): void {
    if (streamId === 0 || this.isIdle(streamId)) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, `a frame on stream ${streamId}, which is idle`);
    }
  }

  /** The least that a peer may think its stream's window is, as long as our SETTINGS are on their way. */
  protected newReceiveWindow(): number {
    const { streamWindowBytes } = this.limits;
    return this.settingsAcked ? streamWindowBytes : Math.max(streamWindowBytes, INITIAL_WINDOW_BYTES);
  }
}
