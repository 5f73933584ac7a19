import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { AggregateRequestSchema } from "../../gen/prism/timeseries/v1/timeseries_pb.ts";
import { PrismError } from "../errors.ts";
import { checkAggregate } from "./check-aggregate.ts";

function check(request: MessageInitShape<typeof AggregateRequestSchema>) {
  return checkAggregate(create(AggregateRequestSchema, { stream: "s", ...request }));
}

test("a request with nothing but a stream asks for one row", () => {
  expect(check({})).toEqual({
    span: { stream: "s", startMs: 0, endMs: Infinity, tags: {} },
    rules: { startMs: 0, bucketMs: 0, valueTag: "", groupBy: [] },
  });
});

test("the only bucket begins where the span does", () => {
  expect(check({ startTimeMillis: 5n, endTimeMillis: 9n }).rules.startMs).toBe(5);
});

test("buckets may be longer than all time", () => {
  expect(check({ bucketMillis: 2n ** 63n - 1n }).rules.bucketMs).toBe(2 ** 63);
});

test("eight tags may tell groups apart", () => {
  const groupByTags = [..."abcdefgh"];
  expect(check({ groupByTags }).rules.groupBy).toEqual(groupByTags);
});

test.each([
  ["stream", { stream: "" }],
  ["start_time_millis", { startTimeMillis: -1n }],
  ["end_time_millis", { startTimeMillis: 2n, endTimeMillis: 1n }],
  ["filter_tags", { filterTags: { "": "x" } }],
  ["bucket_millis", { bucketMillis: -1n }],
  ["group_by_tags", { groupByTags: [..."abcdefghi"] }],
  ["group_by_tags", { groupByTags: ["a", "b", "a"] }],
  ["group_by_tags[1]", { groupByTags: ["a", ""] }],
  ["group_by_tags[0]", { groupByTags: ["\ud800"] }],
  ["group_by_tags[0]", { groupByTags: ["ä".repeat(2049)] }],
  ["value_tag", { valueTag: "x".repeat(4097) }],
  ["value_tag", { valueTag: "\udc00" }],
])("%s is out of its bounds (%#)", (field, request) => {
  let error: unknown;
  try {
    check(request);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(PrismError);
  expect(error).toMatchObject({ reason: "invalid_field", field });
  expect(String(error)).toContain(`: ${field}`);
});
