import type {
  Item,
  KeyPredicate,
  MatchKeys,
  MatchRange,
  PutRequest,
} from "../../gen/prism/keyvalue/v1/keyvalue_pb.ts";
import type { ItemRange, ItemWrite, RecordPut } from "../backend/records.ts";
import { packMetadata } from "../item-metadata.ts";
import { DEFAULT_NAMESPACE, MAX_CALL_ITEMS, MAX_ITEM_KEY_BYTES, MAX_ITEM_METADATA_BYTES } from "../limits.ts";
import { checkCount, checkEach, checkKey, checkPart, checkTtlSeconds, checkValue, invalid } from "./check.ts";

/*
 * Checks of calls on records, as those in `check.ts`. Each answers what the contract takes.
 */

/** A put of one record. */
export function checkPut({ id, items }: PutRequest, maxValueBytes: number): RecordPut {
  checkKey("id", id);
  checkCount("items", items.length, 1, MAX_CALL_ITEMS);
  return { id, items: checkEach("items", items, (item) => checkItem(item, maxValueBytes)) };
}

/** The puts of a batch for `namespace`, in the order of the request. */
export function checkPuts(
  namespace: string,
  requests: readonly PutRequest[],
  maxValueBytes: number,
): RecordPut[] {
  checkCount("requests", requests.length, 1, MAX_CALL_ITEMS);
  const items = requests.reduce((sum, request) => sum + request.items.length, 0);
  if (items > MAX_CALL_ITEMS) {
    throw invalid("requests", `requests must have at most ${MAX_CALL_ITEMS} items, and ${items} came`);
  }
  return checkEach("requests", requests, (request) => {
    if (request.namespace !== "" && nameOf(request.namespace) !== nameOf(namespace)) {
      throw invalid(
        "namespace",
        `namespace must be empty or the batch's, ${JSON.stringify(nameOf(namespace))}`,
      );
    }
    return checkPut(request, maxValueBytes);
  });
}

/** The key of an item: 1 to MAX_ITEM_KEY_BYTES bytes. */
export function checkItemKey(key: Uint8Array): void {
  checkKeyBytes("key", key, 1);
}

/** Keys of items, at least `min`. */
export function checkItemKeys(keys: readonly Uint8Array[], min: 0 | 1): void {
  checkCount("keys", keys.length, min, MAX_CALL_ITEMS);
  checkEach("keys", keys, (key) => checkKeyBytes("", key, 1));
}

/** Keys to read, each once and in order, or a range. */
export type Choice = { readonly keys: readonly Uint8Array[] } | Pick<ItemRange, "start" | "end">;

/** Which items to read; nothing = all. */
export function checkPredicate(predicate: KeyPredicate | undefined): Choice {
  return checkPart("predicate", () => {
    const { predicate: chosen } = predicate ?? { predicate: { case: undefined } };
    switch (chosen.case) {
      case "matchKeys":
        return checkPart("match_keys", () => checkMatchKeys(chosen.value));
      case "matchRange":
        return checkPart("match_range", () => checkMatchRange(chosen.value));
      case "matchAll":
      case undefined:
        return { start: undefined, end: undefined };
    }
  });
}

function checkMatchKeys({ keys }: MatchKeys): Choice {
  checkItemKeys(keys, 1);
  const sorted = keys.toSorted(Buffer.compare);
  return { keys: sorted.filter((key, i) => i === 0 || Buffer.compare(key, sorted[i - 1] ?? key) !== 0) };
}

function checkMatchRange({ startKey: start, endKey: end }: MatchRange): Choice {
  if (start !== undefined) {
    checkKeyBytes("start_key", start, 0);
  }
  if (end !== undefined) {
    checkKeyBytes("end_key", end, 1);
    if (start !== undefined && Buffer.compare(start, end) > 0) {
      throw invalid("end_key", "end_key must not be before start_key");
    }
  }
  return { start, end };
}

function checkItem({ key, value, metadata }: Item, maxValueBytes: number): ItemWrite {
  checkItemKey(key);
  checkValue(value, maxValueBytes);
  const packed = packMetadata(metadata);
  if (packed.length > MAX_ITEM_METADATA_BYTES) {
    throw invalid("metadata", `metadata must be at most ${MAX_ITEM_METADATA_BYTES} bytes`);
  }
  const ttlMs = checkPart("metadata", () => checkTtlSeconds(metadata?.ttlSeconds));
  return { key, value, metadata: packed, ttlMs };
}

function checkKeyBytes(field: string, { length }: Uint8Array, min: 0 | 1): void {
  if (length < min) {
    throw invalid(field, `${field} must not be empty`);
  }
  if (length > MAX_ITEM_KEY_BYTES) {
    throw invalid(field, `${field} must be at most ${MAX_ITEM_KEY_BYTES} bytes`);
  }
}

function nameOf(namespace: string): string {
  return namespace === "" ? DEFAULT_NAMESPACE : namespace;
}
