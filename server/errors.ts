import type { Reason } from "./reasons.ts";

export type { Reason } from "./reasons.ts";

/** What a {@link PrismError} can carry besides its reason and message. */
export interface PrismErrorOptions {
  /** The request field at fault, by its proto name (`ttl_seconds`). */
  readonly field?: string;
  /** The driver's own error. It reaches the log, never the caller. */
  readonly cause?: unknown;
  /** True: the message may contain the caller's keys and values, so the log leaves it out. */
  readonly echoes?: boolean;
  /** Milliseconds to wait before the next try, if more is known than the reason's row says. */
  readonly retryAfterMs?: number;
}

/**
 * The only error that crosses a layer. Every layer under the wire throws it, and `calls/status.ts`
 * turns it into a status code and a `prism.common.Error` detail, by the table in `reasons.ts`. The
 * message is for the caller of the API: it names the field, key or namespace, and contains no
 * driver text, stack or path.
 */
export class PrismError extends Error {
  override readonly name = "PrismError";
  readonly reason: Reason;
  readonly field: string | undefined;
  readonly echoes: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(reason: Reason, message: string, options: PrismErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.field = options.field;
    this.echoes = options.echoes ?? false;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/**
 * A store that cannot be opened until an operator acts, for example on a wrong password or version.
 * Retrying is useless. The message is for the operator.
 */
export class StartError extends PrismError {
  constructor(message: string, cause?: unknown) {
    super("store_unavailable", message, { cause });
  }
}

/** A store that takes no writes for a while, but reads. */
export class ReadOnlyError extends PrismError {
  constructor(message: string, cause?: unknown) {
    super("store_unavailable", message, { cause });
  }
}

/**
 * Makes an error without its stack, for refusals that nobody looks into: writing the stack down
 * takes longer than answering the call.
 */
export function withoutStack<E extends Error>(make: () => E): E {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return make();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** The same error for the caller; the log leaves out its message. */
export function echoing({ reason, message, field }: PrismError): PrismError {
  return new PrismError(reason, message, { echoes: true, ...(field !== undefined && { field }) });
}

/** Gives a {@link PrismError} back. Anything else becomes `internal` with it as the cause. */
export function asPrismError(error: unknown): PrismError {
  return error instanceof PrismError ? error : new PrismError("internal", "internal error", { cause: error });
}

/**
 * The error of an aborted call: the signal's reason if that is a {@link PrismError} (deadline,
 * shutdown). Otherwise `canceled`, because then the caller went away.
 */
export function abortError(signal: AbortSignal): PrismError {
  return signal.reason instanceof PrismError
    ? signal.reason
    : new PrismError("canceled", "the call was canceled", { cause: signal.reason });
}
