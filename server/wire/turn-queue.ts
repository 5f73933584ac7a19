/** Items that wait for the end of this turn of the event loop, when all its input is read. */
export class TurnQueue<T> {
  readonly #run: (item: T) => void;
  #items: T[] = [];

  /** `run` is called for each item, in order of arrival. */
  constructor(run: (item: T) => void) {
    this.#run = run;
  }

  push(item: T): void {
    if (this.#items.push(item) === 1) {
      setImmediate(() => this.#flush());
    }
  }

  #flush(): void {
    const items = this.#items;
    this.#items = [];
    for (const item of items) {
      this.#run(item);
    }
  }
}
