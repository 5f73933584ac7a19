import type { Sender } from "./sender.ts";
import type { Stream } from "./stream.ts";
import type { AnswerKind } from "./stream-host.ts";

/** The first answer of a kind is expected to take this part of the room. */
const FIRST_GUESS = 1 / 4;

/** A smaller answer than expected moves the expectation by this part of the difference. */
const WEIGHT = 1 / 8;

/**
 * A connection has so many kinds at most, because a peer can name any number of paths. All further
 * paths are one kind.
 */
const MAX_KINDS = 64;

/**
 * For so long waiting requests are started in one turn, in milliseconds. The others follow in later
 * turns.
 */
const RELEASE_MS = 0.5;

/** So many requests are started at once. The size of their answers is known only after that. */
const MAX_STARTS = 128;

/**
 * Decides which requests of a connection are answered now. The others wait until the peer has taken
 * more of the answers. Without this, a thousand requests that come at once would all be answered at
 * once, however large the answers and however slow the peer. One request of each kind is always
 * answered, so that a slow kind holds up no other. A request waits only when it is whole: its body
 * must not fill the window of the others, and an answer is not possible before.
 */
export class Admission {
  readonly #sender: Sender;
  readonly #roomBytes: number;
  readonly #start: (stream: Stream) => void;
  readonly #kinds = new Map<string, AnswerKind<Stream>>();
  /** The path and kind of the last request, which most requests share. */
  #lastPath: string | undefined = undefined;
  #lastKind: AnswerKind<Stream> | undefined = undefined;
  #waitingCount = 0;
  /** A request that is answered at once closes at once, and calls `#release` again. */
  #releasing = false;
  /** The expected size of all answers that are being made. */
  #expectedBytes = 0;
  #starts = 0;
  #pause: NodeJS.Immediate | undefined = undefined;

  /**
   * Requests wait when more than `roomBytes` wait to be sent. `start` gets each request that
   * waited, once.
   */
  constructor(sender: Sender, roomBytes: number, start: (stream: Stream) => void) {
    this.#sender = sender;
    this.#roomBytes = roomBytes;
    this.#start = start;
  }

  /**
   * Another chunk of the peer is read. Handlers that answer at once have answered the last chunk.
   */
  begin(): void {
    this.#starts = 0;
  }

  /**
   * A request is whole. False = it waits for `start`, unless its stream closes or answers before.
   */
  admit(stream: Stream): boolean {
    const kind = this.#kindOf(stream.path);
    stream.setKind(kind);
    if (kind.waiting.length === 0 && this.#hasRoom(kind)) {
      this.#count(stream, kind);
      return true;
    }
    kind.waiting.push(stream);
    this.#waitingCount++;
    this.#sender.onRoom = () => this.#release();
    return false;
  }

  /**
   * The answer to a request begins. `bytes` is its size. Undefined = it comes in pieces, and its
   * writer waits for room by itself; then the size of the first piece is told later.
   */
  answered(stream: Stream, bytes: number | undefined): void {
    const { kind } = stream;
    if (kind !== undefined) {
      this.#forget(stream, kind);
      if (bytes !== undefined) {
        learn(kind, bytes);
      }
    }
    this.#release();
  }

  /** A stream closed. */
  closed(stream: Stream): void {
    if (stream.kind !== undefined) {
      this.#forget(stream, stream.kind);
    }
    this.#release();
  }

  /** Starts what waited, as far as there is room: one of each kind in turn. */
  #release(): void {
    if (this.#releasing || this.#waitingCount === 0) {
      return;
    }
    this.#releasing = true;
    const endsAt = performance.now() + RELEASE_MS;
    for (let started = true; started; ) {
      started = false;
      for (const kind of this.#kinds.values()) {
        const stream = this.#hasRoom(kind) ? kind.waiting.shift() : undefined;
        if (stream !== undefined) {
          started = true;
          this.#waitingCount--;
          this.#count(stream, kind);
          this.#start(stream);
          if (performance.now() >= endsAt) {
            this.#rest();
          }
        }
      }
    }
    this.#releasing = false;
    if (this.#waitingCount === 0) {
      this.#sender.onRoom = undefined;
    }
  }

  #kindOf(path: string): AnswerKind<Stream> {
    if (path === this.#lastPath && this.#lastKind !== undefined) {
      return this.#lastKind;
    }
    // A query makes no other kind.
    const end = path.indexOf("?");
    const own = end < 0 ? path : path.slice(0, end);
    const name = this.#kinds.has(own) || this.#kinds.size < MAX_KINDS ? own : "";
    let kind = this.#kinds.get(name);
    if (kind === undefined) {
      kind = { known: false, expectedBytes: this.#roomBytes * FIRST_GUESS, unanswered: 0, waiting: [] };
      this.#kinds.set(name, kind);
    }
    this.#lastPath = path;
    this.#lastKind = kind;
    return kind;
  }

  #hasRoom(kind: AnswerKind<Stream>): boolean {
    const { bufferedBytes } = this.#sender;
    return (
      this.#pause === undefined &&
      bufferedBytes < this.#roomBytes &&
      (kind.unanswered === 0 || bufferedBytes + this.#expectedBytes + kind.expectedBytes <= this.#roomBytes)
    );
  }

  #count(stream: Stream, kind: AnswerKind<Stream>): void {
    stream.startAnswer(kind.expectedBytes);
    this.#expectedBytes += kind.expectedBytes;
    kind.unanswered++;
    if (++this.#starts >= MAX_STARTS) {
      this.#rest();
    }
  }

  /** Starts no more before the next turn. */
  #rest(): void {
    this.#pause ??= setImmediate(() => {
      this.#pause = undefined;
      this.#starts = 0;
      this.#release();
    });
  }

  /** A request is answered or over: it neither waits nor counts any more. */
  #forget(stream: Stream, kind: AnswerKind<Stream>): void {
    const expectedBytes = stream.stopAnswer();
    if (expectedBytes >= 0) {
      this.#expectedBytes -= expectedBytes;
      kind.unanswered--;
    } else if (kind.waiting.length > 0) {
      const at = kind.waiting.indexOf(stream);
      if (at >= 0) {
        kind.waiting.splice(at, 1);
        this.#waitingCount--;
      }
    }
  }
}

/** A larger answer than expected counts at once, since the next may be as large. */
function learn(kind: AnswerKind<Stream>, bytes: number): void {
  const more = bytes - kind.expectedBytes;
  kind.expectedBytes += more > 0 || !kind.known ? more : more * WEIGHT;
  kind.known = true;
}
