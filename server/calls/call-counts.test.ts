import { expect, test } from "vitest";
import { type CallCounts, countCalls, sumOfCounts } from "./call-counts.ts";
import { CallMeter } from "./call-meter.ts";

/** A meter of namespaces with so many calls of each method, all of 3 ms and 10 bytes. */
function meterWith(calls: Readonly<Record<string, readonly number[]>>): CallMeter {
  const meter = new CallMeter((said) => said, 100_000);
  for (const [name, ofMethods] of Object.entries(calls)) {
    for (const [i, count] of ofMethods.entries()) {
      const method = meter.method(`/test.Service/Method${i}`);
      for (let call = 0; call < count; call++) {
        const series = meter.series(name, method);
        series.begin();
        series.end(0, 3, 10, true);
      }
    }
  }
  return meter;
}

/** The calls of each name. */
const callsOf = (counts: readonly CallCounts[], of: "namespaces" | "methods") =>
  Object.fromEntries(Array.from(sumOfCounts(counts)[of], ([name, { allCalls }]) => [name, allCalls]));

test("calls are counted by namespace and by method", async () => {
  const meter = meterWith({ a: [2, 1], b: [4] });
  meter.series("b", meter.method("/test.Service/Method0")).end(5, 100_000, 1, false);
  const counts = await countCalls(meter, [], 10);
  expect(callsOf([counts], "namespaces")).toEqual({ a: 3, b: 5 });
  expect(callsOf([counts], "methods")).toEqual({ "test.Service/Method0": 7, "test.Service/Method1": 1 });
  const b = sumOfCounts([counts]).namespaces.get("b");
  expect(b?.calls(5)).toBe(1);
  expect(b?.requestBytes).toBe(41);
  // 3 ms is in the bucket up to 5 ms, and 100 s above all bounds.
  expect([b?.durations[5], b?.durations[16], b?.durations[17]]).toEqual([4, 1, 100_012]);
});

test("of some namespaces the methods are told of these alone", async () => {
  const counts = await countCalls(meterWith({ a: [2, 1], b: [4], c: [8] }), ["a", "c", "absent"], 10);
  expect(callsOf([counts], "namespaces")).toEqual({ a: 3, c: 8 });
  expect(callsOf([counts], "methods")).toEqual({ "test.Service/Method0": 10, "test.Service/Method1": 1 });
  expect(counts.namespaceCount).toBe(2);
});

test("of too many namespaces those with most calls are told; the methods are told of all", async () => {
  const meter = meterWith(
    Object.fromEntries(Array.from({ length: 2_000 }, (_, i) => [`n${i}`, [1 + (i % 5)]])),
  );
  meterWith({}).method("/never/Called");
  const counts = await countCalls(meter, [], 400);
  const told = callsOf([counts], "namespaces");
  expect(Object.keys(told)).toHaveLength(400);
  expect(new Set(Object.values(told))).toEqual(new Set([5]));
  expect(counts.namespaceCount).toBe(2_000);
  expect(callsOf([counts], "methods")).toEqual({ "test.Service/Method0": 6_000 });
});

test("several processes are added up, also after a way between processes", async () => {
  const here = await countCalls(meterWith({ a: [1], b: [1] }), [], 10);
  const there = structuredClone(await countCalls(meterWith({ b: [2, 2], c: [3] }), [], 10));
  expect(callsOf([here, there], "namespaces")).toEqual({ a: 1, b: 5, c: 3 });
  expect(callsOf([here, there], "methods")).toEqual({ "test.Service/Method0": 7, "test.Service/Method1": 2 });
  expect(sumOfCounts([here, there]).namespaceCount).toBe(3);
});

test("what was read does not change any more", async () => {
  const meter = meterWith({ a: [1] });
  const counts = await countCalls(meter, [], 10);
  meter.series("a", meter.method("/test.Service/Method0")).end(0, 1, 1, false);
  expect(callsOf([counts], "namespaces")).toEqual({ a: 1 });
});
