/** The most calls of one batch at a time. */
const MAX_TOGETHER = 64;

/** Items that share keys, directly or through others, in their order. */
interface Group<T> {
  readonly items: { readonly item: T; readonly index: number }[];
  readonly keys: Set<string>;
}

/**
 * Makes a call for each item, many at a time, but calls that share a key one after another. Answers
 * in the order of the items. After a failure it starts no more calls, waits for those under way and
 * throws the failure.
 */
export async function eachInOrder<T, R>(
  items: readonly T[],
  keysOf: (item: T) => readonly string[],
  call: (item: T) => Promise<R>,
): Promise<R[]> {
  const [first] = items;
  if (items.length === 1 && first !== undefined) {
    return [await call(first)];
  }
  const groups = groupsOf(items, keysOf);
  const results: R[] = [];
  const queue = groups.values();
  let failed = false;
  const lane = async () => {
    for (const group of queue) {
      for (const { item, index } of group.items) {
        if (failed) {
          return;
        }
        try {
          results[index] = await call(item);
        } catch (error) {
          failed = true;
          throw error;
        }
      }
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(MAX_TOGETHER, groups.size) }, lane));
  for (const outcome of lanes) {
    if (outcome.status === "rejected") {
      throw outcome.reason;
    }
  }
  return results;
}

function groupsOf<T>(items: readonly T[], keysOf: (item: T) => readonly string[]): ReadonlySet<Group<T>> {
  const byKey = new Map<string, Group<T>>();
  items.forEach((item, index) => {
    const keys = keysOf(item);
    const known = new Set(keys.flatMap((key) => byKey.get(key) ?? []));
    const [group = { items: [], keys: new Set<string>() }, ...others] = known;
    for (const other of others) {
      group.items.push(...other.items);
      for (const key of other.keys) {
        byKey.set(key, group);
        group.keys.add(key);
      }
    }
    if (others.length > 0) {
      group.items.sort((a, b) => a.index - b.index);
    }
    group.items.push({ item, index });
    for (const key of keys) {
      byKey.set(key, group);
      group.keys.add(key);
    }
  });
  return new Set(byKey.values());
}
