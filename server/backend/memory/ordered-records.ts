import type { EncodedKey } from "./encoded-key.ts";
import type { Records } from "./records.ts";

const MAX_BLOCK_RECORDS = 512;
const MIN_BLOCK_RECORDS = 128;

/**
 * Which records count as before a probe, by their keys. `at`: those less than it. `after`: those less and itself.
 * `past`: those less and every key that starts with it.
 */
export type Side = "at" | "after" | "past";

/** Addresses, in the order of the keys, as many as `length` says. */
interface Block {
  readonly addresses: Uint32Array;
  length: number;
}

/**
 * Records in ascending order of the bytes of their keys, each key once: a sorted array of sorted blocks. Two binary searches
 * find a place; a change moves at most one block's addresses. Ten thousand blocks hold five million records.
 */
export class OrderedRecords {
  readonly #records: Records;
  /** No block is empty. */
  readonly #blocks: Block[] = [];
  /** The first address of each block, once more: side by side they stay in the processor's cache. */
  readonly #firsts: number[] = [];
  /** Where the last `#seek` ended: the block, and the place in it. */
  #block = 0;
  #offset = 0;

  constructor(records: Records) {
    this.#records = records;
  }

  /** Adds a record, given its key, which none has. */
  insert(key: EncodedKey, address: number): void {
    this.#seek(key, "at");
    const block = this.#blocks[this.#block];
    if (block === undefined) {
      this.#insertBlock(0, createBlock([address]));
    } else if (block.length < MAX_BLOCK_RECORDS) {
      this.#insertAt(this.#block, this.#offset, address);
    } else if (this.#offset === block.length) {
      // Keys that arrive in order fill each block to the end instead of leaving halves behind.
      this.#insertBlock(this.#block + 1, createBlock([address]));
    } else {
      block.length = MAX_BLOCK_RECORDS / 2;
      this.#insertBlock(this.#block + 1, createBlock(block.addresses.subarray(block.length)));
      if (this.#offset <= block.length) {
        this.#insertAt(this.#block, this.#offset, address);
      } else {
        this.#insertAt(this.#block + 1, this.#offset - block.length, address);
      }
    }
  }

  /** Takes out the record with the key, which is here. */
  delete(key: EncodedKey): void {
    this.#seekRecord(key);
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
    if (block.length > 0 && block.length < MIN_BLOCK_RECORDS) {
      this.#shrink(this.#block, block);
    }
  }

  /** The record with the key, which is here, is at this address now. Both addresses can be read. */
  move(key: EncodedKey, to: number): void {
    this.#seekRecord(key);
    const block = this.#blocks[this.#block];
    if (block === undefined) {
      return;
    }
    block.addresses[this.#offset] = to;
    if (this.#offset === 0) {
      this.#firsts[this.#block] = to;
    }
  }

  /** How many records are before the probe. O(blocks). */
  rank(probe: EncodedKey, side: Side): number {
    this.#seek(probe, side);
    let rank = this.#offset;
    for (let i = 0; i < this.#block; i++) {
      rank += this.#blocks[i]?.length ?? 0;
    }
    return rank;
  }

  /** Hands out the records that are not before the probe, in order, until `visit` answers false. `visit` must not change the set. */
  walk(probe: EncodedKey, side: Side, visit: (address: number) => boolean): void {
    this.#seek(probe, side);
    let offset = this.#offset;
    for (let i = this.#block; i < this.#blocks.length; i++) {
      const block = this.#blocks[i];
      if (block === undefined) {
        return;
      }
      const { addresses, length } = block;
      for (; offset < length; offset++) {
        if (!visit(addresses[offset] ?? 0)) {
          return;
        }
      }
      offset = 0;
    }
  }

  /** Goes to the first record that is not before the probe, or to the end of the block before that record's. */
  #seek(probe: EncodedKey, side: Side): void {
    const firsts = this.#firsts;
    let low = 0;
    let high = firsts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#isBefore(firsts[middle] ?? 0, probe, side)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    this.#block = Math.max(low - 1, 0);
    const block = this.#blocks[this.#block];
    low = 0;
    high = block?.length ?? 0;
    const addresses = block?.addresses ?? NO_ADDRESSES;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#isBefore(addresses[middle] ?? 0, probe, side)) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    this.#offset = low;
  }

  /** Goes to the record with the key, which is here. */
  #seekRecord(key: EncodedKey): void {
    this.#seek(key, "at");
    if (this.#offset === this.#blocks[this.#block]?.length) {
      this.#block++;
      this.#offset = 0;
    }
  }

  #isBefore(address: number, probe: EncodedKey, side: Side): boolean {
    const order = this.#records.compare(address, probe);
    if (order < 0) {
      return true;
    }
    return side === "at" ? false : side === "after" ? order === 0 : this.#records.startsWith(address, probe);
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

  /** Joins a small block to the next (or the last to the one before it), unless the two would have to be split again soon. */
  #shrink(index: number, block: Block): void {
    const lower = index + 1 < this.#blocks.length ? index : index - 1;
    const left = this.#blocks[lower];
    const right = this.#blocks[lower + 1];
    if (left === undefined || right === undefined || (left !== block && right !== block)) {
      return;
    }
    if (left.length + right.length > MAX_BLOCK_RECORDS - MIN_BLOCK_RECORDS) {
      return;
    }
    left.addresses.set(right.addresses.subarray(0, right.length), left.length);
    left.length += right.length;
    this.#removeBlock(lower + 1);
  }
}

const NO_ADDRESSES = new Uint32Array(0);

function createBlock(addresses: ArrayLike<number>): Block {
  const block = { addresses: new Uint32Array(MAX_BLOCK_RECORDS), length: addresses.length };
  block.addresses.set(addresses);
  return block;
}
