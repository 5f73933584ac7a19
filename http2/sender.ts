/**
 * Owns which stream sends next: DATA goes out within the peer's windows and as the socket takes it.
 */
import type { ControlBudget } from "./control-budget.ts";
import { INITIAL_WINDOW_BYTES, MAX_31_BITS } from "./frame.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { EncodedHeaders } from "./hpack-encoder.ts";
import type { Output } from "./output.ts";
import type { PeerSettings } from "./settings.ts";

/** Longer DATA frames than this would keep other streams and control frames waiting. */
const MAX_DATA_FRAME_BYTES = 64 * 1024;

const EMPTY = Buffer.alloc(0);

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

/** Our half of a stream, as the sender sees it. */
export interface Outgoing {
  readonly id: number;
  /** What the peer lets this stream send. */
  readonly window: number;
  readonly queuedBytes: number;
  /** Whether the stream ends behind what is queued. */
  readonly ending: boolean;
  /** Sent at the end; `undefined` = none. */
  readonly trailers: EncodedHeaders | undefined;
  /** Takes from the window what goes out without having been queued. */
  use(bytes: number): void;
  /** Takes from the queue and the window, at most `maxBytes`. */
  shift(maxBytes: number): Buffer;
  /** A frame went out in the stream's turn; `done` = it was the last. */
  sent(done: boolean): void;
}

/** Sends the bodies of all streams, each in its turn (RFC 9113 section 5.2). */
export class Sender {
  /** Queued bytes of one stream from which its writer is asked to wait. */
  readonly highWaterBytes: number;
  /** Some of what was queued went out. */
  onRoom: (() => void) | undefined = undefined;
  /** More or less waits than before, here or in the output. */
  onUnsent: (() => void) | undefined = undefined;
  readonly #output: Output;
  readonly #frames: FrameWriter;
  readonly #peer: PeerSettings;
  readonly #budget: ControlBudget;
  /**
   * Streams that could send if the connection's window and the socket let them, in the order of
   * their turns.
   */
  readonly #ready = new Set<Outgoing>();
  /** The connection's window. */
  #window = INITIAL_WINDOW_BYTES;
  #bufferedBytes = 0;
  #pumping = false;

  /** Each DATA frame earns the budget one: it may honestly bring a WINDOW_UPDATE. */
  constructor(
    output: Output,
    frames: FrameWriter,
    peer: PeerSettings,
    budget: ControlBudget,
    highWaterBytes: number,
  ) {
    this.#output = output;
    this.#frames = frames;
    this.#peer = peer;
    this.#budget = budget;
    this.highWaterBytes = highWaterBytes;
    output.onDrain = () => this.pump();
    output.onHeld = () => this.onUnsent?.();
  }

  /** Body bytes that are queued, of all streams. */
  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** HEADERS of a stream, at once. */
  headers(streamId: number, headers: EncodedHeaders, endStream: boolean): void {
    this.#frames.headers(streamId, headers.bytes, endStream);
  }

  /**
   * Sends a whole small answer in one piece, where nothing is in its way; false = nothing was sent.
   */
  reply(
    stream: Outgoing,
    headers: EncodedHeaders,
    data: Uint8Array,
    trailers: EncodedHeaders | undefined,
  ): boolean {
    const { length } = data;
    if (
      length > this.#window ||
      length > stream.window ||
      this.#output.blocked ||
      !this.#frames.answer(stream.id, headers, data, trailers)
    ) {
      return false;
    }
    this.#window -= length;
    stream.use(length);
    this.#budget.earn();
    return true;
  }

  /**
   * Sends one DATA frame, where nothing is in its way; false = nothing was sent. The stream's queue
   * is empty.
   */
  sendNow(stream: Outgoing, data: Uint8Array, end: boolean): boolean {
    const { length } = data;
    if (
      length > this.#window ||
      length > stream.window ||
      length > this.#peer.maxFrameBytes ||
      length > MAX_DATA_FRAME_BYTES ||
      this.#output.blocked
    ) {
      return false;
    }
    this.#window -= length;
    stream.use(length);
    this.#frames.data(stream.id, data, end);
    this.#budget.earn();
    return true;
  }

  /** A stream has queued so many bytes. */
  queued(bytes: number): void {
    this.#bufferedBytes += bytes;
  }

  /** The stream has something to send: now, if nothing is in its way. */
  schedule(stream: Outgoing): void {
    this.#ready.add(stream);
    this.pump();
  }

  /** The stream may be able to send at the next `pump`. */
  wake(stream: Outgoing): void {
    this.#ready.add(stream);
  }

  /** The stream sends no more: what it has queued does not count any more. */
  forget(stream: Outgoing): void {
    this.#ready.delete(stream);
    if (stream.queuedBytes > 0) {
      this.#bufferedBytes -= stream.queuedBytes;
      this.onUnsent?.();
    }
  }

  /**
   * The peer takes so much more on the connection. False = the window would be above 2^31-1
   * (section 6.9.1).
   */
  grow(bytes: number): boolean {
    this.#window += bytes;
    if (this.#window > MAX_31_BITS) {
      return false;
    }
    this.pump();
    return true;
  }

  /** Gives each ready stream one frame after the other, in turns, until nothing more can go. */
  pump(): void {
    if (this.#pumping) {
      return;
    }
    this.#pumping = true;
    for (const stream of this.#ready) {
      if (this.#output.blocked) {
        break;
      }
      const turn = this.#sendOne(stream);
      // Without window of the connection it keeps its place. A set is walked in the order of
      // insertion, so a stream that is put back comes again after all the others.
      if (turn !== Turn.CONNECTION_WINDOW) {
        this.#ready.delete(stream);
      }
      if (turn === Turn.SENT) {
        this.#ready.add(stream);
      }
      if (turn === Turn.SENT || turn === Turn.DONE) {
        stream.sent(turn === Turn.DONE);
      }
    }
    this.#pumping = false;
    this.onUnsent?.();
    this.onRoom?.();
  }

  #sendOne(stream: Outgoing): Turn {
    if (stream.queuedBytes > 0) {
      const room = Math.min(stream.window, this.#window, this.#peer.maxFrameBytes, MAX_DATA_FRAME_BYTES);
      if (room <= 0) {
        return stream.window <= 0 ? Turn.IDLE : Turn.CONNECTION_WINDOW;
      }
      const chunk = stream.shift(room);
      const last = stream.queuedBytes === 0 && stream.ending && stream.trailers === undefined;
      this.#bufferedBytes -= chunk.length;
      this.#window -= chunk.length;
      this.#frames.data(stream.id, chunk, last);
      this.#budget.earn();
      return last ? Turn.DONE : Turn.SENT;
    }
    if (!stream.ending) {
      return Turn.IDLE;
    }
    if (stream.trailers === undefined) {
      this.#frames.data(stream.id, EMPTY, true);
    } else {
      this.#frames.headers(stream.id, stream.trailers.bytes, true);
    }
    return Turn.DONE;
  }
}
