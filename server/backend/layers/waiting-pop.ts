import type { Call } from "../contract.ts";
import type { ListEnd, ListWait } from "../lists.ts";
import { type WaitEnd, WaitingCall } from "./waiting-call.ts";

/** A call that waits for a value of a list; `undefined` = none came. */
export class WaitingPop extends WaitingCall<WaitingPop, Uint8Array | undefined> {
  readonly end: ListEnd;
  /** Its place among all calls that wait: an earlier one has a smaller number. */
  readonly turn: number;
  /** True: a pop for it is under way. */
  isServed = false;

  /** `onLeave` is called once, when it waits no more. */
  constructor(
    { end, waitMs }: ListWait,
    turn: number,
    call: Call,
    done: WaitEnd<Uint8Array | undefined>,
    onLeave: () => void,
  ) {
    super(waitMs, call, done, onLeave);
    this.end = end;
    this.turn = turn;
  }

  protected override late(): void {
    if (this.isServed) {
      this.isLate = true;
    } else {
      this.answer(undefined);
    }
  }
}
