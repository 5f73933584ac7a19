import { Code } from "@connectrpc/connect";
import { type Error as ErrorDetail, Reason } from "../gen/prism/common/errors_pb.ts";
import { PrismError, reasonOf } from "./errors.ts";

/** The most items of a batch. */
const MAX_BATCH_ITEMS = 1000;

/** Makes one call after another, each with as many items as a call takes. */
export async function inSlices<Item, Answer>(
  items: readonly Item[],
  call: (slice: Item[]) => Promise<Answer[]>,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let at = 0; at < items.length; at += MAX_BATCH_ITEMS) {
    answers.push(...(await call(items.slice(at, at + MAX_BATCH_ITEMS))));
  }
  return answers;
}

/** Throws the first item's failure, and if an item has no answer. */
export function checkAnswers(
  items: readonly unknown[],
  results: readonly { readonly error?: ErrorDetail | undefined }[],
): void {
  const failed = results.find(({ error }) => error !== undefined)?.error;
  if (failed !== undefined) {
    const { message, reason, retryable, retryAfterMs, namespace, requestId } = failed;
    throw new PrismError(message, {
      reason: reasonOf(reason),
      code: CODE_OF_REFUSAL[reason] ?? Code.Internal,
      retryable,
      retryAfterMs,
      namespace: namespace || undefined,
      requestId: requestId || undefined,
    });
  }
  if (results.length !== items.length) {
    throw new PrismError(`the gateway answered ${results.length} of ${items.length} items`, {
      reason: "internal",
      code: Code.Internal,
    });
  }
}

/** The status codes of the reasons for which a single item fails. */
const CODE_OF_REFUSAL: Readonly<Partial<Record<Reason, Code>>> = {
  [Reason.INVALID_FIELD]: Code.InvalidArgument,
  [Reason.VALUE_TOO_LARGE]: Code.ResourceExhausted,
  [Reason.STORE_FULL]: Code.ResourceExhausted,
  [Reason.CORRUPT_DATA]: Code.DataLoss,
};
