import type { Error as WireError } from "../../../gen/prism/common/errors_pb.ts";
import { KeyValueBatchInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import { PrismError } from "../../errors.ts";
import { MAX_CALL_ITEMS } from "../../limits.ts";
import { type Answers, type EntryWrite, refusalOf } from "../contract.ts";
import type { AnyItemsRow } from "../operations.ts";
import { toTtlSeconds } from "./commits.ts";
import { answeredWrongly, toRefusal } from "./errors.ts";
import type { Ask } from "./plugin.ts";

const { batchGet, batchSet, batchDelete } = KeyValueBatchInterface.method;

/**
 * The most bytes of the items of one batch, or one larger item. With their framing they fit the 4
 * MiB that a gRPC server takes by default.
 */
const MAX_BATCH_BYTES = 4_000_000;

/** Makes the call for several items. Throws PrismError. */
export type AskBatch<Item, Answer> = (
  ask: Ask,
  namespace: string,
  items: readonly Item[],
  options: { readonly secondMs: number },
) => Promise<Answers<Answer>>;

/** The methods of the contract for whose items the wire has a batch. */
export const BATCHES: {
  readonly get: AskBatch<string, Uint8Array | undefined>;
  readonly set: AskBatch<EntryWrite, undefined>;
  readonly delete: AskBatch<string, boolean>;
} = {
  async get(ask, namespace, keys) {
    const { results } = await ask(batchGet, { namespace, keys: [...keys] });
    return answersOf(results, keys, "keys", ({ found, value }) => (found ? value : undefined));
  },
  async set(ask, namespace, entries, { secondMs }) {
    const items = entries.map(({ key, value, ttlMs }) => ({
      key,
      value,
      ttlSeconds: toTtlSeconds(ttlMs, secondMs),
    }));
    const { results } = await ask(batchSet, { namespace, items });
    return answersOf(results, entries, "items", () => undefined);
  },
  async delete(ask, namespace, keys) {
    const { results } = await ask(batchDelete, { namespace, keys: [...keys] });
    return answersOf(results, keys, "keys", ({ found }) => found);
  },
};

/** The name of a method in {@link BATCHES}. */
export type BatchName = keyof typeof BATCHES;

function answersOf<R extends { readonly error?: WireError | undefined }, Answer>(
  results: readonly R[],
  items: readonly unknown[],
  list: "keys" | "items",
  toAnswer: (result: R) => Answer,
): Answers<Answer> {
  if (results.length !== items.length) {
    throw answeredWrongly(`${results.length} results to ${items.length} items`);
  }
  return results.map((result, index) =>
    result.error === undefined ? toAnswer(result) : toRefusal(result.error, `${list}[${index}]`),
  );
}

/** The calls for some of the items, as a batch and one by one. */
interface Calls {
  readonly batch: (items: readonly unknown[]) => Promise<Answers<unknown>>;
  readonly oneByOne: (items: readonly unknown[]) => Promise<Answers<unknown>>;
}

/** Sends items in batches, one after the other, as few as the bounds of a batch allow. */
export async function inBatches(
  items: readonly unknown[],
  { bytesOf, writes }: AnyItemsRow,
  { batch, oneByOne }: Calls,
): Promise<Answers<unknown>> {
  const answers: Answers<unknown>[] = [];
  for (const part of partsOf(items, bytesOf)) {
    answers.push(await (part.length === 1 ? oneByOne(part) : batched(part)));
  }
  return answers.flat();

  async function batched(part: readonly unknown[]): Promise<Answers<unknown>> {
    try {
      return await batch(part);
    } catch (error) {
      const reason = error instanceof PrismError ? error.reason : undefined;
      // The plugin did not tell that it has no batches, or its answer would be too large.
      if (reason === "interface_unsupported" || (reason === "value_too_large" && !writes)) {
        return await oneByOne(part);
      }
      const refusal = refusalOf(error);
      if (refusal === undefined) {
        throw error;
      }
      return part.map(() => refusal);
    }
  }
}

function partsOf(items: readonly unknown[], bytesOf: (item: unknown) => number): unknown[][] {
  const parts: unknown[][] = [];
  let part: unknown[] = [];
  let bytes = 0;
  for (const item of items) {
    const more = bytesOf(item);
    if (part.length === 0 || part.length === MAX_CALL_ITEMS || bytes + more > MAX_BATCH_BYTES) {
      part = [];
      parts.push(part);
      bytes = 0;
    }
    part.push(item);
    bytes += more;
  }
  return parts;
}
