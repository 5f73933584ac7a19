/**
 * A reading is missing where the points are farther apart. A page that nobody sees makes such gaps.
 */
const GAP_S = 10;

/** A number for each point; `null` = there is none. */
export type Curve = ArrayLike<number | null>;

/**
 * Times and curves as uPlot takes them: a point without numbers breaks the lines where a gap is.
 */
export function withGaps(times: ArrayLike<number>, curves: readonly Curve[]): (number | null)[][] {
  const drawn: (number | null)[][] = [[], ...curves.map(() => [])];
  const add = (time: number, numberOf: (curve: Curve) => number | null) => {
    drawn[0]?.push(time);
    for (const [i, curve] of curves.entries()) {
      drawn[i + 1]?.push(numberOf(curve));
    }
  };
  for (let i = 0; i < times.length; i++) {
    const time = times[i] ?? 0;
    const before = times[i - 1];
    if (before !== undefined && time - before > GAP_S) {
      add(before + GAP_S / 2, () => null);
    }
    add(time, (curve) => curve[i] ?? null);
  }
  return drawn;
}

/** What curves were in a minute. */
export interface Minute {
  /** When it began, in seconds since 1970. */
  readonly time: number;
  /** The mean of each curve; `null` = it has no number in that minute. */
  readonly means: readonly (number | null)[];
}

/** Curves by minutes of the clock, the newest first. */
export function minutesOf(times: ArrayLike<number>, curves: readonly Curve[]): Minute[] {
  const minutes: { time: number; sums: { sum: number; count: number }[] }[] = [];
  for (let i = 0; i < times.length; i++) {
    const time = Math.floor((times[i] ?? 0) / 60) * 60;
    if (minutes.at(-1)?.time !== time) {
      minutes.push({ time, sums: curves.map(() => ({ sum: 0, count: 0 })) });
    }
    for (const [at, taken] of (minutes.at(-1)?.sums ?? []).entries()) {
      const value = curves[at]?.[i];
      if (value !== null && value !== undefined) {
        taken.sum += value;
        taken.count++;
      }
    }
  }
  return minutes.reverse().map(({ time, sums }) => ({
    time,
    means: sums.map(({ sum, count }) => (count === 0 ? null : sum / count)),
  }));
}
