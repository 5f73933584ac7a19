import { expect, test } from "vitest";
import { createTrafficHistory, type TrafficReading } from "./traffic.ts";
import { methodRows, namespaceRows, sorted } from "./traffic-table.ts";

const GET = "prism.interfaces.keyvalue.KeyValueBasicInterface/Get";
const OWN = "prism.admin.v1.AdminService/GetTraffic";

/** A reading after `seconds`, with so many gets, of which three in four took up to 2 ms. */
function reading(seconds: number, gets: bigint): TrafficReading {
  const failures = { NOT_FOUND: gets / 2n, INTERNAL: gets / 4n, CANCELED: 0n };
  const counts = { calls: gets, failures, callsUnderWay: 0n };
  return {
    readAtMillis: seconds * 1000,
    startedAtMillis: 1n,
    namespaces: [
      { ...counts, namespace: "" },
      { ...counts, namespace: "orders" },
    ],
    namespaceCount: 2,
    methods: [
      { ...counts, method: GET, durationCounts: [(gets * 3n) / 4n, gets / 4n, 0n] },
      { ...counts, method: OWN, durationCounts: [gets, 0n, 0n] },
    ],
    durationBoundsMillis: [2, 4],
  };
}

test("rows have rates of the last minute and counts since the start", () => {
  const history = createTrafficHistory();
  history.add(reading(0, 0n), 0);
  expect(methodRows(history, false)).toMatchObject([{ name: GET, callsPerSecond: undefined, calls: 0 }]);
  history.add(reading(2, 40n), 2000);
  const row = {
    callsPerSecond: 20,
    failuresPerSecond: 5,
    calls: 40,
    failures: 10,
    codes: [
      ["NOT_FOUND", 20],
      ["INTERNAL", 10],
    ],
  };
  const [get] = methodRows(history, false);
  expect(get).toMatchObject({ ...row, name: GET });
  expect(get?.p50Ms).toBeCloseTo(4 / 3);
  expect(get?.p99Ms).toBeCloseTo(3.92);
  expect(namespaceRows(history)).toEqual([{ ...row, name: "orders", p50Ms: undefined, p99Ms: undefined }]);
});

test("calls about the gateway itself are rows if somebody wants that", () => {
  const history = createTrafficHistory();
  history.add(reading(0, 8n), 0);
  expect(methodRows(history, false).map(({ name }) => name)).toEqual([GET]);
  expect(methodRows(history, true).map(({ name }) => name)).toEqual([GET, OWN]);
});

test("numbers are ordered from the largest on, names from A on, and what is unknown is last", () => {
  const row = (name: string, p50Ms: number | undefined) => ({
    ...{ name, p50Ms, p99Ms: undefined, callsPerSecond: 0, failuresPerSecond: 0, calls: 0 },
    ...{ failures: 0, codes: [] },
  });
  const rows = [row("b", 1), row("c", undefined), row("a", 1), row("d", 2)];
  const names = (order: "name" | "p50Ms", isReversed: boolean) =>
    sorted(rows, order, isReversed)
      .map(({ name }) => name)
      .join("");
  expect(names("name", false)).toBe("abcd");
  expect(names("name", true)).toBe("dcba");
  expect(names("p50Ms", false)).toBe("dabc");
});
