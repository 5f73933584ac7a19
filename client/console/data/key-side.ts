/** Keys of a page. */
export const PAGE_KEYS = 1000;

/** As many pages of each side are kept, those that were read or seen last. */
const MAX_PAGES = 100;

/** Of as many pages each side knows where they begin. With more, only every other one is kept. */
const MAX_BOUNDS = 10_000;

/**
 * The pages of a range that were read from one of its ends. Page 0 begins at that end. A page that
 * was read tells where the next one begins, so each can be read again by itself.
 */
export class KeySide {
  /** Whether it is read from the last key towards the first. */
  readonly isReverse: boolean;
  /** Where a page begins: from the start its first key; from the end the key behind its last. */
  readonly #bounds = new Map<number, string>([[0, ""]]);
  /** In the order of their use. */
  readonly #pages = new Map<number, readonly string[]>();
  /** Pages that are shown until they are read again. */
  readonly #stale = new Set<number>();
  /** Only the beginnings of multiples of this are kept. */
  #stride = 1;

  constructor(isReverse: boolean) {
    this.isReverse = isReverse;
  }

  /** The key that is so many keys from this end; `undefined` = its page is not there. */
  keyAt(distance: number): string | undefined {
    return this.#pages.get(Math.floor(distance / PAGE_KEYS))?.[distance % PAGE_KEYS];
  }

  /** Whether the page must be read before its keys are known for sure. */
  lacks(page: number): boolean {
    return !this.#pages.has(page) || this.#stale.has(page);
  }

  /** The nearest page before `page`, or itself, of which it is known where it begins. */
  nearest(page: number): { readonly fromPage: number; readonly bound: string } {
    for (let at = page; at > 0; at--) {
      const bound = this.#bounds.get(at);
      if (bound !== undefined) {
        return { fromPage: at, bound };
      }
    }
    return { fromPage: 0, bound: "" };
  }

  /** Notes a page that was read. `next`: where the next one begins; `undefined` = there is none. */
  put(page: number, keys: readonly string[], next: string | undefined): void {
    const known = this.#bounds.get(page + 1);
    if (next === undefined || (known !== undefined && known !== next)) {
      this.#forgetBehind(page);
    }
    if (next !== undefined && (page + 1) % this.#stride === 0) {
      this.#bounds.set(page + 1, next);
    }
    this.#pages.delete(page);
    this.#pages.set(page, keys);
    this.#stale.delete(page);
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size <= MAX_PAGES) {
        break;
      }
      this.#pages.delete(oldest);
    }
    this.#thin();
  }

  /** A key came or went: its page and those behind it hold other keys now. */
  change(key: string): void {
    let at = 0;
    for (const [page, bound] of this.#bounds) {
      const isBehind = this.isReverse ? isBefore(key, bound) : !isBefore(key, bound);
      if (page > at && isBehind) {
        at = page;
      }
    }
    this.#forgetBehind(at);
    this.#stale.add(at);
  }

  /** Every page is to be read again, from where it began. */
  expire(): void {
    for (const page of this.#pages.keys()) {
      this.#stale.add(page);
    }
  }

  #forgetBehind(page: number): void {
    for (const known of this.#bounds.keys()) {
      if (known > page) {
        this.#bounds.delete(known);
      }
    }
    for (const read of this.#pages.keys()) {
      if (read > page) {
        this.#stale.add(read);
      }
    }
  }

  #thin(): void {
    if (this.#bounds.size <= MAX_BOUNDS) {
      return;
    }
    this.#stride *= 2;
    for (const page of this.#bounds.keys()) {
      if (page % this.#stride !== 0) {
        this.#bounds.delete(page);
      }
    }
  }
}

/** Whether a key is before another one in the order of their bytes, that of code points. */
export function isBefore(a: string, b: string): boolean {
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (a.charCodeAt(i) !== b.charCodeAt(i)) {
      return (a.codePointAt(i) ?? 0) < (b.codePointAt(i) ?? 0);
    }
  }
  return a.length < b.length;
}
