import { expect, test } from "vitest";
import { KeyValueBasicInterface } from "../../../gen/prism/interfaces/keyvalue/keyvalue_basic_pb.ts";
import { createCall } from "../../backend/contract.ts";
import { PrismError } from "../../errors.ts";
import { CallMeter } from "../call-meter.ts";
import { readMethod } from "../methods.ts";
import { CallRecord } from "../record.ts";
import { createMetricsPolicy } from "./metrics.ts";

const row = readMethod(KeyValueBasicInterface.method.get, 0);
const METHOD = row.path.slice(1);
const CALL = createCall();

function meterOf(names: readonly string[], most = 10) {
  const find = (said: string) => names.find((name) => name === (said === "" ? "default" : said));
  const meter = new CallMeter(find, most);
  const hooks = createMetricsPolicy(meter).on(row);
  const start = (namespace?: string) => {
    const record = new CallRecord(row, "id", { header: () => undefined, socket: {} });
    if (namespace !== undefined) {
      record.enter({ namespace });
    }
    return record;
  };
  return {
    meter,
    hooks,
    start,
    call(namespace?: string, error?: PrismError) {
      const record = start(namespace);
      void hooks?.begin?.(record, CALL);
      hooks?.finish?.(record, error, true);
    },
    /** Every series with the names of its namespace and its method. */
    all: () =>
      [...meter.namespaces()].flatMap(({ name, methods }) =>
        methods.flatMap((series, i) =>
          series === undefined ? [] : { name, method: meter.methods[i], series },
        ),
      ),
  };
}

const countOf = ({ name, method, series }: ReturnType<ReturnType<typeof meterOf>["all"]>[number]) => [
  name,
  method,
  series.calls(0),
];

test("an empty name and `default` are one namespace", () => {
  const { call, all } = meterOf(["default"]);
  call("");
  call("default");
  expect(all().map(countOf)).toEqual([["default", METHOD, 2]]);
});

test("names that callers make up leave nothing behind", () => {
  const { call, all } = meterOf(["a"]);
  for (let i = 0; i < 1000; i++) {
    call(`made-up-${i}`);
  }
  call("No!");
  expect(all().map(countOf)).toEqual([["", METHOD, 1001]]);
});

test("a call that was refused before it began is over, and is not in flight", () => {
  const { meter, hooks, start, all } = meterOf(["a"]);
  hooks?.finish?.(start("a"), new PrismError("overloaded", "full"), false);
  expect(all().map(({ series }) => [series.inFlight, series.calls(8)])).toEqual([[0, 1]]);
  expect([...meter.failures]).toEqual([["overloaded", 1]]);
});

test("a call ends where it began, if its namespace is dropped and made anew meanwhile", () => {
  const { meter, hooks, start, call, all } = meterOf(["a"]);
  const old = start("a");
  void hooks?.begin?.(old, CALL);
  meter.drop("a");
  call("a");
  hooks?.finish?.(old, undefined, true);
  expect(all().map(countOf)).toEqual([["a", METHOD, 1]]);
  expect(all().map(({ series }) => series.inFlight)).toEqual([0]);
});
