import { compareUtf8, ordersNatively } from "../utf8.ts";

const MAX_BLOCK_KEYS = 512;
const MIN_BLOCK_KEYS = 128;

/**
 * Which keys count as before a probe. `at`: those less than it. `after`: those less and itself.
 * `past`: those less and every key that starts with it.
 */
export type Side = "at" | "after" | "past";

/**
 * A set of keys in ascending order of their UTF-8 bytes: a sorted array of sorted blocks. Two binary searches find a
 * place; a change moves at most one block's keys. Ten thousand blocks hold five million keys.
 */
export class OrderedKeys {
  /** No block is empty. */
  readonly #blocks: string[][] = [];
  /** The first key of each block, once more: side by side they stay in the processor's cache, which halves the time of a search. */
  readonly #firsts: string[] = [];
  /** Where the last `#seek` ended: the block, and the place in it. */
  #block = 0;
  #offset = 0;

  /** Adds a key that is not in the set. */
  insert(key: string): void {
    this.#seek(key, "at");
    const block = this.#blocks[this.#block];
    if (block === undefined) {
      this.#insertBlock(0, [key]);
    } else if (block.length < MAX_BLOCK_KEYS) {
      this.#insertAt(this.#block, this.#offset, key);
    } else if (this.#offset === block.length) {
      // Keys that arrive in order fill each block to the end instead of leaving halves behind.
      this.#insertBlock(this.#block + 1, [key]);
    } else {
      this.#insertBlock(this.#block + 1, block.splice(MAX_BLOCK_KEYS / 2));
      if (this.#offset <= block.length) this.#insertAt(this.#block, this.#offset, key);
      else this.#insertAt(this.#block + 1, this.#offset - block.length, key);
    }
  }

  /** Takes out a key that is in the set. */
  delete(key: string): void {
    this.#seek(key, "at");
    this.#leaveBlockEnd();
    const block = this.#blocks[this.#block];
    if (block === undefined || block[this.#offset] !== key) return;
    block.splice(this.#offset, 1);
    if (this.#offset === 0) this.#firsts[this.#block] = block[0] ?? "";
    if (block.length < MIN_BLOCK_KEYS) this.#shrink(this.#block, block);
  }

  /** How many keys are before the probe. O(blocks). */
  rank(probe: string, side: Side): number {
    this.#seek(probe, side);
    let rank = this.#offset;
    for (let i = 0; i < this.#block; i++) rank += this.#blocks[i]?.length ?? 0;
    return rank;
  }

  /** Hands out the keys that are not before the probe, in order, until `visit` answers false. `visit` must not change the set. */
  walk(probe: string, side: Side, visit: (key: string) => boolean): void {
    this.#seek(probe, side);
    let offset = this.#offset;
    for (let i = this.#block; i < this.#blocks.length; i++) {
      const block = this.#blocks[i] ?? [];
      for (; offset < block.length; offset++) {
        if (!visit(block[offset] ?? "")) return;
      }
      offset = 0;
    }
  }

  /** Goes to the first key that is not before the probe, or to the end of the block before that key's. */
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
      if (isBefore(block[middle] ?? "", probe, side, native)) low = middle + 1;
      else high = middle;
    }
    this.#offset = low;
  }

  #insertBlock(index: number, block: string[]): void {
    this.#blocks.splice(index, 0, block);
    this.#firsts.splice(index, 0, block[0] ?? "");
  }

  #removeBlock(index: number): void {
    this.#blocks.splice(index, 1);
    this.#firsts.splice(index, 1);
  }

  #insertAt(index: number, offset: number, key: string): void {
    this.#blocks[index]?.splice(offset, 0, key);
    if (offset === 0) this.#firsts[index] = key;
  }

  #leaveBlockEnd(): void {
    if (this.#offset === this.#blocks[this.#block]?.length) {
      this.#block++;
      this.#offset = 0;
    }
  }

  /** Joins a small block to the next (or the last to the one before it), unless the two would have to be split again soon. */
  #shrink(index: number, block: string[]): void {
    if (block.length === 0) {
      this.#removeBlock(index);
      return;
    }
    const lower = index + 1 < this.#blocks.length ? index : index - 1;
    const left = this.#blocks[lower];
    const right = this.#blocks[lower + 1];
    if (left === undefined || right === undefined) return;
    if (left.length + right.length > MAX_BLOCK_KEYS - MIN_BLOCK_KEYS) return;
    left.push(...right);
    this.#removeBlock(lower + 1);
  }
}

function isBefore(key: string, probe: string, side: Side, native: boolean): boolean {
  if (native ? key < probe : compareUtf8(key, probe) < 0) return true;
  return side === "at" ? false : side === "after" ? key === probe : key.startsWith(probe);
}
