import type { CallMeter } from "../call-meter.ts";
import type { Policy } from "./policy.ts";

/** Counts every call: how many, how they ended, how long they took, and how large they were. */
export function createMetricsPolicy(meter: CallMeter): Policy {
  return {
    on({ path }) {
      const method = meter.method(path);
      return {
        begin(record) {
          const series = meter.series(record.named, method);
          record.series = series;
          series.begin();
          return undefined;
        },
        finish(record, error, begun) {
          const ms = record.endedAtMs - record.startedAtMs;
          // It was refused or not read before `begin`.
          record.series ??= meter.series(record.named, method);
          record.series.end(meter.codeOf(error), ms, record.requestBytes, begun);
        },
      };
    },
  };
}
