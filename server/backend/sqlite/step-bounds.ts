/** What a step that removes rows may still remove. At 0 or below it ends. */
export interface StepBounds {
  rows: number;
  bytes: number;
}

/** Whether the step ends. */
export function isUsedUp({ rows, bytes }: StepBounds): boolean {
  return rows <= 0 || bytes <= 0;
}

/** The first rows, as many as the step may still remove: they count as removed. */
export function* within<Row extends readonly [bytes: number, ...unknown[]]>(
  rows: Iterable<Row>,
  left: StepBounds,
): Generator<Row, undefined> {
  for (const row of rows) {
    if (isUsedUp(left)) {
      return;
    }
    left.rows--;
    left.bytes -= row[0];
    yield row;
  }
}
