/**
 * The names of one shard's keys in Redis. All of them have one hash tag, and so are in one slot, which one node of a Cluster holds. A
 * namespace's name has no ":", so what follows the first one is the caller's key, whatever is in it.
 */
export interface ShardKeys {
  /** A string: what the shard is, so that nobody takes it for another. */
  readonly layout: string;
  /** A sorted set of `namespace:key`, one for each entry, all with score 0: their order is that of the bytes. */
  readonly index: string;
  /** A sorted set of `namespace:key` of the entries that expire, by the last millisecond of their life, since 1970. */
  readonly expiry: string;
  /** Of an entry, a string that expires by itself, this and `namespace:key` is the name. */
  readonly entryPrefix: string;
  /** Of a list, the same. */
  readonly listPrefix: string;
}

/** `prefix` must have no braces. */
export function shardKeys(prefix: string, shard: number): ShardKeys {
  const tag = `{${prefix}:${shard}}`;
  return {
    layout: `${tag}:layout`,
    index: `${tag}:index`,
    expiry: `${tag}:expiry`,
    entryPrefix: `${tag}:e:`,
    listPrefix: `${tag}:l:`,
  };
}
