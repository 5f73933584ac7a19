const SHARDS = 1024;

/**
 * A map from keys, split over many Maps by a hash. One Map of millions would stop the process while
 * it rehashes (1.3 s measured at 4 million keys) and can hold only 16.7 million. Rehashing a shard
 * takes a thousandth of that.
 */
export class KeyMap<V> {
  readonly #shards: (Map<string, V> | undefined)[] = new Array<Map<string, V> | undefined>(SHARDS).fill(
    undefined,
  );
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(key: string): V | undefined {
    return this.#shards[shardOf(key)]?.get(key);
  }

  /** Adds a key that is not in the map. */
  add(key: string, value: V): void {
    const index = shardOf(key);
    let shard = this.#shards[index];
    if (shard === undefined) {
      shard = new Map();
      this.#shards[index] = shard;
    }
    shard.set(key, value);
    this.#size++;
  }

  delete(key: string): void {
    const index = shardOf(key);
    const shard = this.#shards[index];
    if (shard?.delete(key) !== true) {
      return;
    }
    this.#size--;
    if (shard.size === 0) {
      this.#shards[index] = undefined;
    }
  }
}

/**
 * FNV-1a over the code units. The high bits are folded into the low ones, which choose the shard.
 */
function shardOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  }
  return (hash ^ (hash >>> 15)) & (SHARDS - 1);
}
