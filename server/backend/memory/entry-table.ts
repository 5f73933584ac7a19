import type { EntryWrite, Page, PageQuery } from "../contract.ts";
import { compareUtf8 } from "../utf8.ts";
import { type Expiring, ExpiryHeap, NOT_IN_HEAP } from "./expiry-heap.ts";
import { KeyMap } from "./key-map.ts";
import { OrderedItems } from "./ordered-items.ts";
import { load, type StoredValue, StoredValues, store } from "./stored-value.ts";

/** Most entries that one {@link EntryTable.reclaim} takes: a few milliseconds of work at five million keys. */
const RECLAIM_SLICE = 256;

/** Keys that one page may pass over because they are expired, beside those it returns. */
const MAX_EXPIRED_PER_PAGE = 1024;

/** `expiresAtMs` of an entry that never expires. */
const NEVER = 0;

interface Entry extends Expiring {
  readonly key: string;
  value: StoredValue;
}

/**
 * The entries of one namespace. An expired entry is invisible at once; {@link EntryTable.reclaim} gives its
 * room back later. Each time is in milliseconds since 1970.
 */
export class EntryTable {
  readonly #entries = new KeyMap<Entry>();
  readonly #ordered = new OrderedItems<Entry>();
  readonly #expiries = new ExpiryHeap<Entry>();

  /** Entries held, those included that are expired and not yet reclaimed. */
  get size(): number {
    return this.#entries.size;
  }

  get(key: string, nowMs: number): Uint8Array | undefined {
    const entry = this.#live(key, nowMs);
    return entry && load(entry.value);
  }

  has(key: string, nowMs: number): boolean {
    return this.#live(key, nowMs) !== undefined;
  }

  /** Keeps a copy of the value. Answers when the entry expires, `undefined` = never. */
  set(write: EntryWrite, nowMs: number): number | undefined {
    let entry = this.#entries.get(write.key);
    const value = store(write.value);
    if (entry === undefined) {
      entry = { key: write.key, value, expiresAtMs: NEVER, heapIndex: NOT_IN_HEAP };
      this.#entries.add(write.key, entry);
      this.#ordered.insert(entry);
    } else {
      entry.value = value;
    }
    if (write.ttlMs === 0) {
      this.#expiries.remove(entry);
      entry.expiresAtMs = NEVER;
      return undefined;
    }
    this.#expiries.put(entry, nowMs + write.ttlMs);
    return entry.expiresAtMs;
  }

  /** Whether the key held a value until now. */
  delete(key: string, nowMs: number): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    const live = isLive(entry, nowMs);
    this.#remove(entry);
    return live;
  }

  page(query: PageQuery, nowMs: number): Page {
    const { prefix, after, maxEntries, maxBytes, keysOnly } = query;
    const keys: string[] = [];
    const stored: StoredValue[] = [];
    let bytes = 0;
    let expired = 0;
    let full = false;
    let last: string | undefined;
    let next: string | undefined;
    const fromPrefix = after === undefined || compareUtf8(after, prefix) < 0;
    this.#ordered.walk(fromPrefix ? prefix : after, fromPrefix ? "at" : "after", (entry) => {
      const { key } = entry;
      if (!key.startsWith(prefix)) return false;
      if (full) {
        next = last;
        return false;
      }
      last = key;
      if (!isLive(entry, nowMs)) {
        expired++;
        full = expired === MAX_EXPIRED_PER_PAGE;
        return true;
      }
      keys.push(key);
      bytes += Buffer.byteLength(key);
      if (!keysOnly) {
        stored.push(entry.value);
        bytes += entry.value.length;
      }
      full = keys.length >= maxEntries || bytes >= maxBytes;
      return true;
    });
    return { keys, values: new StoredValues(stored), next };
  }

  /** How many entries have the prefix, expired ones included that are not reclaimed. */
  count(prefix: string): number {
    return this.#ordered.rank(prefix, "past") - this.#ordered.rank(prefix, "at");
  }

  /** Removes some of what is expired at `nowMs`; answers the soonest expiry that is left, `undefined` = none. */
  reclaim(nowMs: number): number | undefined {
    let soonest = this.#expiries.peek();
    for (let i = 0; i < RECLAIM_SLICE && soonest !== undefined && soonest.expiresAtMs <= nowMs; i++) {
      this.#remove(soonest);
      soonest = this.#expiries.peek();
    }
    return soonest?.expiresAtMs;
  }

  #live(key: string, nowMs: number): Entry | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && isLive(entry, nowMs) ? entry : undefined;
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.key);
    this.#ordered.delete(entry.key);
    this.#expiries.remove(entry);
  }
}

function isLive(entry: Entry, nowMs: number): boolean {
  return entry.expiresAtMs === NEVER || entry.expiresAtMs > nowMs;
}
