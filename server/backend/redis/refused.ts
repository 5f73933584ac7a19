import { type Answers, type Call, refusalOf } from "../contract.ts";

/** Whether a key of the wrong type fails its own items, or the call. */
export function modeOf({ each }: Call): "each" | "whole" {
  return each === true ? "each" : "whole";
}

/** Turns the failure that one key causes into a refusal of every item. */
export async function orRefused<Answer>(
  items: readonly unknown[],
  run: () => Promise<Answers<Answer>>,
): Promise<Answers<Answer>> {
  try {
    return await run();
  } catch (error) {
    const refusal = refusalOf(error);
    // No item has room.
    if (refusal === undefined || refusal.reason === "store_full") {
      throw error;
    }
    return items.map(() => refusal);
  }
}
