import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  GetTrafficResponseSchema,
  NamespaceTrafficSchema,
  ProcessTrafficSchema,
} from "../../gen/prism/admin/v1/admin_pb.ts";
import { type CallCounts, sumOfCounts } from "../calls/call-counts.ts";
import { type CallSeries, CODE_NAMES, DURATION_BOUNDS_MS } from "../calls/call-meter.ts";
import { PrismError } from "../errors.ts";

/** The most namespaces that a request names, or that an answer has without any. */
export const MAX_TRAFFIC_NAMESPACES = 1000;

/** What one process has counted since its start. */
export interface Traffic {
  readonly calls: CallCounts;
  /** Of all threads. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
  /** How late timers were since it was last asked, 99 of 100 times at most; 0 = not known. */
  readonly delayP99Ms: number;
  /** Open connections of the data port, and of the admin port. */
  readonly connections: number;
  readonly adminConnections: number;
}

/** Asks each process of the gateway. `names`: as for `countCalls`. */
export type TrafficSource = (names: readonly string[]) => Promise<readonly Traffic[]>;

/**
 * Answers GetTraffic for these namespaces. `source` `undefined` = nothing is counted. Throws
 * {@link PrismError}: `invalid_field` or `request_unsupported`.
 */
export async function tellTraffic(
  source: TrafficSource | undefined,
  names: readonly string[],
  startedAtMs: number,
): Promise<MessageInitShape<typeof GetTrafficResponseSchema>> {
  if (names.length > MAX_TRAFFIC_NAMESPACES) {
    throw new PrismError("invalid_field", `namespaces must be at most ${MAX_TRAFFIC_NAMESPACES}`, {
      field: "namespaces",
    });
  }
  if (source === undefined) {
    const why = "calls are not counted: metrics.enabled in the configuration is false";
    throw new PrismError("request_unsupported", why);
  }
  const processes = await source(names);
  const { namespaces, namespaceCount, methods } = sumOfCounts(processes.map(({ calls }) => calls));
  return {
    readAtMillis: performance.now(),
    startedAtMillis: BigInt(startedAtMs),
    namespaces: Array.from(namespaces, ([namespace, series]) => ({ namespace, ...countsOf(series) }))
      .sort((a, b) => Number(b.calls - a.calls))
      .slice(0, MAX_TRAFFIC_NAMESPACES),
    namespaceCount,
    methods: Array.from(methods, ([method, series]) => ({
      method,
      ...countsOf(series),
      durationMillis: series.durations[DURATION_BOUNDS_MS.length + 1] ?? 0,
      durationCounts: Array.from(series.durations.subarray(0, DURATION_BOUNDS_MS.length + 1), BigInt),
    })).sort((a, b) => (a.method < b.method ? -1 : 1)),
    durationBoundsMillis: [...DURATION_BOUNDS_MS],
    process: together(processes),
  };
}

function countsOf(series: CallSeries) {
  const failures = CODE_NAMES.flatMap((name, code): [string, bigint][] => {
    const calls = code === 0 ? 0 : series.calls(code);
    return calls === 0 ? [] : [[name, BigInt(calls)]];
  });
  return {
    calls: BigInt(series.allCalls),
    failures: Object.fromEntries(failures),
    requestBytes: BigInt(series.requestBytes),
    responseBytes: BigInt(series.responseBytes),
    callsUnderWay: BigInt(series.inFlight),
  } satisfies MessageInitShape<typeof NamespaceTrafficSchema>;
}

function together(processes: readonly Traffic[]): MessageInitShape<typeof ProcessTrafficSchema> {
  const sum = (read: (process: Traffic) => number) =>
    processes.reduce((total, process) => total + read(process), 0);
  return {
    cpuSeconds: sum(({ cpuSeconds }) => cpuSeconds),
    residentBytes: BigInt(sum(({ residentBytes }) => residentBytes)),
    eventLoopDelayP99Millis: Math.max(0, ...processes.map(({ delayP99Ms }) => delayP99Ms)),
    connections: BigInt(sum(({ connections }) => connections)),
    adminConnections: BigInt(sum(({ adminConnections }) => adminConnections)),
    processes: processes.length,
  };
}
