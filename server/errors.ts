import type { Reason } from "./reasons.ts";

export type { Reason } from "./reasons.ts";

/** What a {@link PrismError} can carry beside its reason and message. */
export interface PrismErrorOptions {
  /** The request field that is at fault, in the proto's spelling (`ttl_seconds`). */
  readonly field?: string;
  /** The driver's own error. It reaches the log, never the caller. */
  readonly cause?: unknown;
  /** True: the message can hold keys and values that the caller sent, so the log leaves it out. */
  readonly echoes?: boolean;
}

/**
 * The only error that crosses a layer: every layer under the wire throws it, and `calls/status.ts` makes of it a status
 * code and a `prism.common.Error` detail, by the table in `reasons.ts`. The message is written for the caller of the API: it names the
 * field, key or namespace, and holds no driver text, stack or path.
 */
export class PrismError extends Error {
  override readonly name = "PrismError";
  readonly reason: Reason;
  readonly field: string | undefined;
  readonly echoes: boolean;

  constructor(reason: Reason, message: string, options: PrismErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.field = options.field;
    this.echoes = options.echoes ?? false;
  }
}

/**
 * A store that cannot be opened before an operator has done something: another password, another version. Trying again is no use. The
 * message is for the operator.
 */
export class StartError extends PrismError {
  constructor(message: string, cause?: unknown) {
    super("store_unavailable", message, { cause });
  }
}

/** A store that takes no writes for a while, and reads as ever. */
export class ReadOnlyError extends PrismError {
  constructor(message: string, cause?: unknown) {
    super("store_unavailable", message, { cause });
  }
}

/** The same error for the caller; the log leaves its message out. */
export function echoing({ reason, message, field }: PrismError): PrismError {
  return new PrismError(reason, message, { echoes: true, ...(field !== undefined && { field }) });
}

/** Gives back `error` if it is a {@link PrismError}; anything else becomes `internal` with it as the cause. */
export function asPrismError(error: unknown): PrismError {
  return error instanceof PrismError ? error : new PrismError("internal", "internal error", { cause: error });
}

/**
 * The error with which an aborted call ends: the signal's own reason where that is a {@link PrismError}
 * (deadline, shutdown), else `canceled`, because then the caller went away.
 */
export function abortError(signal: AbortSignal): PrismError {
  return signal.reason instanceof PrismError
    ? signal.reason
    : new PrismError("canceled", "the call was canceled", { cause: signal.reason });
}
