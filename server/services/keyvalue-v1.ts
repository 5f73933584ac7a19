import { setImmediate as nextTurn } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  GetRequest,
  ItemSchema,
  KeyValueService,
  PutRequest,
  ScanRequest,
  ScanResponseSchema,
} from "../../gen/prism/keyvalue/v1/keyvalue_pb.ts";
import { type Answers, answerOf, type Call, isRefusal, type RecordStore } from "../backend/contract.ts";
import { AROUND_ITEM_BYTES, bytesOfItem, type HeldItem, type ItemRange } from "../backend/records.ts";
import type { Handlers } from "../calls/implement.ts";
import { readPageToken, writePageToken } from "../calls/page-token.ts";
import { PrismError } from "../errors.ts";
import { unpackMetadata } from "../item-metadata.ts";
import {
  DELETE_STEP_ITEMS,
  MAX_ANSWER_ITEMS,
  MAX_AROUND_BYTES,
  MAX_ITEM_KEY_BYTES,
  MAX_ITEM_METADATA_BYTES,
  SCAN_PAGE_BYTES,
  SCAN_PAGE_ENTRIES,
} from "../limits.ts";
import type { Route } from "../namespaces/live-namespace.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkKey, checkLimit, checkValue } from "./check.ts";
import { checkItemKey, checkItemKeys, checkPredicate, checkPut, checkPuts } from "./check-record.ts";
import { onlyOf } from "./commits.ts";

/** prism.keyvalue.v1.KeyValueService: check, route, call, reply. */
export function createKeyValueV1(
  router: NamespaceRouter,
  { maxValueBytes }: { readonly maxValueBytes: number },
): Handlers<typeof KeyValueService> {
  // The largest item fits an answer.
  const maxAnswerBytes = maxValueBytes + MAX_ITEM_KEY_BYTES + MAX_ITEM_METADATA_BYTES + AROUND_ITEM_BYTES;

  return {
    async put(request, call) {
      const put = checkPut(request, maxValueBytes);
      const { namespace, store } = router.route("records", request.namespace, call);
      const answers = await store.putItems(namespace, [put], call);
      answerOf(answers?.[0]);
      return { success: true };
    },

    async putBatch(request, call) {
      const puts = checkPuts(request.namespace, request.requests, maxValueBytes);
      const { namespace, store } = router.route("records", request.namespace, call);
      // A store writes puts in their order, so the one with the larger token wins.
      const order = [...puts.keys()].sort((a, b) => compareTokens(request.requests, a, b));
      const ordered = order.flatMap((place) => puts[place] ?? []);
      const answers = (await store.putItems(namespace, ordered, call)) ?? [];
      return { responses: successes(answers, order) };
    },

    async get(request, call) {
      checkKey("id", request.id);
      const choice = checkPredicate(request.predicate);
      const route = router.route("records", request.namespace, call);
      const held =
        "keys" in choice
          ? await readKeys(route, request, choice.keys, maxAnswerBytes, call)
          : await readRange(route, request, choice, maxAnswerBytes, call);
      return { items: held.map(toItem) };
    },

    async delete(request, call) {
      checkKey("id", request.id);
      checkItemKeys(request.keys, 0);
      const { namespace, store } = router.route("records", request.namespace, call);
      const keys = request.keys.length === 0 ? undefined : request.keys;
      const step = { id: request.id, keys, maxItems: DELETE_STEP_ITEMS };
      for (let deletedCount = 0; ; ) {
        const { deleted, more } = answerOf(onlyOf(await store.deleteItems(namespace, [step], call)));
        deletedCount += deleted;
        if (!more) {
          return { success: true, deletedCount };
        }
        // Others have their turn, also where the store answers at once.
        await nextTurn();
      }
    },

    scan(request, call) {
      checkKey("id", request.id);
      const limit = checkLimit(request.limit);
      return pages(router.route("records", request.namespace, call), request, limit, call);
    },

    async compareAndSwap({ namespace: name, id, key, oldValue, newValue }, call) {
      checkKey("id", id);
      checkItemKey(key);
      checkValue(newValue, maxValueBytes, "new_value");
      const { namespace, store } = router.route("records", name, call);
      const swap = { id, key, expected: oldValue, value: newValue };
      const answer = answerOf(onlyOf(await store.swapItem(namespace, [swap], call)));
      if (answer.swapped) {
        return { success: true };
      }
      const { actual } = answer;
      return { success: false, ...(actual !== undefined && { actualValue: actual }) };
    },
  };
}

/** Orders puts by their tokens. */
function compareTokens(requests: readonly PutRequest[], a: number, b: number): number {
  const difference = (requests[a]?.itemPriorityToken ?? 0n) - (requests[b]?.itemPriorityToken ?? 0n);
  return difference < 0n ? -1 : Number(difference > 0n);
}

/**
 * What became of each put of a batch. `order` has the place in the request of each answer; without
 * answers no put was refused. Throws the first refusal if every put was refused.
 */
function successes(answers: Answers<undefined>, order: readonly number[]): { readonly success: boolean }[] {
  const [first] = answers;
  if (isRefusal(first) && answers.every(isRefusal)) {
    answerOf(first);
  }
  const responses = order.map(() => ({ success: true }));
  for (const [i, place] of order.entries()) {
    responses[place] = { success: !isRefusal(answers[i]) };
  }
  return responses;
}

/** The items with these keys, in their order. */
async function readKeys(
  { namespace, store }: Route<RecordStore>,
  { id }: GetRequest,
  keys: readonly Uint8Array[],
  maxBytes: number,
  call: Call,
): Promise<readonly HeldItem[]> {
  const items = answerOf(onlyOf(await store.getItems(namespace, [{ id, keys, maxBytes }], call)));
  return items.filter((item) => item !== undefined);
}

/**
 * The items of a range, of one moment: one page has them all. A store that has to pass many expired
 * items may need more pages.
 */
async function readRange(
  { namespace, store }: Route<RecordStore>,
  { id }: GetRequest,
  bounds: Pick<ItemRange, "start" | "end">,
  maxBytes: number,
  call: Call,
): Promise<readonly HeldItem[]> {
  const items: HeldItem[] = [];
  let bytes = 0;
  let after: Uint8Array | undefined;
  do {
    // With one item and one byte more than may be answered the page shows whether it is too much.
    const range = {
      ...bounds,
      id,
      after,
      maxItems: MAX_ANSWER_ITEMS - items.length + 1,
      maxBytes: maxBytes - bytes + 1,
    };
    const page = answerOf(onlyOf(await store.pageItems(namespace, [range], call)));
    for (const item of page.items) {
      items.push(item);
      bytes += bytesOfItem(item);
    }
    if (items.length > MAX_ANSWER_ITEMS || bytes > maxBytes) {
      const limit = `${MAX_ANSWER_ITEMS} items or ${maxBytes} bytes`;
      throw new PrismError("value_too_large", `the items are more than ${limit}: read fewer, or use Scan`);
    }
    after = page.next;
  } while (after !== undefined);
  return items;
}

const NO_BYTES = new Uint8Array(0);

/**
 * The pages of a scan, as responses. The next page is fetched when the reader wants it. Not a
 * generator: that would hold the last page as long as a slow reader takes.
 */
function pages(
  { namespace, store }: Route<RecordStore>,
  { $typeName: typeName, id, cursor }: ScanRequest,
  limit: number,
  call: Call,
): AsyncIterable<MessageInitShape<typeof ScanResponseSchema>[]> {
  const scope = [typeName, namespace, id];
  const token = cursor?.token ?? NO_BYTES;
  let left = limit;
  // The place in a plugin's record is a token of the plugin, so it can be longer than a key.
  let after = token.length === 0 ? undefined : readPageToken(scope, token, "cursor", MAX_AROUND_BYTES);
  let more = true;

  async function next(): Promise<IteratorResult<MessageInitShape<typeof ScanResponseSchema>[], undefined>> {
    while (more) {
      const maxItems = Math.min(left, SCAN_PAGE_ENTRIES);
      const range = { id, start: undefined, end: undefined, after, maxItems, maxBytes: SCAN_PAGE_BYTES };
      const page = answerOf(onlyOf(await store.pageItems(namespace, [range], call)));
      left -= page.items.length;
      after = page.next;
      more = after !== undefined && left > 0;
      // A page of expired items has none.
      if (page.items.length > 0) {
        const items = page.items.map(toItem);
        const nextCursor = after && { token: writePageToken(scope, after) };
        return { done: false, value: [{ items, ...(nextCursor && { nextCursor }) }] };
      }
    }
    return { done: true, value: undefined };
  }
  return { [Symbol.asyncIterator]: () => ({ next }) };
}

/** The item with its metadata. Throws {@link PrismError} `corrupt_data`. */
function toItem({
  key,
  value,
  metadata: kept,
  ttlMs,
  createdAtMs,
  updatedAtMs,
}: HeldItem): MessageInitShape<typeof ItemSchema> {
  const metadata = {
    ...unpackMetadata(kept),
    // Seconds came, so nothing is lost.
    ttlSeconds: BigInt(Math.round(ttlMs / 1000)),
    createdAtMillis: BigInt(createdAtMs),
    updatedAtMillis: BigInt(updatedAtMs),
  };
  return { key, value, metadata };
}
