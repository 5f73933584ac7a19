import { expect, test } from "vitest";
import {
  callsUnderWay,
  createTrafficHistory,
  isFailure,
  isOwnMethod,
  KEPT_POINTS,
  meanOf,
  quantileCurveMs,
  quantileMs,
  recentQuantileMs,
  type TrafficReading,
} from "./traffic.ts";

const GET = "prism.interfaces.keyvalue.KeyValueBasicInterface/Get";
const BOUNDS_MS = [1, 10, 100];

/** A reading `seconds` after the start, with these calls of Get on the namespace "a". */
function reading(
  seconds: number,
  calls: number,
  {
    failures = {},
    durations = [calls, 0, 0, 0],
    ...rest
  }: Partial<TrafficReading> & { failures?: Record<string, bigint>; durations?: number[] } = {},
): TrafficReading {
  const counts = { calls: BigInt(calls), failures, callsUnderWay: 2n };
  return {
    readAtMillis: seconds * 1000,
    startedAtMillis: 1n,
    namespaces: [{ ...counts, namespace: "a" }],
    namespaceCount: 1,
    methods: [{ ...counts, method: GET, durationCounts: durations.map(BigInt) }],
    durationBoundsMillis: BOUNDS_MS,
    process: { cpuSeconds: seconds / 2, residentBytes: 1024n, eventLoopDelayP99Millis: 3 },
    ...rest,
  };
}

test("two readings are a point of rates", () => {
  const history = createTrafficHistory();
  history.add(reading(10, 100), 50_000);
  expect(history.points).toBe(0);
  history.add(reading(12, 300, { failures: { INTERNAL: 10n, NOT_FOUND: 50n } }), 52_000);
  expect(history.points).toBe(1);
  expect(history.times.at(-1)).toBe(52);
  for (const curves of [history.total, history.methods.get(GET), history.namespaces.get("a")]) {
    expect(curves?.calls.at(-1)).toBe(100);
    expect(curves?.failures.at(-1)).toBe(5);
  }
  expect(history.cores.at(-1)).toBe(0.5);
  expect(history.residentBytes.at(-1)).toBe(1024);
  expect(history.eventLoopDelayP99Ms.at(-1)).toBe(3);
});

test("older points move on, and the oldest are forgotten", () => {
  const history = createTrafficHistory();
  for (let i = 0; i <= KEPT_POINTS + 5; i++) {
    history.add(reading(i, i * i), i * 1000);
  }
  expect(history.points).toBe(KEPT_POINTS);
  expect(history.total.calls).toHaveLength(KEPT_POINTS);
  expect(history.total.calls.at(-1)).toBe(2 * (KEPT_POINTS + 5) - 1);
  expect(history.total.calls.at(0)).toBe(2 * 6 - 1);
  expect(history.times.at(0)).toBe(6);
});

test("counts that begin anew drop what is held; a count that fell is no call", () => {
  const history = createTrafficHistory();
  history.add(reading(10, 100), 10_000);
  history.add(reading(12, 300), 12_000);
  history.add(reading(14, 200), 14_000);
  expect(history.total.calls.at(-1)).toBe(0);
  history.add(reading(1, 5, { startedAtMillis: 2n }), 16_000);
  expect(history.points).toBe(0);
  history.add(reading(2, 6, { startedAtMillis: 2n }), 17_000);
  expect(history.total.calls.at(-1)).toBe(1);
});

test("an answer that comes late is no point", () => {
  const history = createTrafficHistory();
  history.add(reading(10, 100), 10_000);
  history.add(reading(12, 300), 12_000);
  history.add(reading(11, 200), 12_500);
  expect(history.points).toBe(1);
  expect(history.latest?.readAtMillis).toBe(12_000);
});

test("a namespace that appears has its calls, unless it was left out before", () => {
  const all = createTrafficHistory();
  all.add(reading(10, 0, { namespaces: [], namespaceCount: 0 }), 10_000);
  all.add(reading(11, 7), 11_000);
  expect(all.namespaces.get("a")?.calls.at(-1)).toBe(7);

  const cut = createTrafficHistory();
  cut.add(reading(10, 0, { namespaces: [], namespaceCount: 5 }), 10_000);
  cut.add(reading(11, 7), 11_000);
  expect(cut.namespaces.get("a")?.calls.at(-1)).toBe(0);
  cut.add(reading(12, 9), 12_000);
  expect(cut.namespaces.get("a")?.calls.at(-1)).toBe(2);
});

test("a namespace that is gone is forgotten", () => {
  const history = createTrafficHistory();
  history.add(reading(10, 1), 10_000);
  history.add(reading(11, 2), 11_000);
  history.add(reading(12, 2, { namespaces: [], namespaceCount: 0 }), 12_000);
  expect([...history.namespaces.keys()]).toEqual([]);
});

test("calls about the gateway itself are in no total", () => {
  const own = "prism.admin.v1.AdminService/GetTraffic";
  expect(isOwnMethod(own)).toBe(true);
  expect(isOwnMethod("grpc.health.v1.Health/Check")).toBe(true);
  expect(isOwnMethod(GET)).toBe(false);
  const history = createTrafficHistory();
  const withOwn = (seconds: number, calls: number) => {
    const plain = reading(seconds, calls);
    return { ...plain, methods: plain.methods.map((counts) => ({ ...counts, method: own })) };
  };
  history.add(withOwn(10, 1), 10_000);
  history.add(withOwn(11, 9), 11_000);
  expect(history.methods.get(own)?.calls.at(-1)).toBe(8);
  expect(history.total.calls.at(-1)).toBe(0);
  expect(callsUnderWay(withOwn(11, 9))).toBe(0);
  expect(callsUnderWay(reading(11, 9))).toBe(2);
});

test("a key that is not there is no failure", () => {
  expect(["OK", "NOT_FOUND", "ABORTED", "INTERNAL"].filter(isFailure)).toEqual(["ABORTED", "INTERNAL"]);
});

test("a quantile is within its bucket; of the last bucket its lower bound is told", () => {
  expect(quantileMs(BOUNDS_MS, [0, 0, 0, 0], 0.5)).toBeUndefined();
  expect(quantileMs(BOUNDS_MS, [100, 0, 0, 0], 0.5)).toBe(0.5);
  expect(quantileMs(BOUNDS_MS, [50, 50, 0, 0], 0.5)).toBe(1);
  expect(quantileMs(BOUNDS_MS, [50, 50, 0, 0], 0.99)).toBeCloseTo(9.82);
  expect(quantileMs(BOUNDS_MS, [0, 0, 0, 3], 0.5)).toBe(100);
});

test("quantiles are of one point or of several together", () => {
  const history = createTrafficHistory();
  history.add(reading(10, 0), 10_000);
  history.add(reading(11, 100, { durations: [100, 0, 0, 0] }), 11_000);
  history.add(reading(12, 100, { durations: [100, 0, 0, 0] }), 12_000);
  history.add(reading(13, 200, { durations: [100, 0, 100, 0] }), 13_000);
  expect(quantileCurveMs(history, history.total, 0.5)).toEqual([0.5, null, 55]);
  expect(recentQuantileMs(history, history.total, 0.5, 1)).toBe(55);
  expect(recentQuantileMs(history, history.total, 0.5, 99)).toBe(1);
});

test("a mean is of the points that there are", () => {
  expect(meanOf(new Float32Array([0, 0, 4, 6]), 2, 3)).toBe(5);
  expect(meanOf(new Float32Array([0, 0, 4, 6]), 2, 1)).toBe(6);
  expect(meanOf(new Float32Array(4), 0, 3)).toBeUndefined();
});
