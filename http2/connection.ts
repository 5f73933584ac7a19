import type { Duplex } from "node:stream";
import { ConnectionError, ErrorCode, toErrorCode } from "./errors.ts";
import { Flag, FrameType, INITIAL_WINDOW_BYTES, MAX_31_BITS } from "./frame.ts";
import { FrameReader } from "./frame-reader.ts";
import { HeaderList } from "./header-list.ts";
import { HpackDecoder } from "./hpack-decoder.ts";
import { type ConnectionOptions, Lifecycle } from "./lifecycle.ts";
import { applySettings } from "./settings.ts";
import type { Stream } from "./stream.ts";

const EMPTY = Buffer.alloc(0);

/** Stands for the headers of a stream that depends on itself. */
const MALFORMED = new HeaderList();
MALFORMED.malformed = true;

/** The table that a peer may use until it knows our SETTINGS (RFC 9113 section 6.5.2). */
const INITIAL_TABLE_BYTES = 4096;

/**
 * One HTTP/2 connection over a socket: reads its frames and keeps the states of its streams. Errors of the peer
 * are answered with RST_STREAM or GOAWAY (RFC 9113 section 5.4); nothing that it sends makes the engine throw.
 */
export abstract class Connection extends Lifecycle {
  /** What the peer lets us open; until it says, an honest guess. */
  peerMaxStreams = 100;
  private readonly decoder: HpackDecoder;
  private readonly reader: FrameReader;
  private settingsSeen = false;
  private settingsAcked = false;
  private receiving = false;
  private readonly held: Buffer[] = [];

  constructor(socket: Duplex, options: ConnectionOptions, expectPreface: boolean) {
    super(socket, options);
    this.decoder = new HpackDecoder(INITIAL_TABLE_BYTES, this.limits.maxHeaderListBytes);
    this.reader = new FrameReader(this.limits.maxFrameBytes, expectPreface);
    socket.on("data", (chunk: Buffer) => this.receive(chunk));
    this.clock.schedule();
  }

  override get started(): boolean {
    return this.reader.started;
  }

  /** A header block that opens a stream or answers one; malformed and too large ones too. */
  protected abstract onHeaders(streamId: number, list: HeaderList, endStream: boolean): void;
  /** Whether a stream that is not in `streams` was never opened (section 5.1, idle). */
  protected abstract isIdle(streamId: number): boolean;
  protected abstract onGoaway(lastStreamId: number, code: ErrorCode): void;

  private receive(chunk: Buffer): void {
    if (this.ending) {
      return;
    }
    if (this.receiving) {
      // A socket in this process may answer from within a write of ours.
      this.held.push(chunk);
      return;
    }
    this.receiving = true;
    this.receivedAt = performance.now();
    for (let next: Buffer | undefined = chunk; next !== undefined; next = this.held.shift()) {
      try {
        this.reader.push(next, this);
      } catch (error) {
        const known = error instanceof ConnectionError;
        this.fail(known ? error.code : ErrorCode.INTERNAL_ERROR, known ? error.message : "", error as Error);
        if (!known) {
          this.reportError(error);
        }
      }
    }
    this.receiving = false;
    if (this.sender.output.waitingBytes > this.limits.maxOutputBytes) {
      this.cut(new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "the peer does not read"));
    }
  }

  /** For the frame reader. */
  onFrame(type: number, flags: number, streamId: number, bytes: Buffer, start: number, end: number): boolean {
    if (this.assembler.open && type !== FrameType.CONTINUATION) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "a frame amid a header block");
    }
    switch (type) {
      case FrameType.DATA:
        this.onData(flags, streamId, bytes, start, end);
        break;
      case FrameType.HEADERS:
        this.onHeadersFrame(flags, streamId, bytes, start, end);
        break;
      case FrameType.CONTINUATION:
        this.onContinuation(flags, streamId, bytes, start, end);
        break;
      case FrameType.WINDOW_UPDATE:
        this.onWindowUpdate(streamId, bytes, start, end);
        break;
      case FrameType.RST_STREAM:
        this.onRstStream(streamId, bytes, start, end);
        break;
      case FrameType.PING:
        this.onPing(flags, streamId, bytes, start, end);
        break;
      case FrameType.SETTINGS:
        this.onSettings(flags, streamId, bytes, start, end);
        break;
      case FrameType.GOAWAY:
        this.spend();
        requireStreamZero(streamId, "GOAWAY");
        requireSize(end - start >= 8, "GOAWAY");
        this.onGoaway(bytes.readUInt32BE(start) & MAX_31_BITS, toErrorCode(bytes.readUInt32BE(start + 4)));
        break;
      case FrameType.PRIORITY:
        this.onPriority(streamId, bytes, start, end);
        break;
      case FrameType.PUSH_PROMISE:
        // A client may not push, and we do not let a server (section 8.4).
        throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE");
      default:
        // Unknown types are ignored (section 5.5).
        this.spend();
    }
    return !this.ending;
  }

  /** Section 6.1. */
  private onData(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
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
  private onHeadersFrame(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
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
  private onContinuation(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
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

  /** Section 6.9. */
  private onWindowUpdate(streamId: number, bytes: Buffer, start: number, end: number): void {
    this.spend();
    requireSize(end - start === 4, "WINDOW_UPDATE");
    const increment = bytes.readUInt32BE(start) & MAX_31_BITS;
    if (streamId === 0) {
      if (increment === 0) {
        throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0");
      }
      if (!this.sender.grow(increment)) {
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "window above 2^31-1");
      }
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      this.requireOpened(streamId);
      return;
    }
    if (increment === 0) {
      this.streamError(stream, ErrorCode.PROTOCOL_ERROR);
      return;
    }
    this.growStream(stream, increment);
  }

  /** Section 6.9.1: above 2^31-1 the stream is reset. */
  private growStream(stream: Stream, increment: number): void {
    stream.sendWindow += increment;
    if (stream.sendWindow > MAX_31_BITS) {
      this.streamError(stream, ErrorCode.FLOW_CONTROL_ERROR);
    } else if (stream.outbox.bytes > 0) {
      this.sender.schedule(stream);
    }
  }

  /** Section 6.4. */
  private onRstStream(streamId: number, bytes: Buffer, start: number, end: number): void {
    this.spend();
    requireSize(end - start === 4, "RST_STREAM");
    const code = toErrorCode(bytes.readUInt32BE(start));
    const stream = this.streams.get(streamId);
    if (stream === undefined) {
      this.requireOpened(streamId);
    } else if (code === ErrorCode.NO_ERROR && stream.remoteEnded) {
      // The answer is complete, and the peer wants no more of the request (section 8.1); the answer may still be read.
      this.sender.forget(stream);
      stream.outbox.clear();
      stream.ending = true;
      stream.localEnded = true;
      this.halfEnded(stream);
    } else {
      this.closeStream(stream, code);
    }
  }

  /** Section 6.7. */
  private onPing(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    requireStreamZero(streamId, "PING");
    requireSize(end - start === 8, "PING");
    this.spend();
    const payload = bytes.subarray(start, end);
    if ((flags & Flag.ACK) === 0) {
      this.sender.ping(payload, true);
    } else {
      this.onPingAck(payload);
    }
  }

  /** Section 6.5. */
  private onSettings(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    requireStreamZero(streamId, "SETTINGS");
    this.spend();
    if ((flags & Flag.ACK) !== 0) {
      requireSize(end === start, "SETTINGS");
      if (!this.settingsAcked) {
        this.settingsAcked = true;
        this.decoder.setTableLimit(this.limits.headerTableBytes);
      }
      return;
    }
    requireSize((end - start) % 6 === 0, "SETTINGS");
    if (!this.settingsSeen) {
      this.settingsSeen = true;
      // A peer that does not say sets no limit (section 6.5.2).
      this.peerMaxStreams = MAX_31_BITS;
    }
    const windowChange = applySettings(bytes, start, end, this, this.sender);
    // Before the DATA that the new windows allow.
    this.sender.settingsAck();
    if (windowChange !== 0) {
      for (const stream of this.streams.values()) {
        // It may go below 0 (section 6.9.2).
        stream.sendWindow += windowChange;
        if (stream.sendWindow > MAX_31_BITS) {
          throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "window above 2^31-1");
        }
        if (stream.outbox.bytes > 0) {
          this.sender.wake(stream);
        }
      }
      this.sender.pump();
    }
    this.onCapacity();
  }

  /** Section 6.3; priorities are not used (section 5.3.2), only checked. */
  private onPriority(streamId: number, bytes: Buffer, start: number, end: number): void {
    this.spend();
    if (streamId === 0) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0");
    }
    const broken = end - start !== 5 ? ErrorCode.FRAME_SIZE_ERROR : ErrorCode.PROTOCOL_ERROR;
    if (end - start === 5 && (bytes.readUInt32BE(start) & MAX_31_BITS) !== streamId) {
      return;
    }
    const stream = this.streams.get(streamId);
    if (stream !== undefined) {
      this.streamError(stream, broken);
    } else if (this.isIdle(streamId)) {
      // A stream that is not open cannot be reset.
      throw new ConnectionError(broken, "PRIORITY");
    } else {
      this.resetId(streamId, broken);
    }
  }

  /** Section 5.1: on an idle stream only HEADERS and PRIORITY may come. */
  private requireOpened(streamId: number): void {
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

/** Section 6.1: the padding must leave room for its own length. */
function paddingOf(bytes: Buffer, start: number, end: number): number {
  requireSize(end > start, "a padded frame");
  const padding = bytes.readUInt8(start);
  if (padding >= end - start) {
    throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "padding longer than its frame");
  }
  return padding;
}

function requireStreamZero(streamId: number, what: string): void {
  if (streamId !== 0) {
    throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, `${what} on stream ${streamId}`);
  }
}

function requireSize(holds: boolean, what: string): void {
  if (!holds) {
    throw new ConnectionError(ErrorCode.FRAME_SIZE_ERROR, `${what} of the wrong size`);
  }
}
