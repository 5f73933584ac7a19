import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { ErrorSchema, Reason } from "../gen/prism/common/errors_pb.ts";
import { KeyValueBasicInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { KeyValueScanInterface } from "../gen/prism/interfaces/keyvalue/keyvalue_scan_pb.ts";
import { ListBasicInterface } from "../gen/prism/interfaces/list/list_basic_pb.ts";
import { type OverTransportOptions, PrismClient } from "./client.ts";
import { PrismError } from "./errors.ts";
import { RetryBudget, retryPauseMs } from "./retry.ts";
import { markNotRun } from "./transport/not-run.ts";

/** As a gateway says that a call was not run. */
function refusal(retryAfterMs = 0): ConnectError {
  const value = { reason: Reason.OVERLOADED, message: "busy", retryable: true, retryAfterMs };
  return new ConnectError("busy", Code.ResourceExhausted, undefined, [
    { desc: ErrorSchema, value: create(ErrorSchema, value) },
  ]);
}

/** A gateway whose calls fail with the next of `failures`; `undefined` = they succeed. */
function failing(failures: (ConnectError | undefined)[], options: OverTransportOptions = {}) {
  const limits: number[] = [];
  const run = ({ timeoutMs }: { timeoutMs(): number | undefined }) => {
    limits.push(timeoutMs() ?? 0);
    const failure = failures.shift();
    if (failure !== undefined) {
      throw failure;
    }
  };
  const transport = createRouterTransport(({ service }) => {
    service(KeyValueBasicInterface, {
      exists: (_request, context) => {
        run(context);
        return { exists: true };
      },
    });
    service(KeyValueScanInterface, {
      async *scanKeys(_request, context) {
        run(context);
        yield { key: "first" };
        run(context);
        yield { key: "second" };
      },
    });
    service(ListBasicInterface, {
      pushLeft: (_request, context) => {
        run(context);
        return { newLength: 1n };
      },
    });
  });
  return { client: new PrismClient(transport, options), limits };
}

const lost = () => new ConnectError("HTTP 503", Code.Unavailable);

describe("a call that fails", () => {
  test("is made again where it was not run, with what is left of its time", async () => {
    const { client, limits } = failing([refusal(), refusal(20)]);
    expect(await client.list.pushLeft("list", "value")).toBe(1);
    expect(limits).toHaveLength(3);
    expect(limits[0]).toBeLessThanOrEqual(10_000);
    // The advice of 20 ms, and at least half of the first two pauses.
    expect(limits[2]).toBeLessThan(10_000 - 20 - 25 - 50 + 2);
  });

  test("is made again without knowing more only where it is idempotent", async () => {
    const reading = failing([lost()]);
    expect(await reading.client.keyvalue.exists("key")).toBe(true);
    const writing = failing([lost()]);
    await expect(writing.client.list.pushLeft("list", "value")).rejects.toMatchObject({ retryable: false });
    expect([reading.limits.length, writing.limits.length]).toEqual([2, 1]);
  });

  test.each([
    [undefined, 4],
    [0, 1],
    [1, 2],
  ])("is made again as often as options say: retries %s", async (retries, tries) => {
    const failures = Array.from({ length: 9 }, () => refusal());
    const { client, limits } = failing(failures, { retries });
    await expect(client.keyvalue.exists("key")).rejects.toMatchObject({ reason: "overloaded" });
    expect(limits).toHaveLength(tries);
  });

  test("is not made again where that would be too late, or of no use", async () => {
    const late = failing([refusal(60_000)], { timeoutMs: 30_000 });
    await expect(late.client.keyvalue.exists("key")).rejects.toMatchObject({ reason: "overloaded" });
    const useless = failing([new ConnectError("no", Code.InvalidArgument)]);
    await expect(useless.client.keyvalue.exists("key")).rejects.toMatchObject({ code: Code.InvalidArgument });
    expect([late.limits.length, useless.limits.length]).toEqual([1, 1]);
  });

  test("waits no longer than its caller", async () => {
    const { client } = failing([refusal(60_000)], { timeoutMs: 0 });
    const leave = new AbortController();
    const call = client.keyvalue.exists("key", { signal: leave.signal });
    const closing = failing([refusal(60_000)], { timeoutMs: 0 });
    const closed = closing.client.keyvalue.exists("key");
    setImmediate(() => {
      leave.abort();
      void closing.client.close();
    });
    await expect(call).rejects.toMatchObject({ reason: "canceled" });
    await expect(closed).rejects.toMatchObject({ reason: "canceled" });
  });

  test("of a stream is made again before the first answer, and not after it", async () => {
    const before = failing([refusal()]);
    expect(await Array.fromAsync(before.client.keyvalue.scanKeys())).toEqual(["first", "second"]);
    const after = failing([undefined, refusal()]);
    const scan = after.client.keyvalue.scanKeys()[Symbol.asyncIterator]();
    expect(await scan.next()).toMatchObject({ value: "first" });
    await expect(scan.next()).rejects.toMatchObject({ reason: "overloaded" });
  });
});

describe("a pause", () => {
  const failure = (init: object = {}) =>
    new PrismError("no", { reason: "overloaded", code: Code.ResourceExhausted, retryable: true, ...init });

  test.each([
    [1, 25, 50],
    [2, 50, 100],
    [5, 400, 800],
    [50, 1000, 2000],
  ])("after %i failures is %i to %i ms, and on top of what is advised", (failures, least, most) => {
    for (let i = 0; i < 20; i++) {
      const pauseMs = retryPauseMs(failure(), failures);
      expect(pauseMs).toBeGreaterThanOrEqual(least);
      expect(pauseMs).toBeLessThanOrEqual(most);
      expect(retryPauseMs(failure({ retryAfterMs: 7000 }), failures)).toBeGreaterThanOrEqual(7000 + least);
    }
  });

  test("is none for a call that the transport has repeated already", () => {
    const cause = markNotRun(new ConnectError("refused", Code.Unavailable), "refused");
    expect(retryPauseMs(failure({ cause }), 1)).toBeUndefined();
    expect(retryPauseMs(failure({ retryable: false }), 1)).toBeUndefined();
  });
});

test("retries of all calls together are 500, and one more for each ten calls that succeed", () => {
  const budget = new RetryBudget();
  const spent = () => {
    let retries = 0;
    while (budget.spend()) {
      retries++;
    }
    return retries;
  };
  budget.earn();
  expect(spent()).toBe(500);
  for (let i = 0; i < 35; i++) {
    budget.earn();
  }
  expect(spent()).toBe(3);
});
