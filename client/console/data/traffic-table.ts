import {
  type CallCurves,
  type Counts,
  failuresOf,
  isOwnMethod,
  meanOf,
  recentQuantileMs,
  type TrafficHistory,
} from "./traffic.ts";

/** Rates are those of the last minute: shorter times make the rows jump. */
const RECENT_POINTS = 30;

/** What was called how often. */
export interface TrafficRow {
  /** The full name of a method, or the name of a namespace. */
  readonly name: string;
  /** A second; `undefined` = there is no second reading yet. */
  readonly callsPerSecond: number | undefined;
  readonly failuresPerSecond: number | undefined;
  /** Since the gateway's start, as what is behind it. */
  readonly calls: number;
  readonly failures: number;
  /** Calls that did not end with OK, by status code, most first. */
  readonly codes: readonly (readonly [code: string, count: number])[];
  /**
   * Of the last minute; `undefined` = no calls then, or a namespace, of which they are not told.
   */
  readonly p50Ms: number | undefined;
  readonly p99Ms: number | undefined;
}

/** What the rows can be ordered by. */
export type TrafficOrder = Exclude<keyof TrafficRow, "codes">;

/** The rows of the methods. `isOwnShown`: also of those about the gateway itself. */
export function methodRows(history: TrafficHistory, isOwnShown: boolean): TrafficRow[] {
  return (history.latest?.methods ?? [])
    .filter(({ method }) => isOwnShown || !isOwnMethod(method))
    .map((counts) => {
      const curves = history.methods.get(counts.method);
      const quantile = (q: number) =>
        curves === undefined ? undefined : recentQuantileMs(history, curves, q, RECENT_POINTS);
      return {
        ...rowOf(counts.method, counts, curves, history.points),
        p50Ms: quantile(0.5),
        p99Ms: quantile(0.99),
      };
    });
}

/** The rows of the namespaces. Calls that name none are in no row. */
export function namespaceRows(history: TrafficHistory): TrafficRow[] {
  return (history.latest?.namespaces ?? [])
    .filter(({ namespace }) => namespace !== "")
    .map((counts) =>
      rowOf(counts.namespace, counts, history.namespaces.get(counts.namespace), history.points),
    );
}

function rowOf(name: string, counts: Counts, curves: CallCurves | undefined, points: number): TrafficRow {
  const codes = Object.entries(counts.failures).map(([code, count]) => [code, Number(count)] as const);
  return {
    name,
    callsPerSecond: curves && meanOf(curves.calls, points, RECENT_POINTS),
    failuresPerSecond: curves && meanOf(curves.failures, points, RECENT_POINTS),
    calls: Number(counts.calls),
    failures: failuresOf(counts),
    codes: codes.filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a),
    p50Ms: undefined,
    p99Ms: undefined,
  };
}

/**
 * The rows in an order: names from A on, numbers from the largest on; `isReversed` the other way.
 */
export function sorted(
  rows: readonly TrafficRow[],
  order: TrafficOrder,
  isReversed: boolean,
): readonly TrafficRow[] {
  const sign = isReversed ? -1 : 1;
  return rows.toSorted((a, b) => sign * compare(a[order], b[order]) || compare(a.name, b.name));
}

function compare(a: string | number | undefined, b: string | number | undefined): number {
  if (typeof a === "string" && typeof b === "string") {
    return a < b ? -1 : Number(a > b);
  }
  return Number(b ?? -1) - Number(a ?? -1);
}
