import { abortError } from "../../errors.ts";
import {
  answerOf,
  type Call,
  type EntryStore,
  type Page,
  type PageQuery,
  type ScanStore,
} from "../contract.ts";
import { compareUtf8 } from "../utf8.ts";
import { PickedValues } from "../values.ts";

/**
 * Each store is asked for this many times its even share of a page, so that few are asked twice.
 */
const SLACK = 1.25;

/**
 * A value larger than this part of its store's share is read only once the page surely holds it:
 * every store is asked, but the page may have room for one large value.
 */
const INLINE = 0.5;

/** What the merge needs of each store. */
export interface MergedStore {
  readonly entries: EntryStore;
  readonly scans: ScanStore;
}

/** Merges the scans of several stores into one ordered scan. No two stores hold the same key. */
export function mergeScans(stores: readonly MergedStore[]): ScanStore {
  return {
    async scanPage(namespace, query, call) {
      const share = shareOf(query, stores.length);
      const cursors = stores.map((store) => new Cursor(store, namespace, share, call));
      await Promise.all(cursors.map((cursor) => cursor.fill()));
      const keys: string[] = [];
      const values = new PickedValues();
      let next: string | undefined;
      for (let bytes = 0; ; ) {
        const first = firstOf(cursors, query.reverse === true);
        if (first === undefined) {
          break;
        }
        if (keys.length >= query.maxEntries || bytes >= query.maxBytes) {
          next = keys.at(-1);
          break;
        }
        bytes += first.moveTo(keys, values);
        if (first.needsPage) {
          await first.fill();
        }
      }
      const gone = new Set((await Promise.all(cursors.map((cursor) => cursor.readLater(values)))).flat());
      if (gone.size === 0) {
        return { keys, values, next };
      }
      return { keys: keys.filter((_, place) => !gone.has(place)), values: values.without(gone), next };
    },
    async count(namespace, prefix, call) {
      const counts = await Promise.all(stores.map(({ scans }) => scans.count(namespace, prefix, call)));
      return counts.reduce((sum, count) => sum + count, 0);
    },
  };
}

function shareOf(query: PageQuery, stores: number): PageQuery {
  const share = (whole: number) => Math.min(whole, Math.ceil((whole / stores) * SLACK));
  return {
    ...query,
    maxEntries: share(query.maxEntries),
    maxBytes: share(query.maxBytes),
    inlineBytes: Math.ceil((query.maxBytes / stores) * INLINE),
  };
}

/** The position of the merge in one store. */
class Cursor {
  readonly #store: MergedStore;
  readonly #namespace: string;
  readonly #query: PageQuery;
  readonly #call: Call;
  #page: Page | undefined;
  #at = 0;
  /** Keys whose values are still to be read -> their places in the merged page. */
  readonly #later = new Map<string, number>();

  constructor(store: MergedStore, namespace: string, query: PageQuery, call: Call) {
    this.#store = store;
    this.#namespace = namespace;
    this.#query = query;
    this.#call = call;
  }

  /** The store's next key. `undefined` = none. */
  get key(): string | undefined {
    return this.#page?.keys[this.#at];
  }

  /** Its page is used up, and there may be another. */
  get needsPage(): boolean {
    const page = this.#page;
    return page === undefined || (this.#at >= page.keys.length && page.next !== undefined);
  }

  /** Reads pages until it has a next key or reaches the end. */
  async fill(): Promise<void> {
    while (this.needsPage) {
      if (this.#call.aborted) {
        throw abortError(this.#call.signal);
      }
      const query = this.#page === undefined ? this.#query : { ...this.#query, after: this.#page.next };
      this.#page = await this.#store.scans.scanPage(this.#namespace, query, this.#call);
      this.#at = 0;
    }
  }

  /** Moves its next entry to the merged page. Answers the entry's bytes. */
  moveTo(keys: string[], values: PickedValues): number {
    const { key } = this;
    if (key === undefined || this.#page === undefined) {
      return 0;
    }
    const at = this.#at++;
    const place = keys.push(key) - 1;
    if (this.#query.keysOnly) {
      return Buffer.byteLength(key);
    }
    values.add(this.#page.values, at);
    const laterBytes = this.#page.later?.get(at);
    if (laterBytes !== undefined) {
      this.#later.set(key, place);
    }
    return Buffer.byteLength(key) + (laterBytes ?? this.#page.values.bytesOf(at));
  }

  /**
   * Fetches the values that its pages left out. Answers the places of the entries that are gone by
   * now.
   */
  async readLater(values: PickedValues): Promise<number[]> {
    if (this.#later.size === 0) {
      return [];
    }
    const found = await this.#store.entries.get(this.#namespace, [...this.#later.keys()], this.#call);
    return [...this.#later.values()].filter((place, i) => {
      const value = answerOf(found[i]);
      if (value !== undefined) {
        values.put(place, value);
      }
      return value === undefined;
    });
  }
}

/**
 * The cursor whose next key is the smallest, or the greatest if `reverse` is set. `undefined` =
 * none has one.
 */
function firstOf(cursors: readonly Cursor[], reverse: boolean): Cursor | undefined {
  let first: Cursor | undefined;
  let firstKey = "";
  for (const cursor of cursors) {
    const { key } = cursor;
    if (key !== undefined && (first === undefined || compareUtf8(key, firstKey) < 0 !== reverse)) {
      first = cursor;
      firstKey = key;
    }
  }
  return first;
}
