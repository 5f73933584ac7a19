import type { EntryWrite, Page, PageQuery } from "../contract.ts";
import { compareUtf8 } from "../utf8.ts";
import { EncodedKey, type Hash, hashOf } from "./encoded-key.ts";
import { ExpiryHeap } from "./expiry-heap.ts";
import { KeyTable } from "./key-table.ts";
import { OrderedRecords } from "./ordered-records.ts";
import { PageReader } from "./page.ts";
import { NO_PLACE, Records } from "./records.ts";
import { NOWHERE, Segments } from "./segments.ts";

/** Most entries that one {@link EntryTable.reclaim} takes: about a millisecond of work at five million keys. */
const RECLAIM_SLICE = 256;

/** Keys that one page may pass over because they are expired, beside those it returns. */
const MAX_EXPIRED_PER_PAGE = 1024;

/** Records that are moved for each one freed: with fewer than two, those that are freed while a segment is emptied would be ahead. */
const MOVES_PER_FREE = 2;

/** What a test sets to see what is rare. */
export interface EntryTableOptions {
  readonly hash?: Hash;
  readonly maxSegments?: number;
}

/**
 * The entries of one namespace. An expired entry is invisible at once; {@link EntryTable.reclaim} gives its
 * room back later. Each time is in milliseconds since 1970.
 */
export class EntryTable {
  readonly #records: Records;
  readonly #keys: KeyTable;
  readonly #ordered: OrderedRecords;
  readonly #expiries: ExpiryHeap;
  readonly #hash: Hash;
  /** The key that a call is about, and that of a record that is taken out or moved. */
  readonly #key = new EncodedKey();
  readonly #recordKey = new EncodedKey();

  constructor({ hash = hashOf, maxSegments }: EntryTableOptions = {}) {
    this.#hash = hash;
    this.#records = new Records(new Segments(maxSegments));
    this.#keys = new KeyTable(this.#records);
    this.#ordered = new OrderedRecords(this.#records);
    this.#expiries = new ExpiryHeap(this.#records);
  }

  /** Entries held, those included that are expired and not yet reclaimed. */
  get size(): number {
    return this.#keys.size;
  }

  /** Bytes taken from the system for keys and values, long values not counted. */
  get bytes(): number {
    return this.#records.bytes;
  }

  get(key: string, nowMs: number): Uint8Array | undefined {
    const address = this.#findLive(key, nowMs);
    return address === NOWHERE ? undefined : this.#records.value(address);
  }

  has(key: string, nowMs: number): boolean {
    return this.#findLive(key, nowMs) !== NOWHERE;
  }

  /** Whether so many writes are sure to find room. */
  hasRoom(writes: number): boolean {
    return this.#records.hasRoom(writes);
  }

  /** Keeps a copy of the value. Answers when the entry expires, `undefined` = never. Throws {@link PrismError} `store_full`. */
  set({ key, value, ttlMs }: EntryWrite, nowMs: number): number | undefined {
    this.#key.encode(key);
    const hash = this.#hash(this.#key);
    const found = this.#keys.find(hash, this.#key);
    let address = found;
    if (found === NOWHERE) {
      address = this.#records.create(this.#key, value);
      this.#keys.add(hash, address);
      this.#ordered.insert(this.#key, address);
    } else if (!this.#records.replaceValue(found, value)) {
      address = this.#records.create(this.#key, value);
      this.#records.setExpiryPlace(address, this.#records.expiryPlace(found));
      this.#readdress(this.#key, hash, found, address);
      this.#records.free(found);
    }
    let expiresAtMs: number | undefined;
    if (ttlMs === 0) {
      this.#expiries.remove(address);
    } else {
      expiresAtMs = nowMs + ttlMs;
      this.#expiries.put(address, expiresAtMs);
    }
    if (found !== NOWHERE && found !== address) {
      this.#tidy();
    }
    return expiresAtMs;
  }

  /** Whether the key held a value until now. */
  delete(key: string, nowMs: number): boolean {
    this.#key.encode(key);
    const hash = this.#hash(this.#key);
    const address = this.#keys.find(hash, this.#key);
    if (address === NOWHERE) {
      return false;
    }
    const live = this.#isLive(address, nowMs);
    this.#remove(this.#key, hash, address);
    return live;
  }

  page(query: PageQuery, nowMs: number): Page {
    const { prefix, after, maxEntries, maxBytes, keysOnly } = query;
    const records = this.#records;
    const page = new PageReader(records, keysOnly);
    let expired = 0;
    let full = false;
    let more = false;
    let last = NOWHERE;
    this.#recordKey.encode(prefix);
    const fromPrefix = after === undefined || compareUtf8(after, prefix) < 0;
    this.#key.encode(fromPrefix ? prefix : after);
    this.#ordered.walk(this.#key, fromPrefix ? "at" : "after", (address) => {
      if (prefix !== "" && !records.startsWith(address, this.#recordKey)) {
        return false;
      }
      more = full;
      if (full) {
        return false;
      }
      last = address;
      if (this.#isLive(address, nowMs)) {
        page.add(address);
        full = page.length >= maxEntries || page.bytes >= maxBytes;
      } else {
        expired++;
        full = expired === MAX_EXPIRED_PER_PAGE;
      }
      return true;
    });
    return { ...page.read(), next: more ? this.#keyAt(last) : undefined };
  }

  /** How many entries have the prefix, expired ones included that are not reclaimed. */
  count(prefix: string): number {
    this.#key.encode(prefix);
    return this.#ordered.rank(this.#key, "past") - this.#ordered.rank(this.#key, "at");
  }

  /** Removes some of what is expired at `nowMs`; answers the soonest expiry that is left, `undefined` = none. */
  reclaim(nowMs: number): number | undefined {
    for (let i = 0; i < RECLAIM_SLICE && this.#soonestMs() <= nowMs; i++) {
      const address = this.#expiries.first();
      this.#records.loadKey(address, this.#key);
      this.#remove(this.#key, this.#hash(this.#key), address);
    }
    const soonestMs = this.#soonestMs();
    return soonestMs === Infinity ? undefined : soonestMs;
  }

  /** When the first of all expires; Infinity = none does. */
  #soonestMs(): number {
    return this.#expiries.size === 0 ? Infinity : this.#expiries.expiresAtMs(0);
  }

  #keyAt(address: number): string | undefined {
    const one = new PageReader(this.#records, true);
    one.add(address);
    return one.read().keys[0];
  }

  #findLive(key: string, nowMs: number): number {
    this.#key.encode(key);
    const address = this.#keys.find(this.#hash(this.#key), this.#key);
    return address !== NOWHERE && this.#isLive(address, nowMs) ? address : NOWHERE;
  }

  #isLive(address: number, nowMs: number): boolean {
    const place = this.#records.expiryPlace(address);
    return place === NO_PLACE || this.#expiries.expiresAtMs(place) > nowMs;
  }

  #remove(key: EncodedKey, hash: number, address: number): void {
    this.#keys.remove(hash, address);
    this.#ordered.delete(key);
    this.#expiries.remove(address);
    this.#records.free(address);
    this.#tidy();
  }

  /** A record has another address now, with the same key and place among the expiries. The old one can still be read. */
  #readdress(key: EncodedKey, hash: number, from: number, to: number): void {
    this.#keys.move(hash, from, to);
    this.#ordered.move(key, to);
    this.#expiries.move(to);
  }

  /** Moves some records out of where few are left. */
  #tidy(): void {
    for (let i = 0; i < MOVES_PER_FREE; i++) {
      const from = this.#records.movable();
      if (from === NOWHERE) {
        return;
      }
      this.#records.loadKey(from, this.#recordKey);
      const to = this.#records.copy(from);
      this.#readdress(this.#recordKey, this.#hash(this.#recordKey), from, to);
      this.#records.release(from);
    }
  }
}
