import type { Cells } from "./cells.ts";
import type { EncodedKey } from "./encoded-key.ts";

const MAX_BLOCK_CELLS = 512;
const MIN_BLOCK_CELLS = 128;

/** Addresses in key order; only the first `length` are in use. */
interface Block {
  readonly addresses: Uint32Array;
  length: number;
}

/**
 * Cells in ascending byte order of their keys, without duplicates: a sorted array of sorted blocks.
 * Two binary searches find a place. A change moves at most one block's addresses. Ten thousand
 * blocks hold five million cells.
 */
export class OrderedCells {
  readonly #cells: Cells;
  /** Every block holds at least one address. */
  readonly #blocks: Block[] = [];
  /** A copy of each block's first address: side by side they stay in the processor's cache. */
  readonly #firsts: number[] = [];
  /** The result of the last `#seek`: the block and the offset in it. */
  #block = 0;
  #offset = 0;

  constructor(cells: Cells) {
    this.#cells = cells;
  }

  /** Adds a cell with its key, which must be new. */
  insert(key: EncodedKey, address: number): void {
    this.#seek(key);
    const block = this.#blocks[this.#block];
    if (block === undefined) {
      this.#insertBlock(0, createBlock([address]));
    } else if (block.length < MAX_BLOCK_CELLS) {
      this.#insertAt(this.#block, this.#offset, address);
    } else if (this.#offset === block.length) {
      // A full block stays full when keys arrive in order, instead of being halved.
      this.#insertBlock(this.#block + 1, createBlock([address]));
    } else {
      block.length = MAX_BLOCK_CELLS / 2;
      this.#insertBlock(this.#block + 1, createBlock(block.addresses.subarray(block.length)));
      if (this.#offset <= block.length) {
        this.#insertAt(this.#block, this.#offset, address);
      } else {
        this.#insertAt(this.#block + 1, this.#offset - block.length, address);
      }
    }
  }

  /** Removes the cell with this key, which must be present. */
  delete(key: EncodedKey): void {
    this.#seekCell(key);
    const block = this.#blocks[this.#block];
    if (block === undefined) {
      return;
    }
    block.addresses.copyWithin(this.#offset, this.#offset + 1, block.length);
    block.length--;
    if (block.length === 0) {
      this.#removeBlock(this.#block);
    } else if (this.#offset === 0) {
      this.#firsts[this.#block] = block.addresses[0] ?? 0;
    }
    if (block.length > 0 && block.length < MIN_BLOCK_CELLS) {
      this.#shrink(this.#block, block);
    }
  }

  /**
   * Updates the address of the cell with this key, which must be present. Both cells must be
   * readable.
   */
  move(key: EncodedKey, to: number): void {
    this.#seekCell(key);
    const block = this.#blocks[this.#block];
    if (block === undefined) {
      return;
    }
    block.addresses[this.#offset] = to;
    if (this.#offset === 0) {
      this.#firsts[this.#block] = to;
    }
  }

  /** The number of cells whose keys are less than the probe. O(blocks). */
  rank(probe: EncodedKey): number {
    this.#seek(probe);
    let rank = this.#offset;
    for (let i = 0; i < this.#block; i++) {
      rank += this.#blocks[i]?.length ?? 0;
    }
    return rank;
  }

  /**
   * Visits the cells from `from` (included) to `below` (excluded), in order, until `visit` answers
   * false. `visit` must not change the set.
   */
  walk(from: EncodedKey, below: EncodedKey, visit: (address: number) => boolean): void {
    this.#seek(from);
    let offset = this.#offset;
    for (let i = this.#block; i < this.#blocks.length; i++) {
      const block = this.#blocks[i];
      if (block === undefined) {
        return;
      }
      const { addresses, length } = block;
      const isWhole = this.#isLess(addresses[length - 1] ?? 0, below);
      const end = isWhole ? length : this.#offsetIn(block, below);
      for (; offset < end; offset++) {
        if (!visit(addresses[offset] ?? 0)) {
          return;
        }
      }
      if (!isWhole) {
        return;
      }
      offset = 0;
    }
  }

  /** The same backwards. */
  walkBack(from: EncodedKey, below: EncodedKey, visit: (address: number) => boolean): void {
    this.#seek(below);
    let offset = this.#offset - 1;
    for (let i = this.#block; i >= 0; i--) {
      const block = this.#blocks[i];
      if (block === undefined) {
        return;
      }
      const { addresses } = block;
      const isWhole = !this.#isLess(addresses[0] ?? 0, from);
      const start = isWhole ? 0 : this.#offsetIn(block, from);
      for (; offset >= start; offset--) {
        if (!visit(addresses[offset] ?? 0)) {
          return;
        }
      }
      if (!isWhole) {
        return;
      }
      offset = (this.#blocks[i - 1]?.length ?? 0) - 1;
    }
  }

  /**
   * Seeks the first cell that is not less than the probe. May stop at the end of the block before
   * it.
   */
  #seek(probe: EncodedKey): void {
    const firsts = this.#firsts;
    let low = 0;
    let high = firsts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#isLess(firsts[middle] ?? 0, probe)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    this.#block = Math.max(low - 1, 0);
    this.#offset = this.#offsetIn(this.#blocks[this.#block] ?? NO_BLOCK, probe);
  }

  /** The offset of the block's first cell that is not less than the probe. */
  #offsetIn({ addresses, length }: Block, probe: EncodedKey): number {
    let low = 0;
    let high = length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#isLess(addresses[middle] ?? 0, probe)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  #isLess(address: number, probe: EncodedKey): boolean {
    return this.#cells.compare(address, probe) < 0;
  }

  /** Seeks the cell with this key, which must be present. */
  #seekCell(key: EncodedKey): void {
    this.#seek(key);
    if (this.#offset === this.#blocks[this.#block]?.length) {
      this.#block++;
      this.#offset = 0;
    }
  }

  #insertBlock(index: number, block: Block): void {
    this.#blocks.splice(index, 0, block);
    this.#firsts.splice(index, 0, block.addresses[0] ?? 0);
  }

  #removeBlock(index: number): void {
    this.#blocks.splice(index, 1);
    this.#firsts.splice(index, 1);
  }

  #insertAt(index: number, offset: number, address: number): void {
    const block = this.#blocks[index];
    if (block === undefined) {
      return;
    }
    block.addresses.copyWithin(offset + 1, offset, block.length);
    block.addresses[offset] = address;
    block.length++;
    if (offset === 0) {
      this.#firsts[index] = address;
    }
  }

  /**
   * Joins a small block with the next one (the last block with the one before it), unless the
   * result would soon be split again.
   */
  #shrink(index: number, block: Block): void {
    const lower = index + 1 < this.#blocks.length ? index : index - 1;
    const left = this.#blocks[lower];
    const right = this.#blocks[lower + 1];
    if (left === undefined || right === undefined || (left !== block && right !== block)) {
      return;
    }
    if (left.length + right.length > MAX_BLOCK_CELLS - MIN_BLOCK_CELLS) {
      return;
    }
    left.addresses.set(right.addresses.subarray(0, right.length), left.length);
    left.length += right.length;
    this.#removeBlock(lower + 1);
  }
}

const NO_BLOCK: Block = { addresses: new Uint32Array(0), length: 0 };

function createBlock(addresses: ArrayLike<number>): Block {
  const block = { addresses: new Uint32Array(MAX_BLOCK_CELLS), length: addresses.length };
  block.addresses.set(addresses);
  return block;
}
