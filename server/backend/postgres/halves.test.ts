import { expect, test } from "vitest";
import { abortError, PrismError } from "../../errors.ts";
import { type Call, createCall } from "../contract.ts";
import { inHalves } from "./halves.ts";

const REFUSED = new PrismError("corrupt_data", "the store's data is damaged");

/** The call of a group, which ends after so many statements. */
function groupThatEndsAfter(statements: number): { readonly call: Call; readonly count: () => void } {
  let left = statements;
  const call: Call = {
    signal: createCall().signal,
    each: true,
    get aborted() {
      return left <= 0;
    },
  };
  return { call, count: () => left-- };
}

test("a group that nobody waits for any more ends as such, though a half of it was written", async () => {
  // All of it, which fails, and its first half.
  const { call, count } = groupThatEndsAfter(2);
  const answers = inHalves(["a", "b"], call, { writes: true, each: true }, async (some) => {
    if (call.aborted) {
      throw abortError(call.signal);
    }
    count();
    if (some.includes("b")) {
      throw REFUSED;
    }
    return some.map(() => true);
  });
  await expect(answers).rejects.toMatchObject({ reason: "canceled" });
});

test("a store that fails for the second half leaves the first one's effect in doubt", async () => {
  const { call } = groupThatEndsAfter(Number.POSITIVE_INFINITY);
  const answers = inHalves(["a", "b"], call, { writes: true, each: true }, async (some) => {
    if (some.length === 2) {
      throw REFUSED;
    }
    if (some.includes("b")) {
      throw new PrismError("store_unavailable", "the store cannot be reached");
    }
    return some.map(() => true);
  });
  await expect(answers).rejects.toMatchObject({ reason: "outcome_unknown" });
});
