import type { Page, PageQuery } from "../contract.ts";
import type { Held } from "../decide.ts";
import { type KeyRange, keyRange } from "../key-range.ts";
import { Cells, NO_PLACE } from "./cells.ts";
import { EncodedKey, type Hash, hashOf } from "./encoded-key.ts";
import { ExpiryHeap } from "./expiry-heap.ts";
import { KeyTable } from "./key-table.ts";
import { OrderedCells } from "./ordered-cells.ts";
import { PageReader } from "./page.ts";
import { NOWHERE, Segments } from "./segments.ts";

/**
 * The most entries that one {@link EntryTable.reclaim} removes: about a millisecond of work at five
 * million keys.
 */
const RECLAIM_SLICE = 256;

/** The most expired keys that one page skips, besides the keys that it returns. */
const MAX_EXPIRED_PER_PAGE = 1024;

/**
 * Cells moved for each one freed. With fewer than two, frees would outrun the emptying of a
 * segment.
 */
const MOVES_PER_FREE = 2;

/** An entry that is read where it lies. */
class HeldCell implements Held {
  readonly #cells: Cells;
  readonly #address: number;
  readonly expiresAtMs: number | undefined;

  constructor(cells: Cells, address: number, expiresAtMs: number | undefined) {
    this.#cells = cells;
    this.#address = address;
    this.expiresAtMs = expiresAtMs;
  }

  get value(): Uint8Array {
    return this.#cells.value(this.#address);
  }

  get version(): number {
    return this.#cells.version(this.#address);
  }
}

/** Options with which a test reaches rare states. */
export interface EntryTableOptions {
  readonly hash?: Hash;
  readonly maxSegments?: number;
}

/**
 * The entries of one namespace. An expired entry is invisible at once; {@link EntryTable.reclaim}
 * frees its room later. All times are in milliseconds since 1970.
 */
export class EntryTable {
  readonly #cells: Cells;
  readonly #keys: KeyTable;
  readonly #ordered: OrderedCells;
  readonly #expiries: ExpiryHeap;
  readonly #hash: Hash;
  /** The key of the current call, and the key of a cell that is removed or moved. */
  readonly #key = new EncodedKey();
  readonly #cellKey = new EncodedKey();
  /** The bounds of the current page or count. */
  readonly #from = new EncodedKey();
  readonly #below = new EncodedKey();

  constructor({ hash = hashOf, maxSegments }: EntryTableOptions = {}) {
    this.#hash = hash;
    this.#cells = new Cells(new Segments(maxSegments));
    this.#keys = new KeyTable(this.#cells);
    this.#ordered = new OrderedCells(this.#cells);
    this.#expiries = new ExpiryHeap(this.#cells);
  }

  /** The number of entries, including those that are expired and not yet reclaimed. */
  get size(): number {
    return this.#keys.size;
  }

  /** Bytes taken from the system for keys and values, except for long values. */
  get bytes(): number {
    return this.#cells.bytes;
  }

  get(key: string, nowMs: number): Uint8Array | undefined {
    const address = this.#findLive(key, nowMs);
    return address === NOWHERE ? undefined : this.#cells.value(address);
  }

  has(key: string, nowMs: number): boolean {
    return this.#findLive(key, nowMs) !== NOWHERE;
  }

  /** Whether this many writes surely fit. */
  hasRoom(writes: number): boolean {
    return this.#cells.hasRoom(writes);
  }

  /** The unexpired entry. It may be read until the next write. */
  look(key: string, nowMs: number): Held | undefined {
    const address = this.#findLive(key, nowMs);
    if (address === NOWHERE) {
      return undefined;
    }
    const place = this.#cells.expiryPlace(address);
    const expiresAtMs = place === NO_PLACE ? undefined : this.#expiries.expiresAtMs(place);
    return new HeldCell(this.#cells, address, expiresAtMs);
  }

  /**
   * Stores a copy of the value. Throws {@link PrismError} `store_full`.
   *
   * @param expiresAtMs When the entry expires; `undefined` = never.
   * @param version The entry's new version, a safe integer above 0.
   */
  set(key: string, value: Uint8Array, expiresAtMs: number | undefined, version: number): void {
    this.#key.encode(key);
    const hash = this.#hash(this.#key);
    const found = this.#keys.find(hash, this.#key);
    let address = found;
    if (found === NOWHERE) {
      address = this.#cells.create(this.#key, value, version);
      this.#keys.add(hash, address);
      this.#ordered.insert(this.#key, address);
    } else if (!this.#cells.replaceValue(found, value, version)) {
      address = this.#cells.create(this.#key, value, version);
      this.#cells.setExpiryPlace(address, this.#cells.expiryPlace(found));
      this.#readdress(this.#key, hash, found, address);
      this.#cells.free(found);
    }
    this.#expireAt(address, expiresAtMs);
    if (found !== NOWHERE && found !== address) {
      this.#tidy();
    }
  }

  /** Gives an entry that is held a new expiry and version. Its value stays. */
  touch(key: string, expiresAtMs: number | undefined, version: number): void {
    this.#key.encode(key);
    const address = this.#keys.find(this.#hash(this.#key), this.#key);
    if (address !== NOWHERE) {
      this.#cells.setVersion(address, version);
      this.#expireAt(address, expiresAtMs);
    }
  }

  /** Deletes the key. Answers whether it held a value. */
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
    const { reverse = false, after, maxEntries, maxBytes, keysOnly } = query;
    const page = new PageReader(this.#cells, keysOnly);
    let expired = 0;
    let full = false;
    let more = false;
    let last = NOWHERE;
    const visit = (address: number): boolean => {
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
    };
    this.#bound(keyRange(query, after));
    if (reverse) {
      this.#ordered.walkBack(this.#from, this.#below, visit);
    } else {
      this.#ordered.walk(this.#from, this.#below, visit);
    }
    const next = more ? this.#keyAt(last) : undefined;
    return query.withTtls === true
      ? { ...page.read(), next, ttlsMs: this.#ttlsMs(page.addresses, nowMs) }
      : { ...page.read(), next };
  }

  /** The number of entries with the prefix, including expired ones that are not yet reclaimed. */
  count(prefix: string): number {
    this.#bound(keyRange({ prefix }));
    return this.#ordered.rank(this.#below) - this.#ordered.rank(this.#from);
  }

  /**
   * Removes some entries that are expired at `nowMs`. Answers the next expiry; `undefined` = none
   * is left.
   */
  reclaim(nowMs: number): number | undefined {
    for (let i = 0; i < RECLAIM_SLICE && this.#soonestMs() <= nowMs; i++) {
      const address = this.#expiries.first();
      this.#cells.loadKey(address, this.#key);
      this.#remove(this.#key, this.#hash(this.#key), address);
    }
    const soonestMs = this.#soonestMs();
    return soonestMs === Infinity ? undefined : soonestMs;
  }

  #bound({ from, below }: KeyRange): void {
    this.#from.copyBytes(from);
    this.#below.copyBytes(below);
  }

  /** The next expiry; Infinity = none. */
  #soonestMs(): number {
    return this.#expiries.size === 0 ? Infinity : this.#expiries.expiresAtMs(0);
  }

  #keyAt(address: number): string | undefined {
    const one = new PageReader(this.#cells, true);
    one.add(address);
    return one.read().keys[0];
  }

  #findLive(key: string, nowMs: number): number {
    this.#key.encode(key);
    const address = this.#keys.find(this.#hash(this.#key), this.#key);
    return address !== NOWHERE && this.#isLive(address, nowMs) ? address : NOWHERE;
  }

  /** How long entries still live; 0 = for ever. */
  #ttlsMs(addresses: readonly number[], nowMs: number): Float64Array {
    return Float64Array.from(addresses, (address) => {
      const place = this.#cells.expiryPlace(address);
      return place === NO_PLACE ? 0 : this.#expiries.expiresAtMs(place) - nowMs;
    });
  }

  #isLive(address: number, nowMs: number): boolean {
    const place = this.#cells.expiryPlace(address);
    return place === NO_PLACE || this.#expiries.expiresAtMs(place) > nowMs;
  }

  #remove(key: EncodedKey, hash: number, address: number): void {
    this.#keys.remove(hash, address);
    this.#ordered.delete(key);
    this.#expiries.remove(address);
    this.#cells.free(address);
    this.#tidy();
  }

  /**
   * Records the new address of a moved cell. Key and heap place are the same; the old cell is still
   * readable.
   */
  #readdress(key: EncodedKey, hash: number, from: number, to: number): void {
    this.#keys.move(hash, from, to);
    this.#ordered.move(key, to);
    this.#expiries.move(to);
  }

  #expireAt(address: number, expiresAtMs: number | undefined): void {
    if (expiresAtMs === undefined) {
      this.#expiries.remove(address);
    } else {
      this.#expiries.put(address, expiresAtMs);
    }
  }

  /** Moves some cells out of sparse segments. */
  #tidy(): void {
    for (let i = 0; i < MOVES_PER_FREE; i++) {
      const from = this.#cells.movable();
      if (from === NOWHERE) {
        return;
      }
      this.#cells.loadKey(from, this.#cellKey);
      const to = this.#cells.copy(from);
      this.#readdress(this.#cellKey, this.#hash(this.#cellKey), from, to);
      this.#cells.release(from);
    }
  }
}
