import type { Reason } from "../errors.ts";
import { HISTOGRAM_SLOTS, observe } from "../histogram.ts";

/** What is counted of the calls of one operation. */
export class OperationSeries {
  /** The histogram of `histogram.ts`, failed calls included. */
  readonly durations = new Float64Array(HISTOGRAM_SLOTS);
  /** How many calls failed for each reason. */
  readonly failures = new Map<Reason, number>();

  /** A call is over. */
  end(ms: number): void {
    observe(this.durations, 0, ms);
  }

  /** A call failed. */
  fail(reason: Reason): void {
    this.failures.set(reason, (this.failures.get(reason) ?? 0) + 1);
  }
}

/** What is counted of one configured store, over all times that it was open. */
export class StoreMeter {
  /** By the names of the operations. One that was never called has none. */
  readonly operations = new Map<string, OperationSeries>();

  of(operation: string): OperationSeries {
    let series = this.operations.get(operation);
    if (series === undefined) {
      series = new OperationSeries();
      this.operations.set(operation, series);
    }
    return series;
  }
}
