/** Names are read on when so few are left below what is seen. Items have values, and need fewer. */
const AHEAD = 2000;

/**
 * Names of lists, ids of records or items of a record, which come page by page as they are needed.
 */
export class NamePages<T = string> {
  /** What has been read. */
  readonly items: T[] = [];
  /** Whether `items` has all. */
  isAtEnd = false;
  /** Why reading stopped; {@link retry} goes on. */
  problem: unknown;
  readonly #open: (signal: AbortSignal) => AsyncIterator<readonly T[]>;
  readonly #onChange: () => void;
  readonly #ahead: number;
  readonly #aborted = new AbortController();
  #pages: AsyncIterator<readonly T[]> | undefined;
  #wanted = 1;
  #isReading = false;

  /** `open` begins to read from the start; what is thrown then is in `problem`. */
  constructor(
    open: (signal: AbortSignal) => AsyncIterator<readonly T[]>,
    onChange: () => void,
    ahead = AHEAD,
  ) {
    this.#open = open;
    this.#onChange = onChange;
    this.#ahead = ahead;
    void this.#read();
  }

  /** Says that the rows before `to` are seen. */
  see(to: number): void {
    this.#wanted = Math.max(this.#wanted, to + this.#ahead);
    void this.#read();
  }

  /** Puts another item in a place, or takes it away (`undefined`): who looks has written it. */
  replace(index: number, item: T | undefined): void {
    this.items.splice(index, 1, ...(item === undefined ? [] : [item]));
    this.#tell();
  }

  /** Tries again after a failure, from the start. */
  retry(): void {
    this.problem = undefined;
    this.items.length = 0;
    this.#pages = undefined;
    this.#onChange();
    void this.#read();
  }

  /** Reads no more. */
  close(): void {
    this.#aborted.abort();
  }

  async #read(): Promise<void> {
    if (this.#isReading || this.problem !== undefined) {
      return;
    }
    this.#isReading = true;
    const { signal } = this.#aborted;
    try {
      this.#pages ??= this.#open(signal);
      while (!this.isAtEnd && this.items.length < this.#wanted && !signal.aborted) {
        const { value, done } = await this.#pages.next();
        if (done === true) {
          this.isAtEnd = true;
        } else {
          for (const item of value) {
            this.items.push(item);
          }
        }
        this.#tell();
      }
    } catch (thrown) {
      this.problem = thrown;
      this.#tell();
    } finally {
      this.#isReading = false;
    }
  }

  #tell(): void {
    if (!this.#aborted.signal.aborted) {
      this.#onChange();
    }
  }
}
