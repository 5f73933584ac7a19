/** The most calls of one batch at a time. */
const MAX_TOGETHER = 64;

/**
 * Makes a call for each item, many at a time, but calls on one key one after another. Answers in
 * the order of the items. After a failure it starts no more calls, waits for those under way and
 * throws the failure.
 */
export async function eachInOrder<T, R>(
  items: readonly T[],
  keyOf: (item: T) => string,
  call: (item: T) => Promise<R>,
): Promise<R[]> {
  const [first] = items;
  if (items.length === 1 && first !== undefined) {
    return [await call(first)];
  }
  const byKey = new Map<string, { readonly item: T; readonly index: number }[]>();
  items.forEach((item, index) => {
    const others = byKey.get(keyOf(item));
    if (others === undefined) {
      byKey.set(keyOf(item), [{ item, index }]);
    } else {
      others.push({ item, index });
    }
  });
  const results: R[] = [];
  const queue = byKey.values();
  let failed = false;
  const lane = async () => {
    for (const group of queue) {
      for (const { item, index } of group) {
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
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(MAX_TOGETHER, byKey.size) }, lane));
  for (const outcome of lanes) {
    if (outcome.status === "rejected") {
      throw outcome.reason;
    }
  }
  return results;
}
