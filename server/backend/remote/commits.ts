import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type CheckSchema,
  type CommitRequestSchema,
  type CommitResponse,
  type MutationSchema,
  Before as WireBefore,
} from "../../../gen/prism/interfaces/keyvalue/keyvalue_transaction_pb.ts";
import type { Entry } from "../../../gen/prism/interfaces/keyvalue/keyvalue_types_pb.ts";
import type { Before, Check, Commit, CommitAnswer, HeldEntry, Mutation } from "../commit.ts";
import { answeredWrongly } from "./errors.ts";

/*
 * Conditional writes of the contract as messages, and the answers back. `secondMs` is the number of
 * the contract's milliseconds in a second of the plugin's clock.
 */

/**
 * The wire counts whole seconds. Rounding up keeps an entry up to a second longer, never shorter.
 */
export function toTtlSeconds(ttlMs: number, secondMs: number): bigint {
  return BigInt(Math.ceil(ttlMs / secondMs));
}

/** The request for a commit. */
export function toCommitRequest(
  namespace: string,
  { checks, mutations, tells }: Commit,
  secondMs: number,
): MessageInitShape<typeof CommitRequestSchema> & { readonly namespace: string } {
  return {
    namespace,
    checks: checks.map(toCheck),
    mutations: mutations.map((mutation) => toMutation(mutation, secondMs)),
    returnActual: tells,
  };
}

function toCheck(check: Check): MessageInitShape<typeof CheckSchema> {
  const { key } = check;
  switch (check.is) {
    case "absent":
    case "present":
      return { key, kind: { case: check.is, value: {} } };
    case "value":
      return { key, kind: { case: "value", value: check.value } };
    case "version":
      return { key, kind: { case: "version", value: BigInt(check.version) } };
  }
}

function toMutation(mutation: Mutation, secondMs: number): MessageInitShape<typeof MutationSchema> {
  const { key } = mutation;
  switch (mutation.do) {
    case "set": {
      const ttlSeconds = toTtlSeconds(mutation.ttlMs, secondMs);
      return { key, kind: { case: "set", value: { value: mutation.value, ttlSeconds } } };
    }
    case "replace":
      return { key, kind: { case: "replace", value: { value: mutation.value } } };
    case "add": {
      const { delta, initial, ttlMs } = mutation;
      const ttlSeconds = toTtlSeconds(ttlMs, secondMs);
      return { key, kind: { case: "add", value: { delta, initial, ttlSeconds } } };
    }
    case "expire":
      return {
        key,
        kind: { case: "expire", value: { ttlSeconds: toTtlSeconds(mutation.ttlMs, secondMs) } },
      };
    case "delete":
    case "persist":
      return { key, kind: { case: mutation.do, value: {} } };
  }
}

/** What the plugin says of a commit. Throws PrismError if it is no answer to this one. */
export function fromCommitResponse(
  { committed, version, results, failedChecks }: CommitResponse,
  { checks, mutations }: Commit,
  secondMs: number,
): CommitAnswer {
  if (!committed) {
    if (failedChecks.length === 0 || failedChecks.some(({ index }) => checks[index] === undefined)) {
      throw answeredWrongly("the checks that failed");
    }
    return {
      committed,
      failed: failedChecks.map(({ index, actual }) => ({ index, held: actual && toHeld(actual, secondMs) })),
    };
  }
  if (results.length !== mutations.length) {
    throw answeredWrongly(`${results.length} results to ${mutations.length} mutations`);
  }
  return {
    committed,
    version: Number(version),
    results: results.map(({ before, counter }, index) => {
      if ((counter === undefined) === (mutations[index]?.do === "add")) {
        throw answeredWrongly("a counter for what adds nothing, or none");
      }
      return { before: toBefore(before), ...(counter !== undefined && { counter }) };
    }),
  };
}

/** The entry that a message tells of. */
export function toHeld({ value, version, remainingMs }: Entry, secondMs: number): HeldEntry {
  const ttlMs =
    remainingMs === undefined ? 0 : Math.max(1, Math.ceil((Number(remainingMs) * secondMs) / 1000));
  return { value, version: Number(version), ttlMs };
}

const BEFORE: ReadonlyMap<WireBefore, Before> = new Map([
  [WireBefore.ABSENT, "absent"],
  [WireBefore.LASTING, "lasting"],
  [WireBefore.EXPIRING, "expiring"],
]);

function toBefore(before: WireBefore): Before {
  const known = BEFORE.get(before);
  if (known === undefined) {
    throw answeredWrongly("no word on what a mutation found");
  }
  return known;
}
