import type { Duplex } from "node:stream";
import type { ChunkQueue } from "./chunk-queue.ts";
import type { ControlBudget } from "./control-budget.ts";
import type { ErrorCode } from "./errors.ts";
import {
  Flag,
  FRAME_HEAD_BYTES,
  FrameType,
  INITIAL_WINDOW_BYTES,
  MAX_31_BITS,
  MIN_MAX_FRAME_BYTES,
  writeFrameHead,
} from "./frame.ts";
import { type EncodedHeaders, type HeaderBlock, HpackEncoder } from "./hpack-encoder.ts";
import { Output, REFERENCE_BYTES } from "./output.ts";

/** Longer DATA frames than this would keep other streams and control frames waiting. */
const MAX_DATA_FRAME_BYTES = 64 * 1024;

const EMPTY = Buffer.alloc(0);

/** A larger answer goes out as frames of its own, its body by reference. */
const MAX_COPY_BYTES = 16 * 1024;

/** What became of a stream's turn to send. */
const Turn = {
  /** A frame went out; more may follow. */
  SENT: 0,
  /** The last one went out. */
  DONE: 1,
  /** Nothing to send, or the stream's window is used up. */
  IDLE: 2,
  CONNECTION_WINDOW: 3,
} as const;
type Turn = (typeof Turn)[keyof typeof Turn];

/** What the sender has to know of a stream. */
export interface Outgoing {
  readonly id: number;
  /** What the peer lets this stream send yet; below zero after a SETTINGS that took some back. */
  sendWindow: number;
  /** What waits to be sent. */
  readonly outbox: ChunkQueue;
  /** Whether the stream ends behind what waits. */
  readonly ending: boolean;
  /** To send at the end; `undefined` = none. */
  readonly trailersToSend: EncodedHeaders | undefined;
  /** Told when everything of it was sent, or some of what waited was. */
  sent(done: boolean): void;
}

/** The sending half of a connection: frames out, within the peer's windows (RFC 9113 section 5.2) and the socket's. */
export class Sender {
  readonly output: Output;
  readonly encoder: HpackEncoder;
  /** What the peer takes, by its SETTINGS. */
  maxFrameBytes = MIN_MAX_FRAME_BYTES;
  initialWindow = INITIAL_WINDOW_BYTES;
  /** The connection's window. */
  window = INITIAL_WINDOW_BYTES;
  /** Body bytes that wait, of all streams. */
  bufferedBytes = 0;
  /** Some of them went out. */
  onRoom: (() => void) | undefined = undefined;
  /** More or less waits than before, here or in the output. */
  onUnsent: (() => void) | undefined = undefined;
  /** Streams that could send if the connection's window and the socket let them, in the order of their turns. */
  private readonly ready = new Set<Outgoing>();
  private readonly budget: ControlBudget;
  private pumping = false;

  /** Each DATA frame earns the budget one: it may honestly bring a WINDOW_UPDATE. */
  constructor(socket: Duplex, maxTableBytes: number, budget: ControlBudget) {
    this.budget = budget;
    this.output = new Output(socket);
    this.output.onDrain = () => this.pump();
    this.output.onHeld = () => this.onUnsent?.();
    this.encoder = new HpackEncoder(maxTableBytes);
  }

  /** HEADERS, and CONTINUATION where one frame has no room (sections 6.2 and 6.10). */
  headers(streamId: number, bytes: Buffer, endStream: boolean): void {
    const prefix = this.encoder.takePrefix();
    const block = prefix.length === 0 ? bytes : Buffer.concat([prefix, bytes]);
    const flags = endStream ? Flag.END_STREAM : 0;
    const { maxFrameBytes } = this;
    if (block.length <= maxFrameBytes) {
      this.frame(FrameType.HEADERS, flags | Flag.END_HEADERS, streamId, block);
      return;
    }
    this.frame(FrameType.HEADERS, flags, streamId, block.subarray(0, maxFrameBytes));
    for (let at = maxFrameBytes; at < block.length; at += maxFrameBytes) {
      const end = at + maxFrameBytes;
      const last = end >= block.length ? Flag.END_HEADERS : 0;
      this.frame(FrameType.CONTINUATION, last, streamId, block.subarray(at, end));
    }
  }

  /** HEADERS of a request: fields that come again, through the dynamic table, and those of this call alone. */
  request(streamId: number, base: HeaderBlock, more: EncodedHeaders | undefined): void {
    const { output, encoder } = this;
    if (encoder.hasPrefix) {
      const prefix = encoder.takePrefix();
      this.headers(streamId, Buffer.concat([prefix, encoder.encode(base), more?.bytes ?? EMPTY]), false);
      return;
    }
    const first = encoder.encode(base);
    const second = more?.bytes ?? EMPTY;
    const length = first.length + second.length;
    if (length > this.maxFrameBytes) {
      this.headers(streamId, Buffer.concat([first, second]), false);
      return;
    }
    let at = output.reserve(FRAME_HEAD_BYTES + length);
    at = writeFrameHead(output.bytes, at, length, FrameType.HEADERS, Flag.END_HEADERS, streamId);
    output.bytes.set(first, at);
    output.bytes.set(second, at + first.length);
  }

  /** A whole small answer in one piece, where nothing is in its way; false = nothing was sent. */
  reply(
    stream: Outgoing,
    headers: EncodedHeaders,
    data: Uint8Array,
    trailers: EncodedHeaders | undefined,
  ): boolean {
    const { output, maxFrameBytes } = this;
    const { length } = data;
    const head = headers.bytes;
    const tail = trailers?.bytes;
    if (
      length > this.window ||
      length > stream.sendWindow ||
      length > maxFrameBytes ||
      length > MAX_COPY_BYTES ||
      head.length > maxFrameBytes ||
      (tail !== undefined && tail.length > maxFrameBytes) ||
      output.blocked ||
      this.encoder.hasPrefix
    ) {
      return false;
    }
    const { id } = stream;
    const total =
      2 * FRAME_HEAD_BYTES + head.length + length + (tail === undefined ? 0 : FRAME_HEAD_BYTES + tail.length);
    let at = output.reserve(total);
    const { bytes } = output;
    at = writeFrameHead(bytes, at, head.length, FrameType.HEADERS, Flag.END_HEADERS, id);
    bytes.set(head, at);
    at += head.length;
    at = writeFrameHead(bytes, at, length, FrameType.DATA, tail === undefined ? Flag.END_STREAM : 0, id);
    bytes.set(data, at);
    at += length;
    if (tail !== undefined) {
      at = writeFrameHead(bytes, at, tail.length, FrameType.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, id);
      bytes.set(tail, at);
    }
    this.window -= length;
    stream.sendWindow -= length;
    this.budget.earn();
    return true;
  }

  /** One DATA frame, where nothing is in its way; false = nothing was sent. The stream has nothing queued. */
  sendNow(stream: Outgoing, data: Uint8Array, end: boolean): boolean {
    const { length } = data;
    if (
      length > this.window ||
      length > stream.sendWindow ||
      length > this.maxFrameBytes ||
      length > MAX_DATA_FRAME_BYTES ||
      this.output.blocked
    ) {
      return false;
    }
    this.window -= length;
    stream.sendWindow -= length;
    this.frame(FrameType.DATA, end ? Flag.END_STREAM : 0, stream.id, data);
    this.budget.earn();
    return true;
  }

  /** The stream has something to send: now, if nothing is in its way. */
  schedule(stream: Outgoing): void {
    this.ready.add(stream);
    this.pump();
  }

  /** The stream may be able to send at the next `pump`. */
  wake(stream: Outgoing): void {
    this.ready.add(stream);
  }

  /** Drops what the stream has not sent. */
  forget(stream: Outgoing): void {
    this.ready.delete(stream);
    if (stream.outbox.bytes > 0) {
      this.bufferedBytes -= stream.outbox.bytes;
      this.onUnsent?.();
    }
  }

  /** Section 6.9: false = the window would grow above 2^31-1. */
  grow(bytes: number): boolean {
    this.window += bytes;
    if (this.window > MAX_31_BITS) {
      return false;
    }
    this.pump();
    return true;
  }

  windowUpdate(streamId: number, bytes: number): void {
    this.smallFrame(FrameType.WINDOW_UPDATE, 0, streamId, bytes);
  }

  rstStream(streamId: number, code: ErrorCode): void {
    this.smallFrame(FrameType.RST_STREAM, 0, streamId, code);
  }

  ping(payload: Uint8Array, ack: boolean): void {
    this.frame(FrameType.PING, ack ? Flag.ACK : 0, 0, payload);
  }

  settings(values: readonly (readonly [setting: number, value: number])[]): void {
    const payload = Buffer.alloc(values.length * 6);
    for (const [i, [setting, value]] of values.entries()) {
      payload.writeUInt16BE(setting, i * 6);
      payload.writeUInt32BE(value, i * 6 + 2);
    }
    this.frame(FrameType.SETTINGS, 0, 0, payload);
  }

  settingsAck(): void {
    this.frame(FrameType.SETTINGS, Flag.ACK, 0, EMPTY);
  }

  goaway(lastStreamId: number, code: ErrorCode, reason: string): void {
    const payload = Buffer.alloc(8 + Buffer.byteLength(reason));
    payload.writeUInt32BE(lastStreamId, 0);
    payload.writeUInt32BE(code, 4);
    payload.write(reason, 8);
    this.frame(FrameType.GOAWAY, 0, 0, payload);
  }

  /** Gives each ready stream one frame after the other, in turns, until nothing more can go. */
  pump(): void {
    if (this.pumping) {
      return;
    }
    this.pumping = true;
    for (const stream of this.ready) {
      if (this.output.blocked) {
        break;
      }
      const turn = this.sendOne(stream);
      // Without window of the connection it keeps its place; a set is walked in the order of insertion, so a
      // stream that is put back comes again after all the others.
      if (turn !== Turn.CONNECTION_WINDOW) {
        this.ready.delete(stream);
      }
      if (turn === Turn.SENT) {
        this.ready.add(stream);
      }
      if (turn === Turn.SENT || turn === Turn.DONE) {
        stream.sent(turn === Turn.DONE);
      }
    }
    this.pumping = false;
    this.onUnsent?.();
    this.onRoom?.();
  }

  private sendOne(stream: Outgoing): Turn {
    const { outbox } = stream;
    if (outbox.bytes > 0) {
      const room = Math.min(stream.sendWindow, this.window, this.maxFrameBytes, MAX_DATA_FRAME_BYTES);
      if (room <= 0) {
        return stream.sendWindow <= 0 ? Turn.IDLE : Turn.CONNECTION_WINDOW;
      }
      const chunk = outbox.shift(room);
      const last = outbox.bytes === 0 && stream.ending && stream.trailersToSend === undefined;
      this.bufferedBytes -= chunk.length;
      this.window -= chunk.length;
      stream.sendWindow -= chunk.length;
      this.frame(FrameType.DATA, last ? Flag.END_STREAM : 0, stream.id, chunk);
      this.budget.earn();
      return last ? Turn.DONE : Turn.SENT;
    }
    if (!stream.ending) {
      return Turn.IDLE;
    }
    if (stream.trailersToSend === undefined) {
      this.frame(FrameType.DATA, Flag.END_STREAM, stream.id, EMPTY);
    } else {
      this.headers(stream.id, stream.trailersToSend.bytes, true);
    }
    return Turn.DONE;
  }

  private frame(type: number, flags: number, streamId: number, payload: Uint8Array): void {
    const { output } = this;
    const { length } = payload;
    const together = length < REFERENCE_BYTES;
    const at = output.reserve(FRAME_HEAD_BYTES + (together ? length : 0));
    const body = writeFrameHead(output.bytes, at, length, type, flags, streamId);
    if (together) {
      output.bytes.set(payload, body);
    } else {
      output.append(payload);
    }
  }

  /** A frame whose payload is one number. */
  private smallFrame(type: number, flags: number, streamId: number, value: number): void {
    const { output } = this;
    const at = output.reserve(FRAME_HEAD_BYTES + 4);
    output.bytes.writeUInt32BE(value, writeFrameHead(output.bytes, at, 4, type, flags, streamId));
  }
}
