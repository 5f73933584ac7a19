import type { Call, Page, PageQuery, ScanStore } from "./contract.ts";
import { compareUtf8 } from "./utf8.ts";
import type { Values } from "./values.ts";

/** How much more than its even share of a page each store is asked for, so that few are asked twice. */
const SLACK = 1.25;

/** The scans of several stores, none of which has a key of another, as one in order. */
export function mergeScans(stores: readonly ScanStore[]): ScanStore {
  return {
    async scanPage(namespace, query, call) {
      const share = shareOf(query, stores.length);
      const cursors = stores.map((store) => new Cursor(store, namespace, share, call));
      await Promise.all(cursors.map((cursor) => cursor.fill()));
      const keys: string[] = [];
      const values = new PickedValues();
      for (let bytes = 0; ; ) {
        const least = leastOf(cursors);
        if (least === undefined) return { keys, values, next: undefined };
        if (keys.length >= query.maxEntries || bytes >= query.maxBytes) {
          return { keys, values, next: keys.at(-1) };
        }
        bytes += least.moveTo(keys, values);
        if (least.needsPage) await least.fill();
      }
    },
    async count(namespace, prefix, call) {
      const counts = await Promise.all(stores.map((store) => store.count(namespace, prefix, call)));
      return counts.reduce((sum, count) => sum + count, 0);
    },
  };
}

function shareOf(query: PageQuery, stores: number): PageQuery {
  const share = (whole: number) => Math.min(whole, Math.ceil((whole / stores) * SLACK));
  return { ...query, maxEntries: share(query.maxEntries), maxBytes: share(query.maxBytes) };
}

/** Where the merge is in one store. */
class Cursor {
  readonly #store: ScanStore;
  readonly #namespace: string;
  readonly #query: PageQuery;
  readonly #call: Call;
  #page: Page | undefined;
  #at = 0;

  constructor(store: ScanStore, namespace: string, query: PageQuery, call: Call) {
    this.#store = store;
    this.#namespace = namespace;
    this.#query = query;
    this.#call = call;
  }

  /** The next of its keys; `undefined` = there is none. */
  get key(): string | undefined {
    return this.#page?.keys[this.#at];
  }

  /** All of its page is gone, and there may be another. */
  get needsPage(): boolean {
    const page = this.#page;
    return page === undefined || (this.#at >= page.keys.length && page.next !== undefined);
  }

  /** Reads on, up to its next key or its end. */
  async fill(): Promise<void> {
    while (this.needsPage) {
      const query = this.#page === undefined ? this.#query : { ...this.#query, after: this.#page.next };
      this.#page = await this.#store.scanPage(this.#namespace, query, this.#call);
      this.#at = 0;
    }
  }

  /** Moves its next entry over there; answers its bytes. */
  moveTo(keys: string[], values: PickedValues): number {
    const { key } = this;
    if (key === undefined || this.#page === undefined) return 0;
    const at = this.#at++;
    keys.push(key);
    if (this.#query.keysOnly) return Buffer.byteLength(key);
    values.add(this.#page.values, at);
    return Buffer.byteLength(key) + this.#page.values.bytesOf(at);
  }
}

/** The one whose next key is the first of all; `undefined` = none has any. */
function leastOf(cursors: readonly Cursor[]): Cursor | undefined {
  let least: Cursor | undefined;
  let leastKey = "";
  for (const cursor of cursors) {
    const { key } = cursor;
    if (key !== undefined && (least === undefined || compareUtf8(key, leastKey) < 0)) {
      least = cursor;
      leastKey = key;
    }
  }
  return least;
}

/** Values picked from those of several pages. */
class PickedValues implements Values {
  readonly #sources: Values[] = [];
  readonly #places: number[] = [];

  get length(): number {
    return this.#sources.length;
  }

  add(source: Values, place: number): void {
    this.#sources.push(source);
    this.#places.push(place);
  }

  bytesOf(index: number): number {
    return this.#sources[index]?.bytesOf(this.#places[index] ?? 0) ?? 0;
  }

  copyTo(index: number, target: Buffer, at: number): void {
    this.#sources[index]?.copyTo(this.#places[index] ?? 0, target, at);
  }

  *[Symbol.iterator](): Iterator<Uint8Array> {
    for (let i = 0; i < this.length; i++) {
      const value = Buffer.allocUnsafe(this.bytesOf(i));
      this.copyTo(i, value, 0);
      yield value;
    }
  }
}
