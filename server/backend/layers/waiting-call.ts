import { abortError } from "../../errors.ts";
import type { Call } from "../contract.ts";
import { Linked } from "./fifo.ts";

/** How a wait ended: with an answer or with an error. */
export interface WaitEnd<Answer> {
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

/** A call that waits for something, from its arrival to its end. `Self` is the class itself. */
export abstract class WaitingCall<Self, Answer> extends Linked<Self> {
  /** True: its time is over, but what is under way for it decides. */
  isLate = false;
  readonly #call: Call;
  readonly #done: WaitEnd<Answer>;
  readonly #onLeave: () => void;
  readonly #timer: NodeJS.Timeout | undefined;

  /** `waitMs`: 0 = until the call ends. `onLeave` is called once, when it waits no more. */
  constructor(waitMs: number, call: Call, done: WaitEnd<Answer>, onLeave: () => void) {
    super();
    this.#call = call;
    this.#done = done;
    this.#onLeave = onLeave;
    this.#timer = waitMs === 0 ? undefined : setTimeout(() => this.late(), waitMs);
    (call.events ?? call.signal).addEventListener("abort", this);
  }

  /** It gets its answer. */
  answer(answer: Answer): void {
    this.#leave();
    this.#done.resolve(answer);
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

  /** Its time is over. */
  protected abstract late(): void;

  #leave(): void {
    clearTimeout(this.#timer);
    (this.#call.events ?? this.#call.signal).removeEventListener("abort", this);
    this.#onLeave();
  }
}
