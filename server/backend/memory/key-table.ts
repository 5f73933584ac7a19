import type { Cells } from "./cells.ts";
import type { EncodedKey } from "./encoded-key.ts";
import { NOWHERE } from "./segments.ts";

const SHARD_BITS = 10;
const MIN_SLOTS = 8;

/**
 * Slots of two words: the hash and the cell's address. {@link NOWHERE} = the slot is free. The
 * number of slots is a power of two.
 */
type Shard = Uint32Array;

const NO_SLOTS: Shard = new Uint32Array(0);

/**
 * Finds cells by key: a thousand tables with open addressing, chosen by the hash's high bits. Each
 * table doubles on its own. Doubling one large table would stop the process a thousand times as
 * long.
 */
export class KeyTable {
  readonly #cells: Cells;
  readonly #shards: Shard[] = new Array<Shard>(1 << SHARD_BITS).fill(NO_SLOTS);
  readonly #sizes = new Uint32Array(1 << SHARD_BITS);
  #size = 0;

  constructor(cells: Cells) {
    this.#cells = cells;
  }

  get size(): number {
    return this.#size;
  }

  /** The cell with this key and hash; {@link NOWHERE} = none. */
  find(hash: number, key: EncodedKey): number {
    const shard = this.#shards[hash >>> (32 - SHARD_BITS)] ?? NO_SLOTS;
    if (shard.length === 0) {
      return NOWHERE;
    }
    const wanted = hash >>> 0;
    const mask = shard.length - 1;
    for (let at = (hash << 1) & mask; ; at = (at + 2) & mask) {
      const address = shard[at + 1] ?? NOWHERE;
      if (address === NOWHERE) {
        return NOWHERE;
      }
      if (shard[at] === wanted && this.#cells.hasKey(address, key)) {
        return address;
      }
    }
  }

  /** Adds a cell. No other cell may have its key. */
  add(hash: number, address: number): void {
    const index = hash >>> (32 - SHARD_BITS);
    const size = (this.#sizes[index] ?? 0) + 1;
    let shard = this.#shards[index] ?? NO_SLOTS;
    const slots = shard.length / 2;
    if (size > slots * 0.75) {
      shard = this.#resize(index, Math.max(slots * 2, MIN_SLOTS));
    }
    place(shard, hash >>> 0, address);
    this.#sizes[index] = size;
    this.#size++;
  }

  /** Updates the address of a moved cell. */
  move(hash: number, from: number, to: number): void {
    const shard = this.#shards[hash >>> (32 - SHARD_BITS)] ?? NO_SLOTS;
    shard[slotOf(shard, hash, from) + 1] = to;
  }

  /** Removes a cell, which must be in the table. */
  remove(hash: number, address: number): void {
    const index = hash >>> (32 - SHARD_BITS);
    const shard = this.#shards[index] ?? NO_SLOTS;
    const mask = shard.length - 1;
    let free = slotOf(shard, hash, address);
    // The slots that follow without a gap move up, but none to before its own place.
    for (let at = (free + 2) & mask; shard[at + 1] !== NOWHERE; at = (at + 2) & mask) {
      const own = ((shard[at] ?? 0) << 1) & mask;
      if (((at - own) & mask) < ((at - free) & mask)) {
        continue;
      }
      shard[free] = shard[at] ?? 0;
      shard[free + 1] = shard[at + 1] ?? NOWHERE;
      free = at;
    }
    shard[free + 1] = NOWHERE;
    const size = (this.#sizes[index] ?? 0) - 1;
    this.#sizes[index] = size;
    this.#size--;
    const slots = shard.length / 2;
    if (size === 0) {
      this.#shards[index] = NO_SLOTS;
    } else if (slots > MIN_SLOTS && size < slots / 8) {
      this.#resize(index, slots / 2);
    }
  }

  #resize(index: number, slots: number): Shard {
    const old = this.#shards[index] ?? NO_SLOTS;
    const shard = new Uint32Array(slots * 2);
    for (let at = 0; at < old.length; at += 2) {
      const address = old[at + 1] ?? NOWHERE;
      if (address !== NOWHERE) {
        place(shard, old[at] ?? 0, address);
      }
    }
    this.#shards[index] = shard;
    return shard;
  }
}

function place(shard: Shard, hash: number, address: number): void {
  const mask = shard.length - 1;
  let at = (hash << 1) & mask;
  while (shard[at + 1] !== NOWHERE) {
    at = (at + 2) & mask;
  }
  shard[at] = hash;
  shard[at + 1] = address;
}

function slotOf(shard: Shard, hash: number, address: number): number {
  const mask = shard.length - 1;
  let at = (hash << 1) & mask;
  while (shard[at + 1] !== address) {
    at = (at + 2) & mask;
  }
  return at;
}
