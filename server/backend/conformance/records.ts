import { describe } from "vitest";
import { describeFor, type Harness, useOpenStore } from "./harness.ts";
import { describeDeletes, describeRecordRaces, describeSwaps } from "./record-changes.ts";
import { describeItems, describeRanges } from "./record-items.ts";
import { describeRecordModel } from "./record-model.ts";
import { describeRecordTime } from "./record-time.ts";

/** Records: items in order, puts whole or not at all, swaps, deletes and times. */
export function describeRecords(harness: Harness): void {
  describeFor(harness, ["records"], "records", () => {
    const store = useOpenStore(harness);
    describe("items", () => describeItems(store));
    describe("ranges", () => describeRanges(harness, store));
    describe("deletes", () => describeDeletes(harness, store));
    describe("swaps", () => describeSwaps(store));
    describe("many callers", () => describeRecordRaces(store));
    describe("model", () => describeRecordModel(harness, store));
  });
  describeRecordTime(harness);
}
