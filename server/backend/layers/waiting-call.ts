import { abortError } from "../../errors.ts";
import type { Call } from "../contract.ts";
import type { ListEnd, ListWait } from "../lists.ts";
import { Linked } from "./fifo.ts";

/** How a wait ended: with a value, without one or with an error. */
export interface WaitEnd {
  resolve(value: Uint8Array | undefined): void;
  reject(error: unknown): void;
}

/** A call that waits for a value of a list, from its arrival to its end. */
export class WaitingCall extends Linked<WaitingCall> {
  readonly end: ListEnd;
  /** Its place among all calls that wait: an earlier one has a smaller number. */
  readonly turn: number;
  /** True: its time is over, but a pop for it is under way and decides. */
  isLate = false;
  /** True: a pop for it is under way. */
  isServed = false;
  readonly #call: Call;
  readonly #done: WaitEnd;
  readonly #onLeave: (call: WaitingCall) => void;
  readonly #timer: NodeJS.Timeout;

  /** `onLeave` is called once, when it waits no more. */
  constructor(
    { end, waitMs }: ListWait,
    turn: number,
    call: Call,
    done: WaitEnd,
    onLeave: (call: WaitingCall) => void,
  ) {
    super();
    this.end = end;
    this.turn = turn;
    this.#call = call;
    this.#done = done;
    this.#onLeave = onLeave;
    this.#timer = setTimeout(() => this.#late(), waitMs);
    (call.events ?? call.signal).addEventListener("abort", this);
  }

  /** It gets a value, or learns that there is none. */
  answer(value: Uint8Array | undefined): void {
    this.#leave();
    this.#done.resolve(value);
  }

  /** It fails. */
  fail(error: unknown): void {
    this.#leave();
    this.#done.reject(error);
  }

  /** Its caller went away, or its deadline passed. */
  handleEvent(): void {
    this.fail(abortError(this.#call.signal));
  }

  #late(): void {
    if (this.isServed) {
      this.isLate = true;
    } else {
      this.answer(undefined);
    }
  }

  #leave(): void {
    clearTimeout(this.#timer);
    (this.#call.events ?? this.#call.signal).removeEventListener("abort", this);
    this.#onLeave(this);
  }
}
