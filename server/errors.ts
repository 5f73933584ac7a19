/**
 * Why a call failed, as a closed set: every layer under the wire throws a {@link PrismError} with one of
 * these, and `calls/status.ts` turns it into a status code and a `prism.common.Error` detail.
 */
export type Reason =
  /** The request cannot be read: broken framing, encoding, JSON or protobuf. */
  | "malformed_request"
  /** A message is compressed, and the request names no compression. The protocols want `internal` for it. */
  | "compression_unnamed"
  /** The request uses what this server does not do: an unknown compression, or other than one message. */
  | "request_unsupported"
  /** A field of the request is out of bounds or, in JSON, is none of the message or not in base64. */
  | "invalid_field"
  /** The key holds nothing. Raised by handlers only: inside the contract a missing key is a value. */
  | "key_not_found"
  /** No namespace of that name is configured. */
  | "namespace_not_found"
  /** The health of a service was asked for that this server does not have. */
  | "service_not_found"
  /** No service or method of that name. */
  | "method_not_found"
  /** The namespace's backend does not have the interface that was called. */
  | "interface_unsupported"
  /** The value, or the whole request, is larger than the configured bound. */
  | "value_too_large"
  /** The store has no room left: the disk is full, or its own bound is reached. */
  | "store_full"
  /** Too much waits for the store already; a later try can succeed. */
  | "overloaded"
  /** The request did not come in whole within the time that the server gives it. */
  | "request_too_slow"
  /** The deadline of the call passed. Whether a write took effect is unknown. */
  | "deadline_exceeded"
  /** The caller went away. */
  | "canceled"
  /** The store cannot be reached or is not open; the call had no effect. */
  | "store_unavailable"
  /** The store went away during a write: it may or may not have taken effect. */
  | "outcome_unknown"
  /** The server is going down; the call had no effect, or a stream was cut. */
  | "shutting_down"
  /** Stored data does not read back as what was written. */
  | "corrupt_data"
  /** A defect of Prism. The message says nothing more; the log has the cause. */
  | "internal";

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
 * The only error that crosses a layer. The message is written for the caller of the API: it names the
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
