/** The caller's place in a trace (w3.org/TR/trace-context). */
export interface TraceParent {
  /** 32 hexadecimal digits, not all zero. */
  readonly traceId: string;
  /** 16 hexadecimal digits, not all zero. */
  readonly spanId: string;
  /** Whether the caller records the trace. */
  readonly sampled: boolean;
}

/** What the specification guarantees to pass on, twice. A longer tracestate is dropped. */
export const MAX_TRACESTATE_CHARACTERS = 1024;

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/**
 * Reads a traceparent header. `undefined` = there is none, or it is invalid, which the
 * specification treats alike. A version that is not known yet may have more behind the flags.
 */
export function parseTraceparent(header: string | undefined): TraceParent | undefined {
  const [, version = "", traceId = "", spanId = "", flags = "", more] = TRACEPARENT.exec(header ?? "") ?? [];
  const known = version !== "" && version !== "ff" && (version !== "00" || more === undefined);
  return known && !isZero(traceId) && !isZero(spanId)
    ? { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
    : undefined;
}

/** The characters of a traceparent of version 00. */
const LENGTH = 55;

/**
 * Whether a traceparent says that its caller does not record the trace. It looks at the last digit
 * only, because most calls need no more; false = read it.
 */
export function isSurelyNotSampled(header: string): boolean {
  const digit = header.charCodeAt(LENGTH - 1);
  // The codes of 0 to 9 are as even as the digits, those of a to f the other way round.
  return header.length === LENGTH && (digit & 1) === (digit < 0x61 ? 0 : 1);
}

/** Writes a traceparent header. */
export function formatTraceparent({ traceId, spanId, sampled }: TraceParent): string {
  return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}

/** A new trace's id. */
export function randomTraceId(): string {
  return randomSpanId() + randomSpanId();
}

/** A new span's id. Not a secret, so it need not be hard to guess. */
export function randomSpanId(): string {
  const id = random32() + random32();
  return isZero(id) ? randomSpanId() : id;
}

function random32(): string {
  return Math.floor(Math.random() * 2 ** 32)
    .toString(16)
    .padStart(8, "0");
}

function isZero(digits: string): boolean {
  return /^0*$/.test(digits);
}
