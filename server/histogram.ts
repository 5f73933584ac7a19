/**
 * The upper bounds of the buckets of a duration, in seconds. They are those that OpenTelemetry
 * advises for calls, and finer ones for a store in memory.
 */
export const BUCKET_SECONDS: readonly number[] = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
];

const BUCKET_MS = Float64Array.from(BUCKET_SECONDS, (seconds) => seconds * 1000);

/** How many numbers a histogram takes: a bucket for each bound, one for the rest, and the sum. */
export const HISTOGRAM_SLOTS = BUCKET_MS.length + 2;

/**
 * Counts a duration in the histogram that begins at `at`. Each bucket counts by itself; readers add
 * them up. The sum is in milliseconds.
 */
export function observe(values: Float64Array, at: number, ms: number): void {
  let bucket = 0;
  while (bucket < BUCKET_MS.length && ms > (BUCKET_MS[bucket] ?? 0)) {
    bucket++;
  }
  add(values, at + bucket, 1);
  add(values, at + BUCKET_MS.length + 1, ms);
}

/** Adds to one of the numbers. */
export function add(values: Float64Array, at: number, amount: number): void {
  values[at] = (values[at] ?? 0) + amount;
}
