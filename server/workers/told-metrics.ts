import { countersOf } from "../metrics/merge.ts";

/**
 * The metrics that workers have told, in Prometheus' text format. No counter of all falls, because
 * Prometheus takes one that falls for one that began anew, and adds all of it again
 * (https://prometheus.io/docs/prometheus/latest/querying/functions/#rate): a worker that does not
 * answer counts as it did before, and the counters of one that has ended stay.
 */
export class ToldMetrics<Worker> {
  #ofEnded = "";
  readonly #last = new Map<Worker, string>();

  /** What a worker that runs has told now. */
  set(worker: Worker, text: string): void {
    this.#last.set(worker, text);
  }

  /** Keeps the counters of a worker that has ended. */
  end(worker: Worker): void {
    const text = this.#last.get(worker);
    if (text !== undefined) {
      this.#last.delete(worker);
      this.#ofEnded = countersOf([this.#ofEnded, text]);
    }
  }

  /** A text of each worker, and one of those that have ended. */
  get texts(): readonly string[] {
    return [this.#ofEnded, ...this.#last.values()];
  }
}
