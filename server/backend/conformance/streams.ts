import { describe } from "vitest";
import { describeFor, type Harness, useOpenStore } from "./harness.ts";
import { describeStreamChanges, describeStreamRaces } from "./stream-changes.ts";
import { describeAppends } from "./stream-events.ts";
import { describeStreamModel } from "./stream-model.ts";
import { describeQueries, describeReads } from "./stream-reads.ts";
import { describeStreamTime } from "./stream-time.ts";

/** Streams: appends, queries by time, reads by offset, retention, and the streams themselves. */
export function describeStreams(harness: Harness): void {
  describeFor(harness, ["streams"], "streams", () => {
    const store = useOpenStore(harness);
    describe("appends", () => describeAppends(harness, store));
    describe("queries by time", () => describeQueries(harness, store));
    describe("reads by offset", () => describeReads(harness, store));
    describe("made and deleted", () => describeStreamChanges(harness, store));
    describe("many callers", () => describeStreamRaces(store));
    describeStreamModel(harness, store);
  });
  describeStreamTime(harness);
}
