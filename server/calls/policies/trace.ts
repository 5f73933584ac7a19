import type { StoreOperation } from "../../backend/contract.ts";
import type { PrismError, Reason } from "../../errors.ts";
import { REASONS } from "../../reasons.ts";
import type { MethodRow } from "../methods.ts";
import type { CallRecord } from "../record.ts";
import { answerMs, CallTimes, canBeSlow } from "../times.ts";
import {
  isSurelyNotSampled,
  parseTraceparent,
  randomSpanId,
  randomTraceId,
  type TraceParent,
} from "../trace-context.ts";
import type { Policy } from "./policy.ts";

/** A finished call, for its spans. It holds nothing of the request. */
export interface TracedCall {
  readonly row: MethodRow;
  readonly span: TraceParent;
  /** `undefined` = the trace begins here. */
  readonly parentSpanId: string | undefined;
  /** In milliseconds since 1970, like the times of its parts. */
  readonly startMs: number;
  readonly endMs: number;
  /** Whether it came as gRPC or gRPC-Web; else it came as Connect. */
  readonly isGrpc: boolean;
  readonly requestId: string;
  /** "" = the request was not read, or names no valid one. */
  readonly namespace: string;
  /** `undefined` = success. */
  readonly reason: Reason | undefined;
  readonly parts: readonly TracedPart[];
}

/** A call of a store, or a wait in a queue. */
export interface TracedPart {
  readonly spanId: string;
  readonly parentSpanId: string;
  /** `undefined` = a wait in a queue. */
  readonly operation: StoreOperation | undefined;
  readonly startMs: number;
  readonly endMs: number;
}

/** Which calls are traced. */
export interface Sampling {
  /** The share of traces that begin here which are recorded, 0 to 1. */
  readonly ratio: number;
  /** Further calls that are kept when they end. */
  readonly tail: {
    /** Those that fail. A key that is not there is no failure. */
    readonly errors: boolean;
    /** Those that take this many milliseconds or more; 0 = none. */
    readonly slowerThanMs: number;
  };
}

/**
 * Makes spans of calls and hands them to `add`. Whether a call is traced says its caller's
 * traceparent; without one chance does, before anything is made.
 */
export function createTracePolicy({ ratio, tail }: Sampling, add: (call: TracedCall) => void): Policy {
  /** Decides on a new call. */
  function sample(record: CallRecord): void {
    const given = record.header("traceparent");
    if (given !== undefined && isSurelyNotSampled(given)) {
      return;
    }
    // An invalid one counts as none.
    const parent = given === undefined ? undefined : parseTraceparent(given);
    if (parent?.sampled ?? Math.random() < ratio) {
      record.span = spanWithin(parent, true);
      record.times ??= new CallTimes();
    }
  }

  function isKept(record: CallRecord, error: PrismError | undefined): boolean {
    if (tail.errors && error !== undefined && REASONS[error.reason].level !== "debug") {
      return true;
    }
    const { times } = record;
    return (
      tail.slowerThanMs > 0 && times !== undefined && answerMs(times, record.endedAtMs) >= tail.slowerThanMs
    );
  }

  return {
    on(row) {
      const looksForSlow = tail.slowerThanMs > 0 && canBeSlow(row);
      return {
        begin(record) {
          sample(record);
          if (looksForSlow) {
            record.times ??= new CallTimes();
          }
          return undefined;
        },
        finish(record, error, begun) {
          if (!begun) {
            sample(record);
          }
          if (record.span === undefined && isKept(record, error)) {
            record.span = spanWithin(record.traceParent, false);
          }
          if (record.span !== undefined) {
            add(finished(record, record.span, error));
          }
        },
      };
    },
  };
}

function spanWithin(parent: TraceParent | undefined, sampled: boolean): TraceParent {
  return { traceId: parent?.traceId ?? randomTraceId(), spanId: randomSpanId(), sampled };
}

function finished(record: CallRecord, span: TraceParent, error: PrismError | undefined): TracedCall {
  const nowMs = record.endedAtMs;
  // From now back, so that a step of the wall clock moves no span that began before it.
  const originMs = Date.now() - nowMs;
  const { row, requestId, namespace, times } = record;
  return {
    row,
    span,
    parentSpanId: record.traceParent?.spanId,
    startMs: originMs + record.startedAtMs,
    endMs: originMs + nowMs,
    isGrpc: record.header("content-type")?.startsWith("application/grpc") === true,
    requestId,
    namespace,
    reason: error?.reason,
    parts: (times?.parts ?? []).map(({ spanId, within, operation, startedAtMs, endedAtMs = nowMs }) => ({
      spanId,
      parentSpanId: (within ?? span).spanId,
      operation,
      startMs: originMs + startedAtMs,
      endMs: originMs + endedAtMs,
    })),
  };
}
