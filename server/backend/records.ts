/**
 * Records: an id holds items, each a key of bytes and a value, in ascending order of the keys'
 * bytes. A record exists while it has an item. Ids obey the rules of keys; item keys have 1 to
 * MAX_ITEM_KEY_BYTES bytes of any kind. An expired item is invisible to every call from that moment
 * on, and its store gives its space back by itself.
 */

/** One item to write. */
export interface ItemWrite {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** Kept with the value and given back as it came. Only the caller knows what it means. */
  readonly metadata: Uint8Array;
  /** Milliseconds until it expires, by the store's own clock; 0 = never. */
  readonly ttlMs: number;
}

/** Items to write to one record: all of them or none. */
export interface RecordPut {
  readonly id: string;
  /** The later of two items with one key wins. */
  readonly items: readonly ItemWrite[];
}

/** One item as its store holds it. */
export interface HeldItem extends ItemWrite {
  /** As it was written: the item expires at `updatedAtMs + ttlMs`; 0 = never. */
  readonly ttlMs: number;
  /**
   * When it was first written, in milliseconds since 1970. A write to an item that was deleted or
   * has expired begins anew.
   */
  readonly createdAtMs: number;
  /** When it was last written, in milliseconds since 1970. */
  readonly updatedAtMs: number;
}

/** Items of one record to read at one moment, by their keys. */
export interface ItemsRead {
  readonly id: string;
  /** At least one. */
  readonly keys: readonly Uint8Array[];
  /** The read is refused as `value_too_large` if {@link bytesOfItem} of all sums up to more. */
  readonly maxBytes: number;
}

/** A part of one record, in order. */
export interface ItemRange {
  readonly id: string;
  /** The first key of the range. `undefined` = from the first item. */
  readonly start: Uint8Array | undefined;
  /** The first key after the range, never before its start. `undefined` = to the last item. */
  readonly end: Uint8Array | undefined;
  /**
   * Only items after this place, which is the `next` of an earlier page of the same range.
   * `undefined` = from the start.
   */
  readonly after: Uint8Array | undefined;
  /** Most items wanted, 1 or more. */
  readonly maxItems: number;
  /**
   * The page ends with the item that brings {@link bytesOfItem} to this many bytes or more. A
   * plugin's page may have a few items more.
   */
  readonly maxBytes: number;
}

/** One page of a range, of one moment, in ascending byte order of the keys. */
export interface ItemPage {
  readonly items: readonly HeldItem[];
  /**
   * The `after` of the next page: bytes that only the store reads. `undefined` = this is the last
   * page. A page may have fewer items than wanted, or none, without being the last.
   */
  readonly next: Uint8Array | undefined;
}

/** Items of one record to delete. */
export interface ItemsDelete {
  readonly id: string;
  /** `undefined` = all items, the first `maxItems` of them. */
  readonly keys: readonly Uint8Array[] | undefined;
  /**
   * The most items that one call deletes of a whole record, so that no record holds up its store. A
   * plugin deletes all.
   */
  readonly maxItems: number;
}

/** What a delete did. */
export interface ItemsDeleted {
  /** The number of items that were there; expired ones do not count. */
  readonly deleted: number;
  /** True: of a whole record there may be more. */
  readonly more: boolean;
}

/** One item to replace if it is what the caller expects. */
export interface ItemSwap {
  readonly id: string;
  readonly key: Uint8Array;
  /** The value that must be there. `undefined` = there must be no item. */
  readonly expected: Uint8Array | undefined;
  /**
   * A new item has no metadata and never expires. An item that was there keeps its metadata, and
   * its time to live begins anew.
   */
  readonly value: Uint8Array;
}

/** What became of a swap. */
export type SwapAnswer =
  | { readonly swapped: true }
  /** `actual`: the value that is there. `undefined` = there is no item. Nothing was written. */
  | { readonly swapped: false; readonly actual: Uint8Array | undefined };

/** What an item counts besides its own bytes: its times, and its place in memory. */
export const AROUND_ITEM_BYTES = 64;

/** What an item counts in a page and in a read, in bytes. */
export function bytesOfItem({ key, value, metadata }: ItemWrite): number {
  return AROUND_ITEM_BYTES + key.length + value.length + metadata.length;
}
