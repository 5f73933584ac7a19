import type { Sender } from "./sender.ts";
import type { Stream } from "./stream.ts";
import type { Kind } from "./stream-host.ts";

/** An answer of a kind that was not seen yet is expected to take this part of the room. */
const FIRST_GUESS = 1 / 4;

/** How much one answer that is smaller than expected counts in what the next is expected to be. */
const WEIGHT = 1 / 8;

/** Kinds that are told apart on a connection. A peer can name any number of paths; the others are one kind. */
const MAX_KINDS = 64;

/** So long those that waited are started in one turn, in milliseconds. The others follow in later ones. */
const RELEASE_MS = 0.5;

/** Requests that are started at once: their answers can be looked at only when all of them were begun. */
const MAX_STARTS = 128;

/**
 * Which requests of a connection are answered now, and which wait until the peer has taken more of the answers that there are.
 * Without it the answers to a thousand requests that come at once would all be made, however large, and however slowly they are
 * read. One request of each kind is answered in any case, so that slow ones hold up none of another kind. A request waits when it
 * is whole: until then it holds up the window of the others, and cannot be answered anyway.
 */
export class Admission {
  readonly #sender: Sender;
  readonly #roomBytes: number;
  readonly #start: (stream: Stream) => void;
  readonly #kinds = new Map<string, Kind<Stream>>();
  /** Of the last request: mostly that of all. */
  #lastPath: string | undefined = undefined;
  #lastKind: Kind<Stream> | undefined = undefined;
  #waitingCount = 0;
  /** What answers at once closes at once, and so calls for the next. */
  #releasing = false;
  /** What the requests that are answered now are expected to bring. */
  #expectedBytes = 0;
  #starts = 0;
  #pause: NodeJS.Immediate | undefined = undefined;

  /** `roomBytes`: what may wait to be sent before requests wait; `start` gets each request that waited, once. */
  constructor(sender: Sender, roomBytes: number, start: (stream: Stream) => void) {
    this.#sender = sender;
    this.#roomBytes = roomBytes;
    this.#start = start;
  }

  /** Another chunk of the peer's is read: what answers at once has done so for the one before. */
  begin(): void {
    this.#starts = 0;
  }

  /** A request is whole. False = it waits for `start`, unless its stream closes, or answers, before. */
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
   * The answer to a request begins; `bytes` is all of it, undefined = it comes in pieces, whose writer waits for room by itself. Of
   * such an answer the size of the first piece is told later.
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

  #kindOf(path: string): Kind<Stream> {
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

  #hasRoom(kind: Kind<Stream>): boolean {
    const { bufferedBytes } = this.#sender;
    return (
      this.#pause === undefined &&
      bufferedBytes < this.#roomBytes &&
      (kind.unanswered === 0 || bufferedBytes + this.#expectedBytes + kind.expectedBytes <= this.#roomBytes)
    );
  }

  #count(stream: Stream, kind: Kind<Stream>): void {
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

  /** A request is answered, or over: it is not under way any more, or does not wait any more. */
  #forget(stream: Stream, kind: Kind<Stream>): void {
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

/** One that is larger than expected counts at once, since the next may be as large. */
function learn(kind: Kind<Stream>, bytes: number): void {
  const more = bytes - kind.expectedBytes;
  kind.expectedBytes += more > 0 || !kind.known ? more : more * WEIGHT;
  kind.known = true;
}
