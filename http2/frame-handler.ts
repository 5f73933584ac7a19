/**
 * Owns what each frame of the peer means: hands messages on, and does what all other frames ask
 * for.
 */
import type { ControlBudget } from "./control-budget.ts";
import type { Ending } from "./ending.ts";
import { ConnectionError, ErrorCode, toErrorCode } from "./errors.ts";
import { Flag, FrameType, MAX_31_BITS } from "./frame.ts";
import { requireSize, requireStreamZero } from "./frame-checks.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { MessageReader } from "./message-reader.ts";
import type { OpenStreams } from "./open-streams.ts";
import type { Pings } from "./pings.ts";
import type { Role } from "./role.ts";
import type { Sender } from "./sender.ts";
import type { PeerSettings } from "./settings.ts";

/** The parts of a connection that its frames are for. */
interface FrameHandlerParts {
  readonly budget: ControlBudget;
  readonly peer: PeerSettings;
  readonly frames: FrameWriter;
  readonly sender: Sender;
  readonly streams: OpenStreams;
  readonly messages: MessageReader;
  readonly pings: Pings;
  readonly ending: Ending;
  readonly role: Role;
}

/** Takes frames one by one. Throws ConnectionError for what breaks the whole connection. */
export class FrameHandler {
  readonly #parts: FrameHandlerParts;
  readonly #budget: ControlBudget;
  readonly #streams: OpenStreams;
  readonly #messages: MessageReader;

  constructor(parts: FrameHandlerParts) {
    this.#parts = parts;
    this.#budget = parts.budget;
    this.#streams = parts.streams;
    this.#messages = parts.messages;
  }

  /** The payload is `bytes` from `start` to `end`; it came at `now`, by `performance.now()`. */
  handle(
    type: number,
    flags: number,
    streamId: number,
    bytes: Buffer,
    start: number,
    end: number,
    now: number,
  ): void {
    const messages = this.#messages;
    if (messages.blockOpen && type !== FrameType.CONTINUATION) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "a frame amid a header block");
    }
    switch (type) {
      case FrameType.DATA:
        messages.data(flags, streamId, bytes, start, end);
        break;
      case FrameType.HEADERS:
        messages.headers(flags, streamId, bytes, start, end, now);
        break;
      case FrameType.CONTINUATION:
        messages.continuation(flags, streamId, bytes, start, end);
        break;
      case FrameType.WINDOW_UPDATE:
        this.#windowUpdate(streamId, bytes, start, end);
        break;
      case FrameType.RST_STREAM:
        this.#rstStream(streamId, bytes, start, end);
        break;
      case FrameType.PING:
        this.#ping(flags, streamId, bytes, start, end);
        break;
      case FrameType.SETTINGS:
        this.#settings(flags, streamId, bytes, start, end);
        break;
      case FrameType.GOAWAY:
        this.#goaway(streamId, bytes, start, end);
        break;
      case FrameType.PRIORITY:
        this.#priority(streamId, bytes, start, end);
        break;
      case FrameType.PUSH_PROMISE:
        // A client may not push, and our SETTINGS do not let a server (RFC 9113 section 8.4).
        throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE");
      default:
        // Unknown types are ignored (section 5.5).
        this.#budget.spend();
    }
  }

  /** Section 6.9. */
  #windowUpdate(streamId: number, bytes: Buffer, start: number, end: number): void {
    this.#budget.spend();
    requireSize(end - start === 4, "WINDOW_UPDATE");
    const increment = bytes.readUInt32BE(start) & MAX_31_BITS;
    if (streamId === 0) {
      if (increment === 0) {
        throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of 0");
      }
      if (!this.#parts.sender.grow(increment)) {
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "window above 2^31-1");
      }
      return;
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#messages.requireOpened(streamId);
    } else if (increment === 0) {
      this.#streams.breakOff(stream, ErrorCode.PROTOCOL_ERROR);
    } else if (!stream.sending.grow(increment)) {
      this.#streams.breakOff(stream, ErrorCode.FLOW_CONTROL_ERROR);
    } else if (stream.sending.queuedBytes > 0) {
      this.#parts.sender.schedule(stream.sending);
    }
  }

  /** Section 6.4. */
  #rstStream(streamId: number, bytes: Buffer, start: number, end: number): void {
    this.#budget.spend();
    requireSize(end - start === 4, "RST_STREAM");
    const code = toErrorCode(bytes.readUInt32BE(start));
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#messages.requireOpened(streamId);
    } else if (code === ErrorCode.NO_ERROR && stream.receiving.ended) {
      // The answer is complete and may still be read; the peer wants no more of the request
      // (section 8.1).
      stream.sending.stop();
      this.#parts.role.halfEnded(stream);
    } else {
      this.#streams.charge(stream);
      this.#streams.close(stream, code);
    }
  }

  /** Section 6.7. */
  #ping(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    requireStreamZero(streamId, "PING");
    requireSize(end - start === 8, "PING");
    this.#budget.spend();
    const payload = bytes.subarray(start, end);
    if ((flags & Flag.ACK) === 0) {
      this.#parts.frames.ping(payload, true);
    } else {
      this.#parts.ending.pingAcked(payload);
      this.#parts.pings.acked(payload);
    }
  }

  /** Section 6.5. */
  #settings(flags: number, streamId: number, bytes: Buffer, start: number, end: number): void {
    requireStreamZero(streamId, "SETTINGS");
    this.#budget.spend();
    if ((flags & Flag.ACK) !== 0) {
      requireSize(end === start, "SETTINGS");
      this.#messages.settingsAcked();
      return;
    }
    requireSize((end - start) % 6 === 0, "SETTINGS");
    const { peer, frames, role } = this.#parts;
    const windowChange = peer.apply(bytes, start, end);
    // Before the DATA that the new windows allow.
    frames.settingsAck();
    if (windowChange !== 0) {
      this.#changeWindows(windowChange);
    }
    role.settingsCame();
  }

  /** Section 6.9.2. */
  #changeWindows(bytes: number): void {
    const { sender } = this.#parts;
    for (const { sending } of this.#streams.all()) {
      if (!sending.grow(bytes)) {
        throw new ConnectionError(ErrorCode.FLOW_CONTROL_ERROR, "window above 2^31-1");
      }
      if (sending.queuedBytes > 0) {
        sender.wake(sending);
      }
    }
    sender.pump();
  }

  /** Section 6.8. */
  #goaway(streamId: number, bytes: Buffer, start: number, end: number): void {
    this.#budget.spend();
    requireStreamZero(streamId, "GOAWAY");
    requireSize(end - start >= 8, "GOAWAY");
    const code = toErrorCode(bytes.readUInt32BE(start + 4));
    this.#parts.role.goaway(bytes.readUInt32BE(start) & MAX_31_BITS, code);
  }

  /** Section 6.3; priorities are not used (section 5.3.2), only checked. */
  #priority(streamId: number, bytes: Buffer, start: number, end: number): void {
    this.#budget.spend();
    if (streamId === 0) {
      throw new ConnectionError(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0");
    }
    const broken = end - start !== 5 ? ErrorCode.FRAME_SIZE_ERROR : ErrorCode.PROTOCOL_ERROR;
    if (end - start === 5 && (bytes.readUInt32BE(start) & MAX_31_BITS) !== streamId) {
      return;
    }
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) {
      this.#streams.breakOff(stream, broken);
    } else if (this.#parts.role.isIdle(streamId)) {
      // A stream that is not open cannot be reset.
      throw new ConnectionError(broken, "PRIORITY");
    } else {
      this.#streams.resetId(streamId, broken);
    }
  }
}
