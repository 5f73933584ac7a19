import type { Call } from "../contract.ts";
import type { EventWait, OffsetPage } from "../streams.ts";
import { Fifo } from "./fifo.ts";
import { type WaitEnd, WaitingCall } from "./waiting-call.ts";

/** The answer of a wait; `undefined` = there is no such stream. */
export type TailAnswer = OffsetPage | undefined;

/** A call that waits for events of a stream. */
export class WaitingTail extends WaitingCall<WaitingTail, TailAnswer> {
  readonly wait: EventWait;
  /** Where it waits. `undefined` = nowhere yet. */
  place: TailPlace | undefined;

  /** `onLeave` is called once, when it waits no more. */
  constructor(wait: EventWait, call: Call, done: WaitEnd<TailAnswer>, onLeave: () => void) {
    super(wait.waitMs, call, done, onLeave);
    this.wait = wait;
  }

  protected override late(): void {
    this.place?.hurry(this);
  }
}

/** Those who wait at one offset of a stream. */
export class TailPlace {
  /** Infinity = the end of the stream, wherever it is. */
  readonly offset: number;
  /** True: a read from here is under way. */
  isRead = false;
  /** True: the stream ends here, as far as anybody knows. */
  isEnd = false;
  readonly #waiting = new Fifo<WaitingTail>();
  /** Those whose time is over: what is found next decides. */
  readonly #late = new Fifo<WaitingTail>();

  constructor(offset: number) {
    this.offset = offset;
  }

  /** One of those who wait, the late ones first. `undefined` = nobody waits. */
  get first(): WaitingTail | undefined {
    return this.#late.first ?? this.#waiting.first;
  }

  add(waiting: WaitingTail): void {
    waiting.place = this;
    this.#queueOf(waiting).add(waiting);
  }

  delete(waiting: WaitingTail): void {
    waiting.place = undefined;
    this.#queueOf(waiting).delete(waiting);
  }

  /** Its time is over. */
  hurry(waiting: WaitingTail): void {
    this.#waiting.delete(waiting);
    waiting.isLate = true;
    this.#late.add(waiting);
    if (this.isEnd) {
      this.endLate();
    }
  }

  /** Nothing is here now. */
  endLate(): void {
    const { offset } = this;
    for (let late = this.#late.first; late !== undefined; late = this.#late.first) {
      late.answer({ events: [], next: offset, ended: true });
    }
  }

  #queueOf({ isLate }: WaitingTail): Fifo<WaitingTail> {
    return isLate ? this.#late : this.#waiting;
  }
}
