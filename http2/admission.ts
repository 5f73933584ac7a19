import type { Sender } from "./sender.ts";
import type { Stream } from "./stream.ts";

/** Requests that are answered whatever the size of their answers. */
const MIN_UNANSWERED = 16;

/** Answers of this part of the room are expected until some were given. */
const FIRST_GUESS = 1 / 64;

/** How much one answer counts in what the next is expected to be. */
const WEIGHT = 1 / 8;

/** Requests that are started at once: their answers can be looked at only when all of them were begun. */
const MAX_STARTS = 128;

/**
 * Which requests of a connection are answered now, and which wait until the peer has taken more of the answers that there are.
 * Without it the answers to a thousand requests that come at once would all be made, however large, and however slowly they are
 * read. A request waits when it is whole: until then it holds up the window of the others, and cannot be answered anyway.
 */
export class Admission {
  private readonly sender: Sender;
  private readonly roomBytes: number;
  private readonly start: (stream: Stream) => void;
  private readonly waiting: Stream[] = [];
  /** What answers at once closes at once, and so calls for the next. */
  private releasing = false;
  private unanswered = 0;
  private expectedBytes: number;
  private starts = 0;
  private pause: NodeJS.Immediate | undefined = undefined;

  /** `roomBytes`: what may wait to be sent before requests wait; `start` gets each request that waited, once. */
  constructor(sender: Sender, roomBytes: number, start: (stream: Stream) => void) {
    this.sender = sender;
    this.roomBytes = roomBytes;
    this.start = start;
    this.expectedBytes = roomBytes * FIRST_GUESS;
  }

  /** Another chunk of the peer's is read: what answers at once has done so for the one before. */
  begin(): void {
    this.starts = 0;
  }

  /** A request is whole. False = it waits for `start`, unless its stream closes, or answers, before. */
  admit(stream: Stream): boolean {
    if (this.waiting.length === 0 && this.hasRoom()) {
      this.count(stream);
      return true;
    }
    this.waiting.push(stream);
    this.sender.onRoom = () => this.release();
    return false;
  }

  /** The answer to a request begins; `bytes` is all of it, undefined = it comes in pieces, whose writer waits for room by itself. */
  answered(stream: Stream, bytes: number | undefined): void {
    if (stream.admitted) {
      this.unanswered--;
    } else {
      // Answered without its end, and not to be started any more.
      stream.admitted = true;
    }
    if (bytes !== undefined) {
      this.expectedBytes += (bytes - this.expectedBytes) * WEIGHT;
    }
    this.release();
  }

  /** A stream closed. */
  closed(stream: Stream): void {
    if (stream.admitted && !stream.responded) {
      this.unanswered--;
    }
    this.release();
  }

  /** Starts what waited, as far as there is room. */
  private release(): void {
    if (this.releasing || this.waiting.length === 0) {
      return;
    }
    this.releasing = true;
    while (this.hasRoom()) {
      const stream = this.waiting.shift();
      if (stream === undefined) {
        break;
      }
      if (!stream.closed && !stream.admitted) {
        this.count(stream);
        this.start(stream);
      }
    }
    this.releasing = false;
    if (this.waiting.length === 0) {
      this.sender.onRoom = undefined;
    }
  }

  private hasRoom(): boolean {
    return (
      this.starts < MAX_STARTS &&
      this.sender.bufferedBytes < this.roomBytes &&
      (this.unanswered < MIN_UNANSWERED || this.unanswered * this.expectedBytes < this.roomBytes)
    );
  }

  private count(stream: Stream): void {
    this.unanswered++;
    stream.admitted = true;
    if (++this.starts >= MAX_STARTS) {
      this.pause ??= setImmediate(() => {
        this.pause = undefined;
        this.starts = 0;
        this.release();
      });
    }
  }
}
