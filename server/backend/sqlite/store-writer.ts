import type { DatabaseSync } from "node:sqlite";
import { PrismError } from "../../errors.ts";
import type { Migration } from "../migration-files.ts";
import { WRITES } from "../operations.ts";
import { STORE_MESSAGES } from "../store-errors.ts";
import { type DatabaseOptions, openWriter } from "./database.ts";
import type { Failure } from "./errors.ts";
import { isFailure, type Operation, type Outcome, type Result, type Results } from "./operation.ts";
import { createFrugalWriter, createReserve, type FrugalWriter, type Reserve } from "./reserve.ts";
import { createApplyGroup } from "./write-batch.ts";

/** The results of a group, and whether writes are refused after it. */
export interface Answer {
  readonly outcomes: readonly Outcome[];
  /**
   * Why writes fail now; `undefined` = they work. A call's own fault does not count, and
   * `max_bytes` does not.
   */
  readonly refusal: Failure | undefined;
}

/** The work of the writing thread. */
export interface StoreWriter {
  /** Why writes fail from the start. */
  readonly refusal: Failure | undefined;
  /** Applies a group. Answered writes are on the disk. */
  write(operations: readonly Operation[], nowMs: number): Answer;
  close(): void;
}

const DISK_FULL: Failure = {
  reason: "store_full",
  message: STORE_MESSAGES.store_full,
  detail: "the disk is full",
};

/** Opens the database for writing. Throws {@link PrismError} with a message for the operator. */
export function createStoreWriter(options: DatabaseOptions, migrations: readonly Migration[]): StoreWriter {
  const reserve = createReserve(options.path);
  const db = openWithRoom(options, migrations, reserve);
  try {
    const writer = createFrugalWriter(db, reserve, createApplyGroup(db));
    let refusal = writer.isTight ? DISK_FULL : undefined;
    return {
      refusal,
      write(operations, nowMs) {
        const outcomes = writer.apply(operations, nowMs);
        refusal = refusalAfter(refusal, writer, operations, outcomes);
        return { outcomes, refusal };
      },
      close: () => db.close(),
    };
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Opening a database needs some room. */
function openWithRoom(
  options: DatabaseOptions,
  migrations: readonly Migration[],
  reserve: Reserve,
): DatabaseSync {
  try {
    return openWriter(options, migrations);
  } catch (error) {
    if (!(error instanceof PrismError && error.reason === "store_full")) {
      throw error;
    }
    reserve.release();
    return openWriter(options, migrations);
  }
}

/**
 * The last result decides. On a full disk that is the last result of a write that may need room.
 */
function refusalAfter(
  before: Failure | undefined,
  { isTight }: FrugalWriter,
  operations: readonly Operation[],
  outcomes: readonly Outcome[],
): Failure | undefined {
  let refusal = before;
  operations.forEach((operation, i) => {
    const outcome = outcomes[i];
    if (!isFailure(outcome)) {
      if (!isTight || broughtValues(operation, outcome)) {
        refusal = undefined;
      }
    } else if (outcome.reason === "store_full" ? isTight : isOfTheStore(outcome)) {
      refusal = outcome;
    }
  });
  return refusal;
}

/** Whether an operation wrote values. A commit can have written nothing. */
function broughtValues({ type }: Operation, result: Result): boolean {
  switch (type) {
    case "sweep":
    case "erase":
    case "probe":
      return false;
    case "commit":
      return (result as Results["commit"])?.some((each) => each.committed && each.version > 0) === true;
    default:
      return WRITES[type].row.kept !== undefined;
  }
}

function isOfTheStore({ reason }: Failure): boolean {
  return reason === "store_unavailable" || reason === "outcome_unknown";
}
