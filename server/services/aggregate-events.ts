import { setImmediate as nextTurn } from "node:timers/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  AggregateRequest,
  AggregateResponseSchema,
  AggregateRowSchema,
} from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { answerOf, type Call } from "../backend/contract.ts";
import type { EventPlace } from "../backend/streams.ts";
import { SCAN_PAGE_BYTES } from "../limits.ts";
import type { NamespaceRouter } from "../namespaces/registry.ts";
import { checkAggregate } from "./check-aggregate.ts";
import { onlyOf } from "./commits.ts";
import { noSuchStream } from "./event-messages.ts";
import { MAX_NUMBER_BYTES } from "./event-number.ts";
import { EventSums, type SumRow } from "./event-sums.ts";

/**
 * The more events a page has, the more of them are alike. There are no more, because all of a page
 * are added up in one turn.
 */
const PAGE_EVENTS = 4096;

/**
 * Answers Aggregate: reads the events of the span page by page, and keeps only what they come to. A
 * store refuses the next page of a call that has ended.
 *
 * A store with SQL for it merges events that are alike. It does not compute their sums: that would
 * be the rules a second time, which texts are numbers, what a float64 cannot hold, the bins of
 * quantiles, the bounds of an answer.
 */
export async function aggregateEvents(
  router: NamespaceRouter,
  request: AggregateRequest,
  call: Call,
): Promise<MessageInitShape<typeof AggregateResponseSchema>> {
  const { span, rules } = checkAggregate(request);
  const { namespace, store } = router.route("streams", request.namespace, call);
  const { bucketMs, valueTag, groupBy } = rules;
  const merge = {
    bucketMs,
    maxPayloadBytes: valueTag === "" ? MAX_NUMBER_BYTES : 0,
    tags: valueTag !== "" || groupBy.length > 0,
  };
  const bounds = { maxEvents: PAGE_EVENTS, maxBytes: SCAN_PAGE_BYTES };
  const read = async (after: EventPlace | undefined) =>
    answerOf(onlyOf(await store.queryEvents(namespace, [{ ...span, ...bounds, merge, after }], call)));
  const sums = new EventSums(rules);
  for (let reading = read(undefined); ; ) {
    const page = await reading;
    if (page === undefined) {
      throw noSuchStream();
    }
    const { events, counts, next } = page;
    if (next !== undefined) {
      // A store on a network works meanwhile. When summing up throws, nobody waits for that page.
      reading = read(next);
      reading.catch(() => {});
    }
    for (const [i, event] of events.entries()) {
      sums.add(event, counts?.[i]);
    }
    if (next === undefined) {
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
