import type { BatchSetItem } from "../../gen/prism/interfaces/keyvalue/keyvalue_batch_pb.ts";
import type { Expectation } from "../../gen/prism/interfaces/keyvalue/keyvalue_cas_pb.ts";
import type {
  CommitRequest,
  Check as WireCheck,
  Mutation as WireMutation,
} from "../../gen/prism/interfaces/keyvalue/keyvalue_transaction_pb.ts";
import type { Check, Commit, Mutation } from "../backend/commit.ts";
import type { EntryWrite } from "../backend/contract.ts";
import { MAX_CALL_ITEMS, MAX_COMMIT_CHECKS } from "../limits.ts";
import {
  checkCount,
  checkEach,
  checkKey,
  checkNewTtlSeconds,
  checkPart,
  checkTtlSeconds,
  checkValue,
  checkVersion,
  invalid,
} from "./check.ts";

/*
 * Checks of batches and of conditional writes, as those in `check.ts`. Each answers what the
 * contract takes.
 */

/** The entries of a batch. */
export function checkItems(items: readonly BatchSetItem[], maxValueBytes: number): EntryWrite[] {
  checkCount("items", items.length, 1, MAX_CALL_ITEMS);
  return checkEach("items", items, ({ key, value, ttlSeconds }) => {
    checkKey("key", key);
    checkValue(value, maxValueBytes);
    return { key, value, ttlMs: checkTtlSeconds(ttlSeconds) };
  });
}

/** What an entry is expected to be. It must be set: a blank never means "no condition". */
export function checkExpectation(key: string, expected: Expectation | undefined): Check {
  return checkPart("expected", () => {
    const { kind } = expected ?? { kind: { case: undefined } };
    switch (kind.case) {
      case "absent":
        return { key, is: "absent" };
      case "value":
        return { key, is: "value", value: kind.value };
      case "version":
        return { key, is: "version", version: checkVersion(kind.value) };
      case undefined:
        throw invalid("", " must have one of absent, value and version");
    }
  });
}

/** The same, of an entry that must be there: a value or a version. */
export function checkHeldExpectation(key: string, expected: Expectation | undefined): Check {
  if (expected?.kind.case !== "value" && expected?.kind.case !== "version") {
    throw invalid("expected", "expected must have one of value and version");
  }
  return checkExpectation(key, expected);
}

/** A whole commit. */
export function checkCommit(
  { checks, mutations, returnActual }: CommitRequest,
  maxValueBytes: number,
): Commit {
  checkCount("checks", checks.length, 0, MAX_COMMIT_CHECKS);
  checkCount("mutations", mutations.length, checks.length === 0 ? 1 : 0, MAX_CALL_ITEMS);
  if (returnActual && checks.length !== 1) {
    throw invalid("return_actual", `return_actual goes with exactly one check, and ${checks.length} came`);
  }
  return {
    checks: checkEach("checks", checks, checkCheck),
    mutations: checkEach("mutations", mutations, (mutation) => checkMutation(mutation, maxValueBytes)),
    tells: returnActual,
  };
}

function checkCheck({ key, kind }: WireCheck): Check {
  checkKey("key", key);
  switch (kind.case) {
    case "absent":
    case "present":
      return { key, is: kind.case };
    case "value":
      return { key, is: "value", value: kind.value };
    case "version":
      return { key, is: "version", version: checkVersion(kind.value) };
    case undefined:
      throw invalid("", " must have one of absent, present, value and version");
  }
}

function checkMutation({ key, kind }: WireMutation, maxValueBytes: number): Mutation {
  checkKey("key", key);
  switch (kind.case) {
    case "set": {
      const { value, ttlSeconds } = kind.value;
      return checkPart("set", () => {
        checkValue(value, maxValueBytes);
        return { key, do: "set", value, ttlMs: checkTtlSeconds(ttlSeconds) };
      });
    }
    case "replace": {
      const { value } = kind.value;
      checkPart("replace", () => checkValue(value, maxValueBytes));
      return { key, do: "replace", value };
    }
    case "add": {
      const { delta, initial = 0n, ttlSeconds } = kind.value;
      const ttlMs = checkPart("add", () => checkTtlSeconds(ttlSeconds));
      return { key, do: "add", delta, initial, ttlMs };
    }
    case "expire": {
      const { ttlSeconds } = kind.value;
      return { key, do: "expire", ttlMs: checkPart("expire", () => checkNewTtlSeconds(ttlSeconds)) };
    }
    case "delete":
    case "persist":
      return { key, do: kind.case };
    case undefined:
      throw invalid("", " must have one of set, replace, delete, add, expire and persist");
  }
}
