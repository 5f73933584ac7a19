/** Points that are kept of each curve: ten minutes of a reading every two seconds. */
export const KEPT_POINTS = 300;

/** The counts of a namespace or a method since the gateway's start. */
export interface Counts {
  readonly calls: bigint;
  /** Calls by status code, such as `NOT_FOUND`. */
  readonly failures: Readonly<Record<string, bigint>>;
  readonly callsUnderWay: bigint;
}

/** {@link Counts} of a method. */
export interface MethodCounts extends Counts {
  readonly method: string;
  /** One number for each bound, and a last one for longer calls. */
  readonly durationCounts: readonly bigint[];
}

/** {@link Counts} of a namespace. */
export interface NamespaceCounts extends Counts {
  readonly namespace: string;
}

/** What the gateway has counted up to now: the part of GetTraffic's answer that is read here. */
export interface TrafficReading {
  /** On a clock of which only differences mean anything. */
  readonly readAtMillis: number;
  /** Another value: the counts began anew. */
  readonly startedAtMillis: bigint;
  /** Those with most calls. */
  readonly namespaces: readonly NamespaceCounts[];
  /** How many there are, also those that were left out. */
  readonly namespaceCount: number;
  readonly methods: readonly MethodCounts[];
  readonly durationBoundsMillis: readonly number[];
  readonly process?:
    | {
        readonly cpuSeconds: number;
        readonly residentBytes: bigint;
        readonly eventLoopDelayP99Millis: number;
      }
    | undefined;
}

/** Curves. Each has {@link KEPT_POINTS} numbers, the newest last. */
export interface CallCurves {
  /** Calls a second. */
  readonly calls: Float32Array;
  /** Failures a second, as {@link isFailure} says. */
  readonly failures: Float32Array;
}

/** Curves of calls of which the gateway counts how long they take. */
export interface TimedCurves extends CallCurves {
  /** Calls in each bucket: as many numbers a point as there are buckets. */
  readonly durations: Float32Array;
}

/** Ten minutes of a gateway's calls. `add` changes its arrays in place. */
export interface TrafficHistory {
  /** How many points there are. They are the last ones of each array; those before mean nothing. */
  readonly points: number;
  /** When each point ended, in seconds since 1970. A page that nobody sees leaves a gap. */
  readonly times: Float64Array;
  /** All calls, without those about the gateway itself: see {@link isOwnMethod}. */
  readonly total: TimedCurves;
  /** By their full names, of the last reading. */
  readonly methods: ReadonlyMap<string, TimedCurves>;
  /** By their names, of the last reading. */
  readonly namespaces: ReadonlyMap<string, CallCurves>;
  /** Processor cores in use. */
  readonly cores: Float32Array;
  readonly residentBytes: Float32Array;
  readonly eventLoopDelayP99Ms: Float32Array;
  /** The last reading; `undefined` = there is none. */
  readonly latest: TrafficReading | undefined;
  /** Takes in a reading. `nowMs` is the time, in milliseconds since 1970. */
  add(reading: TrafficReading, nowMs: number): void;
}

/** Whether a status code tells of a failure. A key that is not there is an answer. */
export function isFailure(code: string): boolean {
  return code !== "OK" && code !== "NOT_FOUND";
}

/** Whether a method is about the gateway itself: this page calls some of them all the time. */
export function isOwnMethod(method: string): boolean {
  return /^(prism\.(admin|control)|grpc)\./.test(method);
}

/** Calls that failed, as {@link isFailure} says. */
export function failuresOf({ failures }: Counts): number {
  let sum = 0;
  for (const [code, count] of Object.entries(failures)) {
    sum += isFailure(code) ? Number(count) : 0;
  }
  return sum;
}

/** Calls that run now, without those about the gateway itself. */
export function callsUnderWay({ methods }: TrafficReading): number {
  return methods.reduce(
    (sum, { method, callsUnderWay }) => sum + (isOwnMethod(method) ? 0 : Number(callsUnderWay)),
    0,
  );
}

/** The mean of the last `count` of the points that there are; `undefined` = there are none. */
export function meanOf(curve: Float32Array, points: number, count: number): number | undefined {
  const taken = Math.min(points, count);
  if (taken === 0) {
    return undefined;
  }
  return curve.subarray(curve.length - taken).reduce((sum, value) => sum + value, 0) / taken;
}

/**
 * The time in milliseconds within which a share `q` of calls were answered. Within a bucket calls
 * are taken to be spread evenly, as Prometheus does. `counts` has one number for each bound, and a
 * last one for longer calls, of which the last bound is told. `undefined` = there were no calls.
 */
export function quantileMs(
  boundsMs: readonly number[],
  counts: ArrayLike<number>,
  q: number,
): number | undefined {
  let all = 0;
  for (let i = 0; i < counts.length; i++) {
    all += counts[i] ?? 0;
  }
  if (all === 0) {
    return undefined;
  }
  let left = all * q;
  let fromMs = 0;
  for (const [i, toMs] of boundsMs.entries()) {
    const count = counts[i] ?? 0;
    if (count > 0 && left <= count) {
      return fromMs + (toMs - fromMs) * (left / count);
    }
    left -= count;
    fromMs = toMs;
  }
  return fromMs;
}

/** {@link quantileMs} of the calls of the last `count` points together. */
export function recentQuantileMs(
  { points, latest }: TrafficHistory,
  { durations }: TimedCurves,
  q: number,
  count: number,
): number | undefined {
  const boundsMs = latest?.durationBoundsMillis ?? [];
  const buckets = boundsMs.length + 1;
  const sums = new Float64Array(buckets);
  for (let point = KEPT_POINTS - Math.min(points, count); point < KEPT_POINTS; point++) {
    for (let bucket = 0; bucket < buckets; bucket++) {
      sums[bucket] = (sums[bucket] ?? 0) + (durations[point * buckets + bucket] ?? 0);
    }
  }
  return quantileMs(boundsMs, sums, q);
}

/** {@link quantileMs} of each point that there is. `null` = no calls then. */
export function quantileCurveMs(
  { points, latest }: TrafficHistory,
  { durations }: TimedCurves,
  q: number,
): (number | null)[] {
  const boundsMs = latest?.durationBoundsMillis ?? [];
  const buckets = boundsMs.length + 1;
  return Array.from({ length: points }, (_, i) => {
    const at = (KEPT_POINTS - points + i) * buckets;
    return quantileMs(boundsMs, durations.subarray(at, at + buckets), q) ?? null;
  });
}

/** A history without points. */
export function createTrafficHistory(): TrafficHistory {
  let points = 0;
  let latest: TrafficReading | undefined;
  let total = timedCurves(0);
  let methods = new Map<string, TimedCurves>();
  let namespaces = new Map<string, CallCurves>();
  const times = new Float64Array(KEPT_POINTS);
  const cores = new Float32Array(KEPT_POINTS);
  const residentBytes = new Float32Array(KEPT_POINTS);
  const eventLoopDelayP99Ms = new Float32Array(KEPT_POINTS);

  function addPoint(before: TrafficReading, now: TrafficReading, seconds: number): void {
    const buckets = now.durationBoundsMillis.length + 1;
    const methodsBefore = byName(before.methods, ({ method }) => method);
    advance(total, buckets);
    methods = new Map(
      now.methods.map((counts) => {
        const curves = methods.get(counts.method) ?? timedCurves(buckets);
        const earlier = methodsBefore.get(counts.method);
        advance(curves, buckets);
        for (const taken of isOwnMethod(counts.method) ? [curves] : [curves, total]) {
          addCalls(taken, earlier, counts, seconds);
          addDurations(taken, earlier, counts, buckets);
        }
        return [counts.method, curves];
      }),
    );
    // One that was left out before may have had calls before: its rate is told from now on.
    const wereAllTold = before.namespaceCount <= before.namespaces.length;
    const namespacesBefore = byName(before.namespaces, ({ namespace }) => namespace);
    namespaces = new Map(
      now.namespaces.map((counts) => {
        const curves = namespaces.get(counts.namespace) ?? callCurves();
        const earlier = namespacesBefore.get(counts.namespace) ?? (wereAllTold ? undefined : counts);
        advance(curves, 0);
        addCalls(curves, earlier, counts, seconds);
        return [counts.namespace, curves];
      }),
    );
    push(cores, growth(before.process?.cpuSeconds, now.process?.cpuSeconds) / seconds);
    push(residentBytes, Number(now.process?.residentBytes ?? 0));
    push(eventLoopDelayP99Ms, now.process?.eventLoopDelayP99Millis ?? 0);
    points = Math.min(KEPT_POINTS, points + 1);
  }

  return {
    times,
    cores,
    residentBytes,
    eventLoopDelayP99Ms,
    get points() {
      return points;
    },
    get latest() {
      return latest;
    },
    get total() {
      return total;
    },
    get methods() {
      return methods;
    },
    get namespaces() {
      return namespaces;
    },
    add(reading, nowMs) {
      if (latest === undefined || latest.startedAtMillis !== reading.startedAtMillis) {
        points = 0;
        total = timedCurves(reading.durationBoundsMillis.length + 1);
        methods = new Map();
        namespaces = new Map();
      } else if (reading.readAtMillis <= latest.readAtMillis) {
        return;
      } else {
        addPoint(latest, reading, (reading.readAtMillis - latest.readAtMillis) / 1000);
        push(times, nowMs / 1000);
      }
      latest = reading;
    },
  };
}

function callCurves(): CallCurves {
  return { calls: new Float32Array(KEPT_POINTS), failures: new Float32Array(KEPT_POINTS) };
}

function timedCurves(buckets: number): TimedCurves {
  return { ...callCurves(), durations: new Float32Array(KEPT_POINTS * buckets) };
}

function byName<T>(list: readonly T[], nameOf: (item: T) => string): ReadonlyMap<string, T> {
  return new Map(list.map((item) => [nameOf(item), item]));
}

/** Adds a point without calls. */
function advance(curves: CallCurves | TimedCurves, buckets: number): void {
  push(curves.calls, 0);
  push(curves.failures, 0);
  if ("durations" in curves) {
    curves.durations.copyWithin(0, buckets);
    curves.durations.fill(0, curves.durations.length - buckets);
  }
}

/** Adds to the last point. */
function addCalls(
  { calls, failures }: CallCurves,
  before: Counts | undefined,
  now: Counts,
  seconds: number,
): void {
  const last = KEPT_POINTS - 1;
  const failuresBefore = before === undefined ? 0 : failuresOf(before);
  calls[last] = (calls[last] ?? 0) + growth(Number(before?.calls ?? 0n), Number(now.calls)) / seconds;
  failures[last] = (failures[last] ?? 0) + growth(failuresBefore, failuresOf(now)) / seconds;
}

function addDurations(
  { durations }: TimedCurves,
  before: MethodCounts | undefined,
  now: MethodCounts,
  buckets: number,
): void {
  for (const [bucket, count] of now.durationCounts.entries()) {
    const at = durations.length - buckets + bucket;
    const more = growth(Number(before?.durationCounts[bucket] ?? 0n), Number(count));
    durations[at] = (durations[at] ?? 0) + more;
  }
}

/** How much more there is now. A count that fell lost a part of what it counted. */
function growth(before: number | undefined, now: number | undefined): number {
  return Math.max(0, (now ?? 0) - (before ?? 0));
}

function push(curve: Float32Array | Float64Array, value: number): void {
  curve.copyWithin(0, 1);
  curve[curve.length - 1] = value;
}
