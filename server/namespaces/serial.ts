import { PrismError } from "../errors.ts";

/** Runs steps one after another, in the order in which they were asked for. */
export class Serial {
  readonly #maxWaiting: number;
  readonly #what: string;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  /** `maxWaiting`: the most steps that wait or run. `what` names them for callers. */
  constructor(maxWaiting: number, what: string) {
    this.#maxWaiting = maxWaiting;
    this.#what = what;
  }

  /**
   * Settles as the step does, which does not stop the next one. Rejects with PrismError
   * `overloaded` if too many wait.
   */
  run<T>(step: () => Promise<T>): Promise<T> {
    return this.#waiting >= this.#maxWaiting
      ? Promise.reject(new PrismError("overloaded", `too many ${this.#what} wait already`))
      : this.runAlways(step);
  }

  /** The same however many wait, for steps of which there are few. */
  runAlways<T>(step: () => Promise<T>): Promise<T> {
    this.#waiting++;
    const current = this.#last.then(step).finally(() => {
      this.#waiting--;
    });
    this.#last = current.catch(() => {});
    return current;
  }
}
