import { expect, test } from "vitest";
import { DAY_MS, MAX_RETENTION_DAYS } from "../../limits.ts";
import { retentionOf, retentionOptions, topicOptions } from "./topic-config.ts";

const valuesOf = (options: readonly { readonly name: string; readonly value: string }[]) =>
  Object.fromEntries(options.map(({ name, value }) => [name, value]));

test.each([
  [0, "-1", 7 * DAY_MS],
  [1, "1", 60_000],
  [DAY_MS, "86400000", DAY_MS / 10],
  [MAX_RETENTION_DAYS * DAY_MS, String(MAX_RETENTION_DAYS * DAY_MS), 7 * DAY_MS],
])("a retention of %i ms is written, read, and gives segments of their length", (ms, written, segmentMs) => {
  const options = retentionOptions(ms);
  expect(valuesOf(options)).toEqual({ "retention.ms": written, "segment.ms": String(segmentMs) });
  expect(retentionOf(options)).toBe(ms);
  expect(retentionOf(topicOptions(ms, 1, true))).toBe(ms);
});

test("a topic of somebody else keeps its events as its options say", () => {
  const retention = { name: "retention.ms", value: "5" };
  expect(retentionOf([retention, { name: "cleanup.policy", value: "compact" }])).toBe(0);
  expect(retentionOf([retention, { name: "cleanup.policy", value: "compact,delete" }])).toBe(5);
  expect(retentionOf([retention])).toBe(5);
  expect(retentionOf([])).toBe(0);
  expect(retentionOf([{ name: "retention.ms", value: "9223372036854775807" }])).toBe(Number.MAX_SAFE_INTEGER);
});

test("two of three replicas must have an event; bounds of times are left out where there are none", () => {
  expect([1, 2, 3, 5].map((n) => valuesOf(topicOptions(0, n, true))["min.insync.replicas"])).toEqual([
    "1",
    "1",
    "2",
    "2",
  ]);
  const bounds = (has: boolean) => topicOptions(0, 1, has).filter(({ name }) => /timestamp.*max/.test(name));
  expect(bounds(true)).toHaveLength(2);
  expect(bounds(false)).toEqual([]);
});
