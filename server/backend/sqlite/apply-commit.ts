import type { DatabaseSync } from "node:sqlite";
import type { Commit, CommitAnswer } from "../commit.ts";
import { isRefusal } from "../contract.ts";
import { decide, type Held } from "../decide.ts";
import { type Failure, refusalFailure } from "./errors.ts";
import { createFindHeld } from "./held-entry.ts";
import { prepare } from "./query.ts";

/** What a commit does to the database, beside finding. */
export interface EntryWriter {
  /** Makes an entry, or replaces the one that is there. `expiresAtMs`: `undefined` = never. */
  put(
    namespace: string,
    key: string,
    value: Uint8Array,
    expiresAtMs: number | undefined,
    version: number,
  ): void;
  /** Answers whether there was an unexpired entry. */
  remove(namespace: string, key: string, nowMs: number): boolean;
}

/**
 * Prepares the statements that apply a commit. It is decided before anything is written, so a
 * Failure as the answer means that it changed nothing.
 */
export function createApplyCommit(
  db: DatabaseSync,
  { put, remove }: EntryWriter,
  nextVersion: () => number,
): (namespace: string, commit: Commit, nowMs: number) => CommitAnswer | Failure {
  const find = createFindHeld(db);
  const keepValue = prepare(
    db,
    "UPDATE entry SET expires_at_ms = ?, version = ? WHERE namespace = ? AND key = CAST(? AS BLOB)",
  );

  return (namespace, commit, nowMs) => {
    const version = nextVersion();
    // A commit mostly checks a key and then changes it.
    const found = new Map<string, Held | undefined>();
    const look = (key: string) => {
      if (!found.has(key)) {
        found.set(key, find(namespace, key, nowMs));
      }
      return found.get(key);
    };
    const decision = decide(commit, look, nowMs, version);
    if (isRefusal(decision)) {
      return refusalFailure(decision);
    }
    for (const [key, left] of decision.writes) {
      if (left === undefined) {
        remove(namespace, key, nowMs);
      } else if (left.value === undefined) {
        keepValue.get(left.expiresAtMs ?? null, version, namespace, key);
      } else {
        put(namespace, key, left.value, left.expiresAtMs, version);
      }
    }
    return decision.answer;
  };
}
