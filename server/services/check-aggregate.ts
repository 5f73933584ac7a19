import type { AggregateRequest } from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import type { EventQuery } from "../backend/streams.ts";
import { MAX_EVENT_TAGS_BYTES, MAX_GROUP_TAGS } from "../limits.ts";
import { checkCount, checkEach, invalid } from "./check.ts";
import { checkSpan } from "./check-event.ts";
import type { SumRules } from "./event-sums.ts";

/** What a request asks to sum up, and how. */
interface Aggregate {
  readonly span: Pick<EventQuery, "stream" | "startMs" | "endMs" | "tags">;
  readonly rules: SumRules;
}

/** The span, the buckets and the groups of an aggregate. */
export function checkAggregate(request: AggregateRequest): Aggregate {
  const span = checkSpan(request);
  const { valueTag, bucketMillis, groupByTags: groupBy } = request;
  checkTagName("value_tag", valueTag);
  if (bucketMillis < 0n) {
    throw invalid("bucket_millis", "bucket_millis must be 0 (the whole span) or positive");
  }
  checkCount("group_by_tags", groupBy.length, 0, MAX_GROUP_TAGS);
  checkEach("group_by_tags", groupBy, (name) => {
    if (name.length === 0) {
      throw invalid("", " must not be empty");
    }
    checkTagName("", name);
  });
  if (new Set(groupBy).size < groupBy.length) {
    throw invalid("group_by_tags", "group_by_tags must have no tag twice");
  }
  return { span, rules: { startMs: span.startMs, bucketMs: Number(bucketMillis), valueTag, groupBy } };
}

/** No event has a tag with a longer name. */
function checkTagName(field: string, name: string): void {
  if (Buffer.byteLength(name) > MAX_EVENT_TAGS_BYTES) {
    throw invalid(field, `${field} must be at most ${MAX_EVENT_TAGS_BYTES} bytes of UTF-8`);
  }
  if (!name.isWellFormed()) {
    throw invalid(field, `${field} must be valid UTF-8`);
  }
}
