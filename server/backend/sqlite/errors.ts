import { PrismError, type Reason } from "../../errors.ts";
import type { Refusal } from "../contract.ts";
import { STORE_MESSAGES, type StoreReason } from "../store-errors.ts";

/**
 * SQLite's primary result codes (https://www.sqlite.org/rescode.html) that do not mean a defect of
 * Prism.
 */
const PERM = 3;
const BUSY = 5;
const NOMEM = 7;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const TOOBIG = 18;
const NOTADB = 26;
/** The disk is full: the memory that readers and the writer share could not grow. */
const IOERR_SHMSIZE = IOERR | (19 << 8);

/** A failure in a form that can cross from the writer's thread to the main thread. */
export interface Failure {
  readonly reason: Reason;
  /** For the caller of the API; at `open` for the operator. */
  readonly message: string;
  /** The request field that is at fault, in the proto's spelling. */
  readonly field?: string;
  /** For the log only. Absent = the message tells everything. */
  readonly detail?: string;
}

/** What SQLite's error means to a caller of Prism. An error of another kind is a defect. */
export function reasonOf(error: unknown): StoreReason {
  const code = errorCode(error);
  if (code === IOERR_SHMSIZE) {
    return "store_full";
  }
  switch (code & 0xff) {
    case FULL:
      return "store_full";
    case CORRUPT:
    case NOTADB:
      return "corrupt_data";
    case PERM:
    case BUSY:
    case NOMEM:
    case READONLY:
    case IOERR:
    case CANTOPEN:
      return "store_unavailable";
    case TOOBIG:
      return "value_too_large";
    default:
      return "internal";
  }
}

/** Whether SQLite failed to read or write the file. A commit may have reached the disk or not. */
export function isIoError(error: unknown): boolean {
  return (errorCode(error) & 0xff) === IOERR;
}

/** Whether another process's lock is in the way. */
export function isBusy(error: unknown): boolean {
  return (errorCode(error) & 0xff) === BUSY;
}

/** The error for callers of the API, with SQLite's own error as its cause. */
export function toPrismError(error: unknown): PrismError {
  if (error instanceof PrismError) {
    return error;
  }
  const reason = reasonOf(error);
  return new PrismError(reason, messageFor(reason, error), { cause: error });
}

/** The message for calls and the log when the files of an open store are gone. */
export const FILES_GONE =
  "the store's file was deleted, moved or replaced while it was open: the server has to be restarted";

/** The error as plain data. `reason` = the circumstances tell more than the error does. */
export function toFailure(error: unknown, reason?: StoreReason): Failure {
  if (error instanceof PrismError) {
    const { reason, message, field, cause } = error;
    const detail = cause === undefined ? undefined : detailOf(cause);
    return {
      reason,
      message,
      ...(detail !== undefined && { detail }),
      ...(field !== undefined && { field }),
    };
  }
  const known = reason ?? reasonOf(error);
  return { reason: known, message: messageFor(known, error), detail: detailOf(error) };
}

/** The refusal as plain data. */
export function refusalFailure({ reason, message, field }: Refusal): Failure {
  return { reason, message, ...(field !== undefined && { field }) };
}

/** The reverse of {@link toFailure}. */
export function fromFailure({ reason, message, field, detail }: Failure): PrismError {
  const cause = detail === undefined ? undefined : new Error(detail);
  return new PrismError(reason, message, { cause, ...(field !== undefined && { field }) });
}

/**
 * What the operator reads when the database cannot be opened: the file, the fault and the remedy.
 */
export function openError(error: unknown, path: string): PrismError {
  if (error instanceof PrismError) {
    return error;
  }
  const reason = reasonOf(error);
  return new PrismError(reason === "internal" ? "store_unavailable" : reason, openMessage(error, path), {
    cause: error,
  });
}

function openMessage(error: unknown, path: string): string {
  const code = errorCode(error);
  switch (code === IOERR_SHMSIZE ? FULL : code & 0xff) {
    case NOTADB:
      return `${path} is not a SQLite database: move it away or choose another path`;
    case CORRUPT:
      return `${path} is damaged: restore it from a backup`;
    case FULL:
      return `${path} cannot be opened, because the disk is full: free some space`;
    case READONLY:
    case PERM:
      return `${path} cannot be written: give this process the permission to write the file and its directory`;
    case BUSY:
      return `${path} is locked by another process: stop it or choose another path`;
    case CANTOPEN:
      return `${path} cannot be opened: check that its directory is one that this process may write to`;
    default:
      return `${path} cannot be opened: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function messageFor(reason: StoreReason, error?: unknown): string {
  if (reason === "store_unavailable" && isBusy(error)) {
    return "the store's file is locked by another process";
  }
  return STORE_MESSAGES[reason];
}

function detailOf(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  const code = errorCode(error);
  return code === 0 ? (error.stack ?? error.message) : `${error.message} (SQLite result code ${code})`;
}

/** SQLite's extended result code; 0 = not an error of SQLite. */
function errorCode(error: unknown): number {
  if (!(error instanceof Error) || !("errcode" in error)) {
    return 0;
  }
  return typeof error.errcode === "number" ? error.errcode : 0;
}
