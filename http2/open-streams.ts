/**
 * Owns the streams of a connection that are open, and how one ends before its time (RFC 9113
 * section 5.4.2).
 */
import type { ControlBudget } from "./control-budget.ts";
import type { ErrorCode } from "./errors.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { Stream } from "./stream.ts";
import { StreamTable } from "./stream-table.ts";

/** When a connection ends, so many of its streams are closed in one turn. */
const MAX_CLOSES = 32;

/** More resets than there can be streams are remembered: some were on their way already. */
const EXTRA_RESETS = 100;

/** The streams by their ids, and which ids we reset. */
export class OpenStreams {
  readonly #frames: FrameWriter;
  readonly #budget: ControlBudget;
  readonly #onClosed: (stream: Stream) => void;
  readonly #maxResets: number;
  readonly #table = new StreamTable<Stream>();
  /** Streams that we reset. What the peer sent before it knew is no error (section 5.1, closed). */
  readonly #resets = new Set<number>();

  /** `onClosed` is called with each stream that closed, except at the end of the connection. */
  constructor(
    frames: FrameWriter,
    budget: ControlBudget,
    maxConcurrentStreams: number,
    onClosed: (stream: Stream) => void,
  ) {
    this.#frames = frames;
    this.#budget = budget;
    this.#maxResets = maxConcurrentStreams + EXTRA_RESETS;
    this.#onClosed = onClosed;
  }

  get size(): number {
    return this.#table.size;
  }

  get(id: number): Stream | undefined {
    return this.#table.get(id);
  }

  /** By ascending id. A copy: they may close while it is read. */
  all(): Stream[] {
    return this.#table.all();
  }

  add(stream: Stream): void {
    this.#table.add(stream);
  }

  /** Whether we reset the stream not long ago. */
  wasReset(id: number): boolean {
    return this.#resets.has(id);
  }

  /** The stream is over. `code` undefined = both sides ended as they should. */
  close(stream: Stream, code: ErrorCode | undefined): void {
    this.#table.delete(stream.id);
    if (code === undefined) {
      this.#budget.earn();
    }
    stream.close(code);
    this.#onClosed(stream);
  }

  /** Sends RST_STREAM and closes. */
  reset(stream: Stream, code: ErrorCode): void {
    this.resetId(stream.id, code);
    this.close(stream, code);
  }

  /** Sends RST_STREAM and closes nothing. No effect for 0: the stream has no id yet. */
  resetId(id: number, code: ErrorCode): void {
    if (id === 0) {
      return;
    }
    this.#frames.rstStream(id, code);
    this.#resets.add(id);
    if (this.#resets.size > this.#maxResets) {
      for (const oldest of this.#resets) {
        this.#resets.delete(oldest);
        break;
      }
    }
  }

  /**
   * The peer broke a rule on the stream. Throws ConnectionError where the peer makes us reset many.
   */
  breakOff(stream: Stream, code: ErrorCode): void {
    this.#budget.spend();
    this.charge(stream);
    this.reset(stream, code);
  }

  /**
   * The peer throws the stream away: it resets it, or makes us reset it. Counts what the call cost.
   */
  charge(stream: Stream): void {
    if (stream.begun) {
      this.#budget.chargeCall();
    }
  }

  /**
   * The connection ends: closes all its streams, some now and the others in later turns. A thousand
   * at once would hold up other connections.
   */
  closeAll(code: ErrorCode): void {
    const open = this.#table.all();
    for (const { id } of open) {
      this.#table.delete(id);
    }
    const closeSome = () => {
      for (const stream of open.splice(0, MAX_CLOSES)) {
        stream.close(code);
      }
      if (open.length > 0) {
        setImmediate(closeSome);
      }
    };
    closeSome();
  }
}
