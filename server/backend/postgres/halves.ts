import { type Answers, type Call, Refusal, refusalOf } from "../contract.ts";
import { storeError } from "../store-errors.ts";

/**
 * Runs a statement for some items. PostgreSQL does not say which item made it fail. So if the items
 * take effect each on its own, each half is run on its own, and so on: a faulty item is found in
 * few steps, and all others take effect. Rejects if the store failed.
 */
export async function inHalves<Item, Answer>(
  items: readonly Item[],
  call: Call,
  { writes, each }: { readonly writes: boolean; readonly each: boolean },
  run: (items: readonly Item[]) => Promise<Answers<Answer> | undefined>,
): Promise<Answers<Answer> | undefined> {
  const tryAll = async (some: readonly Item[]): Promise<Answers<Answer> | undefined> => {
    try {
      return await run(some);
    } catch (error) {
      const refusal = refusalOf(error);
      // No item has room.
      if (refusal === undefined || refusal.reason === "store_full") {
        throw error;
      }
      if (some.length === 1 || !each) {
        return some.map(() => refusal);
      }
      const half = Math.ceil(some.length / 2);
      const first = padded(await tryAll(some.slice(0, half)), half);
      try {
        // After the first half, not beside it: both may write the same key.
        return [...first, ...padded(await tryAll(some.slice(half)), some.length - half)];
      } catch (failure) {
        // Of a call that is over nobody asks what it did, and the store is not away.
        const isPart = writes && !call.aborted && !first.every((answer) => answer instanceof Refusal);
        throw isPart ? storeError("outcome_unknown", failure) : failure;
      }
    }
  };
  return await tryAll(items);
}

/** The answers with every place filled. */
function padded<Answer>(answers: Answers<Answer> | undefined, length: number): Answers<Answer> {
  return answers ?? Array.from({ length }, () => undefined as Answer);
}
