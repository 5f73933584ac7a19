import { ReplyError } from "ioredis";
import { expect, test } from "vitest";
import { isRefused, toPrismError } from "./errors.ts";

/** A Cluster client's error when the last node that it was redirected to refuses too. */
const gaveUp = (last: unknown) => new Error(`Too many Cluster redirections. Last error: ${last}`);

test.each([
  ["OOM command not allowed when used memory > 'maxmemory'.", "store_full"],
  ["LOADING Redis is loading the dataset in memory", "store_unavailable"],
  ["CLUSTERDOWN The cluster is down", "store_unavailable"],
  ["READONLY You can't write against a read only replica.", "store_unavailable"],
  ["MOVED 5 127.0.0.1:6379", "overloaded"],
  ["ASK 5 127.0.0.1:6379", "overloaded"],
  ["TRYAGAIN Multiple keys request during rehashing of slot", "overloaded"],
])("a write that was sent on too often, and then refused, had no effect: %s", (text, reason) => {
  const error = gaveUp(new ReplyError(text));
  expect(toPrismError(error, "once", true)).toMatchObject({ reason, cause: error });
  expect(isRefused(error)).toBe(reason === "overloaded");
});

test("one whose connection broke then is in doubt", () => {
  const error = gaveUp(new Error("Connection is closed."));
  expect(toPrismError(error, "once", true)).toMatchObject({ reason: "outcome_unknown" });
  expect(toPrismError(error, "once", false)).toMatchObject({ reason: "store_unavailable" });
});
