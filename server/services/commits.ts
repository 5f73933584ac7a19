import type { MessageInitShape } from "@bufbuild/protobuf";
import type { EntrySchema } from "../../gen/prism/interfaces/keyvalue/keyvalue_types_pb.ts";
import type { Check, HeldEntry, Mutation, MutationResult } from "../backend/commit.ts";
import { answerOf, type Call, type CommitStore, isRefusal, Refusal } from "../backend/contract.ts";
import { PrismError } from "../errors.ts";
import type { Route } from "../namespaces/live-namespace.ts";

/*
 * What the services of conditional writes share: commits of one mutation, and entries on the wire.
 */

/** What became of a commit of one mutation. */
export type SingleAnswer =
  | {
      readonly committed: true;
      /** The version of the entry that it wrote; 0 = it wrote none. */
      readonly version: bigint;
      readonly result: MutationResult;
    }
  | {
      readonly committed: false;
      /** What is held; `undefined` = there is no entry. */
      readonly actual: HeldEntry | undefined;
    };

/**
 * Makes a commit of one mutation, if `check` holds. Throws {@link PrismError}; a refusal names the
 * field `key`.
 */
export async function commitOne(
  { namespace, store }: Route<CommitStore>,
  mutation: Mutation,
  check: Check | undefined,
  call: Call,
): Promise<SingleAnswer> {
  const tells = check !== undefined;
  const commit = { checks: tells ? [check] : [], mutations: [mutation], tells };
  const answer = onlyOf(await store.commit(namespace, [commit], call));
  const made = answerOf(isRefusal(answer) ? withOwnField(answer) : answer);
  return made.committed
    ? { committed: true, version: BigInt(made.version), result: onlyOf(made.results) }
    : { committed: false, actual: onlyOf(made.failed).held };
}

/** The same without a condition. */
export async function mutateOne(
  route: Route<CommitStore>,
  mutation: Mutation,
  call: Call,
): Promise<{ readonly version: bigint; readonly result: MutationResult }> {
  const answer = await commitOne(route, mutation, undefined, call);
  if (!answer.committed) {
    throw new TypeError("a commit without a check failed a check");
  }
  return answer;
}

/** The single element. Throws TypeError if there is none. */
export function onlyOf<T>(elements: readonly T[]): T {
  if (elements.length !== 1) {
    throw new TypeError(`one answer was asked for, and ${elements.length} came`);
  }
  return elements[0] as T;
}

/** The error for an entry that is not there. */
export function keyNotFound(): PrismError {
  return new PrismError("key_not_found", "key not found");
}

/** An entry on the wire. */
export function toEntry(held: HeldEntry): MessageInitShape<typeof EntrySchema> {
  return { value: held.value, version: BigInt(held.version), ...remainingOf(held) };
}

/** What a condition found, on the wire. */
export function actualOf({ actual }: { readonly actual: HeldEntry | undefined }): {
  actual?: MessageInitShape<typeof EntrySchema>;
} {
  return actual === undefined ? {} : { actual: toEntry(actual) };
}

/** The time to live of an entry on the wire; absent = it never expires. */
export function remainingOf({ ttlMs }: HeldEntry): { remainingMs?: bigint } {
  const remainingMs = toRemainingMs(ttlMs);
  return remainingMs === undefined ? {} : { remainingMs };
}

/** The same as a field; `undefined` = it never expires. */
export function toRemainingMs(ttlMs: number): bigint | undefined {
  return ttlMs === 0 ? undefined : BigInt(Math.ceil(ttlMs));
}

/** The request's field is the one of the only mutation. "" = the request has no such field. */
function withOwnField({ reason, message, field, cause }: Refusal): Refusal {
  const own = field?.replace(/^mutations\[0\]\.((set|add|expire|persist)(\.|$))?/, "");
  return new Refusal(reason, message, { field: own === "" ? undefined : own, cause });
}
