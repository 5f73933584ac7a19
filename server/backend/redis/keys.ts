/**
 * The names of one shard's keys in Redis. They share one hash tag, so they are in one slot, on one
 * node of a Cluster. A namespace's name contains no ":", so everything after the first one is the
 * caller's key.
 */
export interface ShardKeys {
  /** A string that identifies the shard, so that nobody takes it for another. */
  readonly layout: string;
  /**
   * A sorted set with `namespace:key` of each entry, all with score 0, so they are in byte order.
   */
  readonly index: string;
  /**
   * A sorted set with `namespace:key` of each entry that expires, by the last millisecond of its
   * life, since 1970.
   */
  readonly expiry: string;
  /** The last version that the shard gave an entry, as decimal text. */
  readonly version: string;
  /**
   * An entry is a string under this and `namespace:key`: its version and its value (see
   * {@link valueIn}). Redis expires it.
   */
  readonly entryPrefix: string;
  /** A list is under this and `namespace:key`. */
  readonly listPrefix: string;
  /** A sorted set with `namespace:key` of each list, all with score 0. */
  readonly lists: string;
  /**
   * The channel for the names of lists that got their first value; all shards have the same. It
   * begins as the keys do, so that one pattern of an access list fits both.
   */
  readonly filled: string;
  /**
   * The items of a record are a hash under this and `namespace:id`: key -> {@link heldItemIn}.
   * Redis does not expire them.
   */
  readonly itemsPrefix: string;
  /**
   * The keys of a record's items are a sorted set under this and `namespace:id`, all with score 0.
   * As long as {@link ShardKeys.itemsPrefix}.
   */
  readonly orderPrefix: string;
  /**
   * A sorted set with `namespace:id` of each record, all with score 0. A record whose items have
   * expired stays in it until they are swept.
   */
  readonly records: string;
  /**
   * A sorted set with each item that expires, by the last millisecond of its life, since 1970. A
   * member is the number of bytes of `namespace:id` in two bytes, big-endian, then `namespace:id`,
   * then the item's key.
   */
  readonly itemExpiry: string;
  /**
   * What the names of lists and of both parts of records have before `namespace:`, as a pattern of
   * SCAN.
   */
  readonly named: string;
}

/** The name of an entry in its shard. */
export function entryName({ entryPrefix }: ShardKeys, namespace: string, key: string): string {
  return `${entryPrefix}${namespace}:${key}`;
}

/** `prefix` must contain no braces. */
export function shardKeys(prefix: string, shard: number): ShardKeys {
  const tag = `{${prefix}:${shard}}`;
  return {
    layout: `${tag}:layout`,
    index: `${tag}:index`,
    expiry: `${tag}:expiry`,
    version: `${tag}:version`,
    entryPrefix: `${tag}:e:`,
    listPrefix: `${tag}:l:`,
    lists: `${tag}:lists`,
    filled: `{${prefix}:filled}`,
    itemsPrefix: `${tag}:i:`,
    orderPrefix: `${tag}:o:`,
    records: `${tag}:records`,
    itemExpiry: `${tag}:item-expiry`,
    named: `${tag}:[lio]:`,
  };
}
