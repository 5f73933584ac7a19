import { PrismError, type Reason } from "../errors.ts";

/** What a caller reads when a store fails: the same of every store. */
export const STORE_MESSAGES = {
  store_unavailable: "the store cannot be reached",
  outcome_unknown: "the store failed during the write; it may or may not have taken effect",
  overloaded: "the store has too much to do",
  store_full: "the store has no room left",
  value_too_large: "the value is larger than the store can hold",
  corrupt_data: "the stored data is damaged",
  internal: "internal error",
} as const satisfies Partial<Record<Reason, string>>;

/** A reason for which a store itself fails. */
export type StoreReason = keyof typeof STORE_MESSAGES;

/** A store's failure. `cause` is the driver's error, for the log only. */
export function storeError(reason: StoreReason, cause?: unknown): PrismError {
  return new PrismError(reason, STORE_MESSAGES[reason], { cause });
}

/** Whether it is a {@link StoreReason}. */
export function isStoreReason(reason: Reason): reason is StoreReason {
  return Object.hasOwn(STORE_MESSAGES, reason);
}
