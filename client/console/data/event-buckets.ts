import type { AggregateRow } from "../../web.ts";

/** The most bars of a chart. */
const MAX_BUCKETS = 60;

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Lengths of buckets that people count in. */
const STEPS_MS = [
  SECOND_MS,
  5 * SECOND_MS,
  15 * SECOND_MS,
  MINUTE_MS,
  5 * MINUTE_MS,
  15 * MINUTE_MS,
  HOUR_MS,
  6 * HOUR_MS,
  DAY_MS,
  7 * DAY_MS,
  30 * DAY_MS,
] as const;

/** How long a bucket is, so that a span has few of them. Both in milliseconds. */
export function bucketMsOf(spanMs: number): number {
  const wanted = spanMs / MAX_BUCKETS;
  const largest = 30 * DAY_MS;
  return STEPS_MS.find((step) => step >= wanted) ?? Math.ceil(wanted / largest) * largest;
}

/** What the events of a bucket come to. */
export interface Bucket {
  /** Where it begins, in milliseconds since 1970. */
  readonly startMs: number;
  readonly count: number;
  /** The mean of their numbers; `undefined` = none has a number. */
  readonly mean: number | undefined;
}

/** All buckets of a span, those without events too. `endMs` is exclusive. */
export function bucketsOf(
  rows: readonly AggregateRow[],
  startMs: number,
  endMs: number,
  bucketMs: number,
): readonly Bucket[] {
  const byStart = new Map(rows.map((row) => [row.startMs, row]));
  const buckets: Bucket[] = [];
  for (let at = Math.floor(startMs / bucketMs) * bucketMs; at < endMs; at += bucketMs) {
    const row = byStart.get(at);
    buckets.push({ startMs: at, count: row?.count ?? 0, mean: row?.avg });
  }
  return buckets;
}

/**
 * Means as a path of steps, where a bucket is 1 wide and the least mean is `height` high: a break
 * where a bucket has none.
 */
export function pathOfMeans(buckets: readonly Bucket[], height: number): string {
  const means = buckets.flatMap(({ mean }) => (mean === undefined ? [] : [mean]));
  const least = Math.min(...means);
  const range = Math.max(...means) - least;
  return buckets
    .map(({ mean }, i) => {
      if (mean === undefined) {
        return "";
      }
      const y = range === 0 ? height / 2 : height * (1 - (mean - least) / range);
      return `${buckets[i - 1]?.mean === undefined ? "M" : "L"}${i},${y.toFixed(1)}H${i + 1}`;
    })
    .join("");
}
