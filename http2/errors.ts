/** The error codes of RFC 9113 section 7, as they go into RST_STREAM and GOAWAY. */
export const ErrorCode = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const;

/** One of the fourteen codes; closed, see `toErrorCode`. */
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

const KNOWN: ReadonlySet<number> = new Set(Object.values(ErrorCode));

/**
 * The error code that a peer sent. An unknown code counts as INTERNAL_ERROR (RFC 9113 section 7).
 */
export function toErrorCode(code: number): ErrorCode {
  return KNOWN.has(code) ? (code as ErrorCode) : ErrorCode.INTERNAL_ERROR;
}

/**
 * A connection error (RFC 9113 section 5.4.1). The parts that read the peer's input throw it; the
 * connection catches it, answers with GOAWAY and closes. It never leaves the engine as an
 * exception: `onClose` is given it.
 */
export class ConnectionError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.name = "ConnectionError";
    this.code = code;
  }
}

/** The name that RFC 9113 gives a code. */
export function errorName(code: ErrorCode): string {
  return Object.entries(ErrorCode).find(([, value]) => value === code)?.[0] ?? String(code);
}
