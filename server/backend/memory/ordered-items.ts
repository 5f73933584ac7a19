import { compareUtf8, ordersNatively } from "../utf8.ts";

const MAX_BLOCK_ITEMS = 512;
const MIN_BLOCK_ITEMS = 128;

/**
 * Which items count as before a probe, by their keys. `at`: those less than it. `after`: those less and itself.
 * `past`: those less and every key that starts with it.
 */
export type Side = "at" | "after" | "past";

/** What can be kept in an {@link OrderedItems}. */
export interface Keyed {
  readonly key: string;
}

/**
 * Items in ascending order of the UTF-8 bytes of their keys, each key once: a sorted array of sorted blocks. Two binary searches
 * find a place; a change moves at most one block's items. Ten thousand blocks hold five million items.
 */
export class OrderedItems<T extends Keyed> {
  /** No block is empty. */
  readonly #blocks: T[][] = [];
  /** The first key of each block, once more: side by side they stay in the processor's cache, which halves the time of a search. */
  readonly #firsts: string[] = [];
  /** Where the last `#seek` ended: the block, and the place in it. */
  #block = 0;
  #offset = 0;

  /** Adds an item whose key none has. */
  insert(item: T): void {
    this.#seek(item.key, "at");
    const block = this.#blocks[this.#block];
    if (block === undefined) {
      this.#insertBlock(0, [item]);
    } else if (block.length < MAX_BLOCK_ITEMS) {
      this.#insertAt(this.#block, this.#offset, item);
    } else if (this.#offset === block.length) {
      // Items that arrive in order fill each block to the end instead of leaving halves behind.
      this.#insertBlock(this.#block + 1, [item]);
    } else {
      this.#insertBlock(this.#block + 1, block.splice(MAX_BLOCK_ITEMS / 2));
      if (this.#offset <= block.length) this.#insertAt(this.#block, this.#offset, item);
      else this.#insertAt(this.#block + 1, this.#offset - block.length, item);
    }
  }

  /** Takes out the item with the key. */
  delete(key: string): void {
    this.#seek(key, "at");
    this.#leaveBlockEnd();
    const block = this.#blocks[this.#block];
    if (block === undefined || block[this.#offset]?.key !== key) return;
    block.splice(this.#offset, 1);
    if (this.#offset === 0) this.#firsts[this.#block] = block[0]?.key ?? "";
    if (block.length < MIN_BLOCK_ITEMS) this.#shrink(this.#block, block);
  }

  /** How many items are before the probe. O(blocks). */
  rank(probe: string, side: Side): number {
    this.#seek(probe, side);
    let rank = this.#offset;
    for (let i = 0; i < this.#block; i++) rank += this.#blocks[i]?.length ?? 0;
    return rank;
  }

  /** Hands out the items that are not before the probe, in order, until `visit` answers false. `visit` must not change the set. */
  walk(probe: string, side: Side, visit: (item: T) => boolean): void {
    this.#seek(probe, side);
    let offset = this.#offset;
    for (let i = this.#block; i < this.#blocks.length; i++) {
      const block = this.#blocks[i] ?? [];
      for (; offset < block.length; offset++) {
        const item = block[offset];
        if (item !== undefined && !visit(item)) return;
      }
      offset = 0;
    }
  }

  /** Goes to the first item that is not before the probe, or to the end of the block before that item's. */
  #seek(probe: string, side: Side): void {
    const native = ordersNatively(probe);
    let low = 0;
    let high = this.#firsts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(this.#firsts[middle] ?? "", probe, side, native)) low = middle + 1;
      else high = middle;
    }
    this.#block = Math.max(low - 1, 0);
    const block = this.#blocks[this.#block] ?? [];
    low = 0;
    high = block.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(block[middle]?.key ?? "", probe, side, native)) low = middle + 1;
      else high = middle;
    }
    this.#offset = low;
  }

  #insertBlock(index: number, block: T[]): void {
    this.#blocks.splice(index, 0, block);
    this.#firsts.splice(index, 0, block[0]?.key ?? "");
  }

  #removeBlock(index: number): void {
    this.#blocks.splice(index, 1);
    this.#firsts.splice(index, 1);
  }

  #insertAt(index: number, offset: number, item: T): void {
    this.#blocks[index]?.splice(offset, 0, item);
    if (offset === 0) this.#firsts[index] = item.key;
  }

  #leaveBlockEnd(): void {
    if (this.#offset === this.#blocks[this.#block]?.length) {
      this.#block++;
      this.#offset = 0;
    }
  }

  /** Joins a small block to the next (or the last to the one before it), unless the two would have to be split again soon. */
  #shrink(index: number, block: T[]): void {
    if (block.length === 0) {
      this.#removeBlock(index);
      return;
    }
    const lower = index + 1 < this.#blocks.length ? index : index - 1;
    const left = this.#blocks[lower];
    const right = this.#blocks[lower + 1];
    if (left === undefined || right === undefined) return;
    if (left.length + right.length > MAX_BLOCK_ITEMS - MIN_BLOCK_ITEMS) return;
    left.push(...right);
    this.#removeBlock(lower + 1);
  }
}

function isBefore(key: string, probe: string, side: Side, native: boolean): boolean {
  if (native ? key < probe : compareUtf8(key, probe) < 0) return true;
  return side === "at" ? false : side === "after" ? key === probe : key.startsWith(probe);
}
