import { PrismError } from "../../errors.ts";
import { type Answers, isRefusal, Refusal, refusalOf } from "../contract.ts";
import { isStoreReason, storeError } from "../store-errors.ts";

/**
 * The answers of a write whose items succeed and fail separately. With `each`, every item has its
 * own. Otherwise one that failed is the answer of all; if another took effect, that is
 * `outcome_unknown`. `tookEffect` tells it of an answer that is no failure. Throws the error of a
 * call that is over.
 */
export function wholeOrEach<Answer>(
  answers: readonly (Answer | Refusal | PrismError)[],
  each: boolean,
  tookEffect: (answer: Answer) => boolean,
): Answers<Answer> {
  const results = answers.map((answer) => refusalFor<Answer | Refusal>(answer));
  const first = results.find(isRefusal);
  if (first === undefined || each) {
    return results;
  }
  const mayBeIn = results.some((result) =>
    isRefusal(result) ? result.reason === "outcome_unknown" : tookEffect(result),
  );
  const refusal = mayBeIn ? refusalFor<Refusal>(storeError("outcome_unknown", first)) : first;
  return results.map(() => refusal);
}

/** What an error of one item answers. Throws the error of a call that is over. */
export function refusalFor<Answer>(answer: Answer | PrismError): Answer | Refusal {
  if (!(answer instanceof PrismError)) {
    return answer;
  }
  const { reason, message, cause } = answer;
  if (isStoreReason(reason)) {
    return new Refusal(reason, message, { cause });
  }
  const refusal = refusalOf(answer);
  if (refusal === undefined) {
    throw answer;
  }
  return refusal;
}
