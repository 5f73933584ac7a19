import { setTimeout as delay } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import type { Logger } from "pino";
import { ExportTraceServiceResponseSchema } from "../../gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts";
import type { TracedCall } from "../calls/policies/trace.ts";
import { encodeSpans, type Resource } from "./otlp.ts";
import { createPoster, type Posted, type Target } from "./post.ts";

/** The bounds of an exporter. */
export interface ExporterBounds {
  /** The most spans that wait to be sent; further calls are lost. */
  readonly maxWaiting: number;
  /**
   * The most spans of one request, unless it has a single call. So many that wait are sent at once.
   */
  readonly maxBatch: number;
  /** How long fewer spans wait for others. */
  readonly delayMs: number;
  readonly timeoutMs: number;
  /** The pause before a request is sent again; it doubles up to the longest. */
  readonly minPauseMs: number;
  readonly maxPauseMs: number;
  /** So long after its first try a request is given up. */
  readonly giveUpMs: number;
  /** The least time between two log lines. */
  readonly reportMs: number;
}

/**
 * A span takes half a kilobyte at most while it waits, and some microseconds of one turn to encode.
 */
const BOUNDS: ExporterBounds = {
  maxWaiting: 16_384,
  maxBatch: 512,
  delayMs: 2_000,
  timeoutMs: 10_000,
  minPauseMs: 500,
  maxPauseMs: 30_000,
  giveUpMs: 60_000,
  reportMs: 60_000,
};

/** Where an exporter sends spans, and where they come from. */
export interface ExporterOptions extends Omit<Target, "timeoutMs"> {
  readonly resource: Resource;
  readonly log: Logger;
  readonly bounds?: Partial<ExporterBounds>;
}

/** Sends spans to a collector in the background. Nobody waits for it. */
export interface SpanExporter {
  /** Takes a finished call. It is sent later, or lost if too many wait. */
  add(call: TracedCall): void;
  /**
   * Sends what waits, with one more try for each request, within `graceMs`. The rest is lost, and
   * the log says so.
   */
  close(graceMs: number): Promise<void>;
}

/** Spans that the collector does not have. */
interface Loss {
  /** 0 = perhaps none. */
  readonly spans: number;
  readonly why: string;
}

/** Makes an exporter for OTLP over HTTP with protobuf. It sends one request at a time. */
export function createSpanExporter({ resource, log, bounds, ...target }: ExporterOptions): SpanExporter {
  const set = { ...BOUNDS, ...bounds };
  const poster = createPoster({ ...target, timeoutMs: set.timeoutMs });
  const losses = createLossLog(log, target.url, set.reportMs);
  const closing = new AbortController();
  const cut = new AbortController();
  let waiting: TracedCall[] = [];
  let waitingSpans = 0;
  let running: Promise<void> | undefined;
  let enough: (() => void) | undefined;

  /** Resolves when there are enough spans for a request, or when they have waited long enough. */
  function gather(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => enough?.(), set.delayMs).unref();
      enough = () => {
        enough = undefined;
        clearTimeout(timer);
        // In a later turn, so that no call waits for the encoding.
        setImmediate(resolve);
      };
      if (waitingSpans >= set.maxBatch || closing.signal.aborted) {
        enough();
      }
    });
  }

  /** As many of those that wait as one request may have. */
  function takeBatch(): readonly TracedCall[] {
    let spans = 0;
    const end = waiting.findIndex((call) => {
      spans += spansOf(call);
      return spans > set.maxBatch;
    });
    const batch = waiting.slice(0, end === -1 ? waiting.length : Math.max(1, end));
    waiting = waiting.slice(batch.length);
    waitingSpans -= countSpans(batch);
    return batch;
  }

  /** Runs until nothing waits. */
  async function run(): Promise<void> {
    while (waiting.length > 0) {
      await gather();
      const batch = takeBatch();
      try {
        const loss = cut.signal.aborted
          ? { spans: countSpans(batch), why: "the server stops" }
          : await deliver(batch);
        if (loss !== undefined) {
          losses.tell(loss);
        }
      } catch (err) {
        // A defect. It must not end the server.
        log.error({ err }, "spans could not be sent");
      }
    }
    running = undefined;
  }

  /** Sends one request until it is taken or given up. `undefined` = all of it is taken. */
  async function deliver(batch: readonly TracedCall[]): Promise<Loss | undefined> {
    const body = encodeSpans(resource, batch);
    const untilMs = performance.now() + set.giveUpMs;
    for (let tries = 0; ; tries++) {
      const isLast = closing.signal.aborted;
      const posted = await poster.post(body, cut.signal);
      if ("status" in posted && posted.status >= 200 && posted.status < 300) {
        return readAnswer(posted.body);
      }
      const pauseMs = pauseAfter(posted, tries, set);
      if (pauseMs === undefined || isLast || performance.now() + pauseMs > untilMs) {
        const why = "failure" in posted ? posted.failure : `the collector answers HTTP ${posted.status}`;
        return { spans: countSpans(batch), why };
      }
      // The end of the server cuts the pause short.
      await delay(pauseMs, undefined, { signal: closing.signal, ref: false }).catch(() => {});
    }
  }

  return {
    add(call) {
      const spans = spansOf(call);
      if (closing.signal.aborted || waitingSpans + spans > set.maxWaiting) {
        losses.tell({ spans, why: "too many spans wait for the collector" });
        return;
      }
      waiting.push(call);
      waitingSpans += spans;
      if (running === undefined) {
        running = run();
      } else if (waitingSpans >= set.maxBatch) {
        enough?.();
      }
    },

    async close(graceMs) {
      closing.abort();
      enough?.();
      const late = setTimeout(() => cut.abort(), graceMs);
      await running;
      clearTimeout(late);
      poster.close();
      losses.close();
    },
  };
}

/** The call's own, and one for each of its parts. */
function spansOf({ parts }: TracedCall): number {
  return 1 + parts.length;
}

function countSpans(calls: readonly TracedCall[]): number {
  return calls.reduce((sum, call) => sum + spansOf(call), 0);
}

/** The answers after which the same request may be sent again (OTLP 1.10, "Failures"). */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/**
 * The milliseconds until the request may be sent again. `undefined` = the collector would refuse it
 * again.
 */
function pauseAfter(posted: Posted, tries: number, { minPauseMs, maxPauseMs }: ExporterBounds) {
  if ("status" in posted && !RETRYABLE.has(posted.status)) {
    return undefined;
  }
  // Random, so that many gateways do not come back together.
  const ownMs = Math.min(maxPauseMs, minPauseMs * 2 ** tries) * (0.5 + Math.random() / 2);
  return "status" in posted ? (retryAfterMs(posted.retryAfter) ?? ownMs) : ownMs;
}

/** RFC 9110 section 10.2.3: seconds, or a date. `undefined` = not said. */
function retryAfterMs(header: string | undefined): number | undefined {
  if (header === undefined) {
    return undefined;
  }
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

/** The most characters of a collector's message in the log. */
const MAX_MESSAGE_CHARACTERS = 200;

/** What the collector did not take, though it says that all went well. */
function readAnswer(body: Buffer | undefined): Loss | undefined {
  try {
    const { partialSuccess } = fromBinary(ExportTraceServiceResponseSchema, body ?? Buffer.of(0));
    return (
      partialSuccess && {
        spans: Number(partialSuccess.rejectedSpans),
        why: `the collector says: ${partialSuccess.errorMessage.slice(0, MAX_MESSAGE_CHARACTERS)}`,
      }
    );
  } catch {
    return { spans: 0, why: "the collector's answer is no OTLP" };
  }
}

/** Tells of losses at most once in `reportMs`. */
function createLossLog(log: Logger, { origin, pathname }: URL, reportMs: number) {
  let spans = 0;
  let why: string | undefined;
  let timer: NodeJS.Timeout | undefined;

  function write(): void {
    timer = undefined;
    if (why !== undefined) {
      const message = spans > 0 ? "spans are lost" : "spans may be lost";
      log.warn({ collector: `${origin}${pathname}`, spans, why }, message);
      spans = 0;
      why = undefined;
      timer = setTimeout(write, reportMs).unref();
    }
  }

  return {
    tell(loss: Loss): void {
      spans += loss.spans;
      why = loss.why;
      if (timer === undefined) {
        write();
      }
    },
    /** Tells what was not told yet. */
    close(): void {
      clearTimeout(timer);
      write();
      clearTimeout(timer);
    },
  };
}
