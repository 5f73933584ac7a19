import type { Duplex } from "node:stream";
import { ConnectionError, ErrorCode, toErrorCode } from "./errors.ts";
import { Flag, FrameType, MAX_31_BITS, Setting } from "./frame.ts";
import { requireSize, requireStreamZero } from "./frame-checks.ts";
import { FrameReader } from "./frame-reader.ts";
import { Incoming } from "./incoming.ts";
import type { ConnectionOptions } from "./lifecycle.ts";
import { applySettings } from "./settings.ts";
import type { Stream } from "./stream.ts";
import { TurnShare } from "./turn-share.ts";

/** After how many frames the clock is looked at: all of them would cost more than it is worth. */
const LOOK_MASK = 3;

/**
 * One HTTP/2 connection over a socket: reads its frames and keeps the states of its streams. Errors of the peer
 * are answered with RST_STREAM or GOAWAY (RFC 9113 section 5.4); nothing that it sends makes the engine throw.
 */
export abstract class Connection extends Incoming {
  /** What the peer lets us open; until it says, an honest guess. */
  peerMaxStreams = 100;
  private readonly reader: FrameReader;
  private settingsSeen = false;
  private receiving = false;
  /** Chunks that are not read yet, the first of them from `readTo` on. */
  private readonly held: Buffer[] = [];
  private readTo = 0;
  private frames = 0;
  private readonly turn = new TurnShare(() => this.readHeld());

  constructor(socket: Duplex, options: ConnectionOptions, expectPreface: boolean) {
    super(socket, options);
    this.reader = new FrameReader(this.limits.maxFrameBytes, expectPreface);
    socket.on("data", (chunk: Buffer) => this.receive(chunk));
    this.clock.schedule();
  }

  override get started(): boolean {
    return this.reader.started;
  }

  protected abstract onGoaway(lastStreamId: number, code: ErrorCode): void;

  /** Another chunk of the peer's is about to be read. */
  protected abstract onChunk(): void;

  private receive(chunk: Buffer): void {
    if (this.ending) {
      return;
    }
    this.held.push(chunk);
    // A socket in this process may answer from within a write of ours.
    if (!this.receiving && !this.turn.waiting) {
      this.readHeld();
    }
  }

  private readHeld(): void {
    this.receiving = true;
    this.receivedAt = performance.now();
    this.turn.begin(this.receivedAt);
    this.onChunk();
    while (this.held[0] !== undefined && !this.turn.waiting && !this.ending) {
      this.readChunk(this.held[0]);
    }
    if (this.ending) {
      this.held.length = 0;
    }
    this.receiving = false;
    if (this.sender.output.waitingBytes > this.limits.maxOutputBytes) {
      this.cut(new ConnectionError(ErrorCode.ENHANCE_YOUR_CALM, "the peer does not read"));
    }
    if (this.turn.waiting) {
      this.socket.pause();
    } else if (this.socket.isPaused()) {
      this.socket.resume();
    }
  }

  /** The rest of the first chunk that is held, or as much of it as the turn has time for. */
  private readChunk(chunk: Buffer): void {
    try {
      this.readTo = this.reader.push(chunk, this, this.readTo);
    } catch (error) {
      const known = error instanceof ConnectionError;
      this.fail(known ? error.code : ErrorCode.INTERNAL_ERROR, known ? error.message : "", error as Error);
      if (!known) {
        this.reportError(error);
      }
    }
    if (this.readTo === chunk.length) {
      this.held.shift();
      this.readTo = 0;
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
    return !this.ending && (this.isClient || (++this.frames & LOOK_MASK) !== 0 || this.turn.goesOn());
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
      this.chargeFor(stream);
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
      for (const stream of this.streams.all()) {
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
    this.onCapacity(undefined);
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

  /** Our SETTINGS, and the connection's window (sections 6.5 and 6.9.2). */
  protected announce(): void {
    const { limits } = this;
    this.sender.settings([
      ...(this.isClient ? ([[Setting.ENABLE_PUSH, 0]] as const) : []),
      [Setting.HEADER_TABLE_SIZE, limits.headerTableBytes],
      [Setting.MAX_CONCURRENT_STREAMS, this.isClient ? 0 : limits.maxConcurrentStreams],
      [Setting.INITIAL_WINDOW_SIZE, limits.streamWindowBytes],
      [Setting.MAX_FRAME_SIZE, limits.maxFrameBytes],
      [Setting.MAX_HEADER_LIST_SIZE, limits.maxHeaderListBytes],
    ]);
    const extra = limits.connectionWindowBytes - this.receiveWindow;
    if (extra > 0) {
      this.receiveWindow += extra;
      this.sender.windowUpdate(0, extra);
    }
  }
}
