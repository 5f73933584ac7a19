import {
  type AnswerOf,
  type AnyItemsRow,
  type Interface,
  type ItemOf,
  KEY_SPACE_OF,
  keysOfItems,
  WRITES,
  type WriteName,
} from "../operations.ts";
import type { Failure } from "./errors.ts";
import type { PackedAppend } from "./packed-append.ts";

/**
 * One call that writes, as plain data. Each takes effect whole or not at all. A `probe` writes what
 * is there already.
 */
export type Operation =
  | { [W in WriteName]: WriteOf<W> }[WriteName]
  | { readonly type: "sweep"; readonly maxEntries: number }
  | { readonly type: "erase"; readonly namespace: string; readonly maxItems: number }
  | { readonly type: "probe" };

/** What the writer gets of each item of a call. */
export type WriteItems = {
  readonly [W in WriteName]: W extends "appendEvents" ? PackedAppend : ItemOf<W>;
};

/** A call of the contract. */
export interface WriteOf<W extends WriteName> {
  readonly type: W;
  readonly namespace: string;
  readonly items: readonly WriteItems[W][];
}

/** An operation of one type. */
export type OperationOf<T extends Operation["type"]> = Extract<Operation, { type: T }>;

/**
 * What an operation answers, by its type: for each item, or `undefined` = nothing of any. `sweep`:
 * how many entries it deleted. `erase`: whether there may be more.
 */
export type Results = { readonly [W in WriteName]: readonly AnswerOf<W>[] | undefined } & {
  readonly sweep: number;
  readonly erase: boolean;
  readonly probe: undefined;
};

/** The keys of the namespace's entries that an operation names and writes. */
export function entryKeysOf(operation: Operation, namespace: string): readonly string[] {
  if (!isWrite(operation) || operation.namespace !== namespace) {
    return [];
  }
  const { of, row }: { readonly of: Interface; readonly row: AnyItemsRow } = WRITES[operation.type];
  return KEY_SPACE_OF[of] === "entries" ? keysOfItems(row, operation.items) : [];
}

function isWrite(operation: Operation): operation is OperationOf<WriteName> {
  return operation.type in WRITES;
}

/** Any operation's result. */
export type Result = Results[Operation["type"]];

/**
 * What became of one operation: its result, which is on the disk by then, or a {@link Failure},
 * which no result looks like.
 */
export type Outcome = Result | Failure;

/**
 * Tells the two apart. Nothing is wrapped around a result, because thousands cross between threads
 * in each group.
 */
export function isFailure(outcome: unknown): outcome is Failure {
  return typeof outcome === "object" && outcome !== null && "reason" in outcome;
}
