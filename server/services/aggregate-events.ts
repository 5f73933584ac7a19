import { setImmediate as nextTurn } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  AggregateRequest,
  AggregateResponseSchema,
  AggregateRowSchema,
} from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { answerOf, type Call } from "../backend/contract.ts";
import type { EventPlace } from "../backend/streams.ts";
import { SCAN_PAGE_BYTES, SCAN_PAGE_ENTRIES } from "../limits.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkAggregate } from "./check-aggregate.ts";
import { onlyOf } from "./commits.ts";
import { noSuchStream } from "./event-messages.ts";
import { EventSums, type SumRow } from "./event-sums.ts";

/**
 * Answers Aggregate: reads the events of the span page by page, and keeps only what they come to. A
 * store refuses the next page of a call that has ended.
 *
 * No store does it in SQL. That would be the rules a second time: which texts are numbers, what a
 * float64 cannot hold, the bins of quantiles, the bounds of an answer. SQLite, which keeps many
 * events in a row, could only call this code.
 */
export async function aggregateEvents(
  router: NamespaceRouter,
  request: AggregateRequest,
  call: Call,
): Promise<MessageInitShape<typeof AggregateResponseSchema>> {
  const { span, rules } = checkAggregate(request);
  const { namespace, store } = router.route("streams", request.namespace, call);
  const bounds = { maxEvents: SCAN_PAGE_ENTRIES, maxBytes: SCAN_PAGE_BYTES };
  const sums = new EventSums(rules);
  let after: EventPlace | undefined;
  for (;;) {
    const query = { ...span, ...bounds, after };
    const page = answerOf(onlyOf(await store.queryEvents(namespace, [query], call)));
    if (page === undefined) {
      throw noSuchStream();
    }
    for (const event of page.events) {
      sums.add(event);
    }
    after = page.next;
    if (after === undefined) {
      return { rows: sums.rows().map((row) => toRow(row, rules.groupBy)) };
    }
    // Others have their turn, also where the store answers at once.
    await nextTurn();
  }
}

function toRow(
  { startMs, group, count, numbers, figures }: SumRow,
  groupBy: readonly string[],
): MessageInitShape<typeof AggregateRowSchema> {
  return {
    startTimeMillis: BigInt(startMs),
    tags: Object.fromEntries(groupBy.map((name, i) => [name, group[i] ?? ""])),
    count: BigInt(count),
    numbers: BigInt(numbers),
    ...figures,
  };
}
