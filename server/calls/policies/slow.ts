import type { FailureLog } from "../failure-log.ts";
import type { CallRecord } from "../record.ts";
import { answerMs, CallTimes, canBeSlow } from "../times.ts";
import { fieldsOf, groupOf } from "./log.ts";
import type { Policy, PolicyHooks } from "./policy.ts";

/**
 * Writes a line for each call that takes `slowCallMs` or more, with where its time went. Equal
 * lines are grouped like failures. `slowCallMs` is 1 or more.
 */
export function createSlowCallPolicy(failures: FailureLog, slowCallMs: number): Policy {
  const hooks: PolicyHooks = {
    begin(record) {
      record.times ??= new CallTimes();
      return undefined;
    },
    finish(record, error) {
      const { times } = record;
      if (times === undefined || answerMs(times, record.endedAtMs) < slowCallMs) {
        return;
      }
      failures.tell({
        level: "warn",
        message: "slow call",
        kind: `${record.row.path} ${groupOf(record, error)}`,
        fields: () => ({ ...fieldsOf(record, error), ...partsOf(record, times) }),
      });
    },
  };
  return { on: (row) => (canBeSlow(row) ? hooks : undefined) };
}

/**
 * `receive_ms`: until the request was read. `queue_ms` and `store_ms`: within `duration_ms`, see
 * {@link CallTimes.sums}. `first_message_ms`: of a stream, from the request on.
 */
function partsOf({ startedAtMs, endedAtMs }: CallRecord, times: CallTimes) {
  const { beganAtMs, firstMessageAtMs } = times;
  const { queueMs, storeMs } = times.sums(endedAtMs);
  return {
    receive_ms: rounded(beganAtMs - startedAtMs),
    queue_ms: rounded(queueMs),
    store_ms: rounded(storeMs),
    ...(firstMessageAtMs !== undefined && { first_message_ms: rounded(firstMessageAtMs - beganAtMs) }),
  };
}

/** To a microsecond. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
