import type { NamePage, NameQuery } from "../contract.ts";
import { isExpected, NEW_ITEM } from "../decide-item.ts";
import {
  bytesOfItem,
  type HeldItem,
  type ItemPage,
  type ItemRange,
  type ItemSwap,
  type ItemsDelete,
  type ItemsDeleted,
  type ItemWrite,
  type SwapAnswer,
} from "../records.ts";
import { OrderedKeys } from "./ordered-keys.ts";
import { type Place, SortedChunks } from "./sorted-chunks.ts";
import { load, type StoredValue, store } from "./stored-value.ts";

/** The most items that one {@link RecordTable.reclaim} removes. */
const RECLAIM_SLICE = 256;

/** The most expired items that one page skips. */
const MAX_EXPIRED_PER_PAGE = 1024;

/** When an item expires. They are in order of their times. */
interface Expiry {
  readonly atMs: number;
  /** Tells expiries of one millisecond apart. */
  readonly number: number;
  readonly id: string;
  readonly key: string;
}

/**
 * A key is its bytes as Latin-1: each byte is one character, so `<` orders keys by their bytes.
 */
interface Item {
  readonly key: string;
  readonly value: StoredValue;
  readonly metadata: StoredValue;
  readonly ttlMs: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly expiry: Expiry | undefined;
}

/**
 * The records of one namespace. An expired item is invisible at once; {@link RecordTable.reclaim}
 * frees its room later. All times are in milliseconds since 1970.
 */
export class RecordTable {
  readonly #records = new OrderedKeys<SortedChunks<Item>>();
  readonly #expiries = new SortedChunks<Expiry>();
  #expiryNumber = 0;

  /** The number of records, including those whose items are expired and not yet reclaimed. */
  get size(): number {
    return this.#records.size;
  }

  /** Reads one page of the ids, including those of records that count in {@link size}. */
  pageIds(query: NameQuery): NamePage {
    return this.#records.page(query);
  }

  /** Stores a copy of the item. Answers when it expires; `undefined` = never. */
  put(id: string, { key, value, metadata, ttlMs }: ItemWrite, nowMs: number): number | undefined {
    const name = nameOf(key);
    const createdAtMs = this.#live(id, name, nowMs)?.createdAtMs ?? nowMs;
    return this.#write(id, {
      key: name,
      value: store(value),
      metadata: store(metadata),
      ttlMs,
      createdAtMs,
      updatedAtMs: nowMs,
      expiry: this.#expiry(id, name, ttlMs, nowMs),
    });
  }

  get(id: string, key: Uint8Array, nowMs: number): HeldItem | undefined {
    const item = this.#live(id, nameOf(key), nowMs);
    return item && toHeldItem(item);
  }

  page({ id, start, end, after, maxItems, maxBytes }: ItemRange, nowMs: number): ItemPage {
    const items: HeldItem[] = [];
    let bytes = 0;
    let expired = 0;
    let last: string | undefined;
    const first = start === undefined ? "" : nameOf(start);
    const below = end && nameOf(end);
    // The smallest key after another is that key and a zero.
    const successor = after === undefined ? "" : `${nameOf(after)}\0`;
    for (const item of this.#records.get(id)?.from(placeOf(laterOf(first, successor))) ?? []) {
      if (below !== undefined && item.key >= below) {
        break;
      }
      if (items.length >= maxItems || bytes >= maxBytes || expired >= MAX_EXPIRED_PER_PAGE) {
        return { items, next: last === undefined ? undefined : bytesOf(last) };
      }
      last = item.key;
      if (isLive(item, nowMs)) {
        const held = toHeldItem(item);
        items.push(held);
        bytes += bytesOfItem(held);
      } else {
        expired++;
      }
    }
    return { items, next: undefined };
  }

  delete({ id, keys, maxItems }: ItemsDelete, nowMs: number): ItemsDeleted {
    if (keys !== undefined) {
      return { deleted: this.#remove(id, keys.map(nameOf), nowMs), more: false };
    }
    const record = this.#records.get(id);
    const first = record?.from(() => 1).take(maxItems) ?? [];
    const deleted = this.#remove(
      id,
      Array.from(first, ({ key }) => key),
      nowMs,
    );
    return { deleted, more: this.#records.get(id) !== undefined };
  }

  /** The answer, and when the item expires; `undefined` = never, or it was not swapped. */
  swap(
    { id, key, expected, value }: ItemSwap,
    nowMs: number,
  ): { readonly answer: SwapAnswer; readonly expiresAtMs?: number | undefined } {
    const held = this.get(id, key, nowMs);
    if (!isExpected(held?.value, expected)) {
      return { answer: { swapped: false, actual: held?.value } };
    }
    const { metadata, ttlMs } = held ?? NEW_ITEM;
    const expiresAtMs = this.put(id, { key, value, metadata, ttlMs }, nowMs);
    return { answer: { swapped: true }, expiresAtMs };
  }

  /**
   * Removes some items that are expired at `nowMs`. Answers the next expiry; `undefined` = none is
   * left.
   */
  reclaim(nowMs: number): number | undefined {
    for (let i = 0; i < RECLAIM_SLICE; i++) {
      const expiry = this.#expiries.first();
      if (expiry === undefined || expiry.atMs > nowMs) {
        break;
      }
      this.#remove(expiry.id, [expiry.key], nowMs);
    }
    return this.#expiries.first()?.atMs;
  }

  #live(id: string, key: string, nowMs: number): Item | undefined {
    const item = this.#records.get(id)?.get(placeOf(key));
    return item !== undefined && isLive(item, nowMs) ? item : undefined;
  }

  #expiry(id: string, key: string, ttlMs: number, nowMs: number): Expiry | undefined {
    return ttlMs === 0 ? undefined : { atMs: nowMs + ttlMs, number: ++this.#expiryNumber, id, key };
  }

  #write(id: string, item: Item): number | undefined {
    this.#remove(id, [item.key], 0);
    let record = this.#records.get(id);
    if (record === undefined) {
      record = new SortedChunks();
      this.#records.add(id, record);
    }
    record.add(item, placeOf(item.key));
    if (item.expiry !== undefined) {
      this.#expiries.add(item.expiry, placeOfExpiry(item.expiry));
    }
    return item.expiry?.atMs;
  }

  /** Removes items. Answers how many of them were unexpired. A record without items is gone. */
  #remove(id: string, keys: readonly string[], nowMs: number): number {
    const record = this.#records.get(id);
    let live = 0;
    for (const key of record === undefined ? [] : keys) {
      const item = record?.remove(placeOf(key));
      if (item !== undefined) {
        live += isLive(item, nowMs) ? 1 : 0;
        if (item.expiry !== undefined) {
          this.#expiries.remove(placeOfExpiry(item.expiry));
        }
      }
    }
    if (record?.size === 0) {
      this.#records.delete(id);
    }
    return live;
  }
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
}

function bytesOf(name: string): Uint8Array {
  return Buffer.from(name, "latin1");
}

function placeOf(key: string): Place<Item> {
  return (item) => order(item.key, key);
}

function placeOfExpiry({ atMs, number }: Expiry): Place<Expiry> {
  return (expiry) => expiry.atMs - atMs || expiry.number - number;
}

function order(a: string, b: string): number {
  if (a === b) {
    return 0;
  }
  return a < b ? -1 : 1;
}

function isLive({ expiry }: Item, nowMs: number): boolean {
  return expiry === undefined || expiry.atMs > nowMs;
}

function toHeldItem({ key, value, metadata, ttlMs, createdAtMs, updatedAtMs }: Item): HeldItem {
  return {
    key: bytesOf(key),
    value: load(value),
    metadata: load(metadata),
    ttlMs,
    createdAtMs,
    updatedAtMs,
  };
}

function laterOf(a: string, b: string): string {
  return order(a, b) > 0 ? a : b;
}
