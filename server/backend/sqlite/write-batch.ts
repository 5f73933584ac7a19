import type { DatabaseSync } from "node:sqlite";
import { PrismError } from "../../errors.ts";
import { createOperationWriter } from "./apply-operation.ts";
import { isIoError, reasonOf, toFailure } from "./errors.ts";
import type { Operation, Outcome } from "./operation.ts";
import { createVersions } from "./versions.ts";

/**
 * Applies a group of operations and commits it; the outcomes are in the operations' order. `nowMs`
 * is since 1970.
 */
export type ApplyGroup = (operations: readonly Operation[], nowMs: number) => Outcome[];

/**
 * So many groups after a refused call are written with a savepoint for each call, because further
 * calls are likely to be refused.
 */
const CAREFUL_GROUPS = 64;

/**
 * Prepares the statements that write to `db`, a migrated database. A group is one transaction, with
 * one wait for the disk. A call that is refused has no effect and leaves the others be; what else
 * goes wrong fails the group.
 */
export function createApplyGroup(db: DatabaseSync): ApplyGroup {
  const versions = createVersions(db);
  const writer = createOperationWriter(db, versions);
  const savepoint = db.prepare("SAVEPOINT operation");
  const undo = db.prepare("ROLLBACK TO operation");
  const release = db.prepare("RELEASE operation");
  let carefulGroups = 0;

  /** Throws where a call is refused: what it did by then is to be undone. */
  function applyTogether(
    operations: readonly Operation[],
    nowMs: number,
    apply: (operation: Operation, nowMs: number) => Outcome,
  ): Outcome[] {
    let committing = false;
    try {
      db.exec("BEGIN IMMEDIATE");
      versions.reserve(operations);
      const outcomes = operations.map((operation) => apply(operation, nowMs));
      writer.flush();
      committing = true;
      db.exec("COMMIT");
      return outcomes;
    } catch (error) {
      versions.undone();
      writer.undone();
      // SQLite has rolled back by itself after some errors.
      if (db.isTransaction) {
        db.exec("ROLLBACK");
      }
      if (committing && isIoError(error)) {
        throw outcomeUnknown(error);
      }
      throw error;
    }
  }

  function applyUndoably(operation: Operation, nowMs: number): Outcome {
    savepoint.run();
    let outcome: Outcome;
    try {
      outcome = writer.apply(operation, nowMs);
      writer.flush();
    } catch (error) {
      writer.undone();
      if (concernsAll(error) || !db.isTransaction) {
        throw error;
      }
      undo.run();
      carefulGroups = CAREFUL_GROUPS;
      outcome = toFailure(error);
    }
    release.run();
    return outcome;
  }

  return (operations, nowMs) => {
    try {
      if (carefulGroups === 0) {
        try {
          return applyTogether(operations, nowMs, writer.apply);
        } catch (error) {
          if (operations.length === 1 || concernsAll(error)) {
            throw error;
          }
          // Nothing took effect. Once more, so that the call at fault fails alone.
          carefulGroups = CAREFUL_GROUPS;
        }
      }
      carefulGroups--;
      return applyTogether(operations, nowMs, applyUndoably);
    } catch (error) {
      return operations.map(() => toFailure(error));
    }
  };
}

function concernsAll(error: unknown): boolean {
  const reason = error instanceof PrismError ? error.reason : reasonOf(error);
  return reason === "store_unavailable" || reason === "outcome_unknown";
}

/** The commit may have reached the disk, whatever the operating system said of it. */
function outcomeUnknown(error: unknown): PrismError {
  const { reason, message } = toFailure(error, "outcome_unknown");
  return new PrismError(reason, message, { cause: error });
}
