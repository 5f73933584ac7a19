import { DatabaseError } from "pg";
import { PrismError, ReadOnlyError, StartError } from "../../errors.ts";
import { storeError } from "../store-errors.ts";

/** What a statement does. A "read" can be repeated and leaves nothing in doubt. */
export type Access = "read" | "write";

/**
 * What a failed statement means for its caller. `error` is what the driver threw. The codes are
 * from postgresql.org/docs/current/errcodes-appendix.html.
 */
export function toPrismError(error: unknown, kind: Access): PrismError {
  if (error instanceof PrismError) {
    return error;
  }
  if (isTurnedAway(error)) {
    return storeError("store_unavailable", error);
  }
  if (isLost(error)) {
    return kind === "read" ? storeError("store_unavailable", error) : storeError("outcome_unknown", error);
  }
  const code = sqlState(error);
  if (code === COMPLETION_UNKNOWN && kind === "write") {
    return storeError("outcome_unknown", error);
  }
  switch (code.slice(0, 2)) {
    case "53":
      return code === "53100" ? storeError("store_full", error) : storeError("overloaded", error);
    case "55":
    case "57":
      // Locks, timeouts or an operator ended the statement; it had no effect.
      return storeError("overloaded", error);
    case "54":
      return storeError("value_too_large", error);
    case "40":
      return storeError("overloaded", error);
    case "XX":
      return storeError(code === "XX000" ? "internal" : "corrupt_data", error);
    default:
      return ofCode(code, kind, error);
  }
}

function ofCode(code: string, kind: Access, error: unknown): PrismError {
  switch (code) {
    case READ_ONLY:
      return new ReadOnlyError("the store takes no writes now", error);
    // undefined_table, invalid_schema_name, undefined_function.
    case "42P01":
    case "3F000":
    case "42883":
      return tablesMissing(error);
    // insufficient_privilege
    case "42501":
      return kind === "write" ? notWritable(error) : notReadable(error);
    default:
      return storeError("internal", error);
  }
}

/** Somebody removed the tables while they were in use. */
export function tablesMissing(cause?: unknown): PrismError {
  return new PrismError("store_unavailable", "the store's tables are missing", { cause });
}

/** Somebody revoked the right to read from the gateway's user. */
export function notReadable(cause?: unknown): PrismError {
  return new PrismError("store_unavailable", "the store's tables may not be read", { cause });
}

/** Somebody revoked only the right to write. */
export function notWritable(cause?: unknown): ReadOnlyError {
  return new ReadOnlyError("the store's tables may not be written", cause);
}

/** statement_completion_unknown: CockroachDB lost the answer to its own commit. */
const COMPLETION_UNKNOWN = "40003";

/** read_only_sql_transaction: a standby, or a primary that became one. */
const READ_ONLY = "25006";

/** The connection is unusable: it broke, or the server ends it. */
export function isLost(error: unknown): boolean {
  const code = sqlState(error);
  return !(error instanceof DatabaseError) || code.startsWith("08") || code.startsWith("57P");
}

/**
 * The connection broke while it was being made, so there was somebody at the other end. When it
 * ends without a reset the driver gives no code.
 */
export function wasCutOff(error: unknown): boolean {
  return (
    error instanceof Error &&
    (Reflect.get(error, "code") === "ECONNRESET" || error.message === "Connection terminated unexpectedly")
  );
}

/**
 * PgBouncer ends a client that waited for a server connection longer than `query_wait_timeout`,
 * without a code of its own (janitor.c of its source). The transaction had not begun.
 */
export function isTurnedAway(error: unknown): boolean {
  return error instanceof DatabaseError && error.message === "query_wait_timeout";
}

/**
 * The server or its pooler is there but takes no more connections: too_many_connections. PgBouncer
 * (client.c) has no code for it.
 */
export function isFull(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) {
    return false;
  }
  return sqlState(error) === "53300" || error.message.startsWith("no more connections allowed");
}

/**
 * lock_not_available: the statement waited for a lock as long as it may at a time. It had no
 * effect.
 */
export function isLocked(error: unknown): boolean {
  return sqlState(error) === "55P03";
}

/** The server, or only this session, takes no writes. */
export function isReadOnly(error: unknown): boolean {
  return sqlState(error) === READ_ONLY;
}

/**
 * A prepared statement is missing, or one exists that this session did not prepare: the session is
 * shared. The statement had no effect. invalid_sql_statement_name, duplicate_prepared_statement.
 */
export function isUnprepared(error: unknown): boolean {
  const code = sqlState(error);
  return code === "26000" || code === "42P05";
}

/** The statement was rolled back so that others could go on. It can be tried again. */
export function isRetryable(error: unknown): boolean {
  const code = sqlState(error);
  return code === "40001" || code === "40P01";
}

/** Why the store cannot be opened, for the operator. `where` contains no password. */
export function openError(error: unknown, where: string): PrismError {
  const cause = error instanceof PrismError && error.cause !== undefined ? error.cause : error;
  const said = cause instanceof Error ? cause.message : String(cause);
  const help = POOLER_HELP.find(([text]) => said.includes(text))?.[1];
  const message = `PostgreSQL at ${where}: ${said}${help === undefined ? "" : `: ${help}`}`;
  const isFinal =
    error instanceof StartError || help !== undefined || (cause instanceof DatabaseError && !mayPass(cause));
  return isFinal ? new StartError(message, cause) : new PrismError("store_unavailable", message, { cause });
}

/**
 * Messages that PgBouncer sends without a code of its own (client.c and server.c of its source),
 * and the remedies.
 */
const POOLER_HELP: readonly (readonly [text: string, help: string])[] = [
  [
    "unsupported startup parameter",
    "the pooler takes no such parameter in a URL: leave it out and give the setting to the role (ALTER ROLE ... SET ...)",
  ],
  [
    "statement pooling mode",
    "every call needs a transaction: set pool_mode to transaction or session for this database",
  ],
];

/** The server is starting, is ending, or has too many connections. */
function mayPass(error: DatabaseError): boolean {
  const code = sqlState(error);
  return isLost(error) || code.startsWith("53") || code.startsWith("55") || isRetryable(error);
}

function sqlState(error: unknown): string {
  return error instanceof DatabaseError ? (error.code ?? "") : "";
}
