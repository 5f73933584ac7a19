import { describe } from "vitest";
import { describeApart } from "./commit-apart.ts";
import { describeBatches } from "./commit-batches.ts";
import { describeChecks } from "./commit-checks.ts";
import { describeCounters } from "./commit-counters.ts";
import { describeMutations } from "./commit-mutations.ts";
import { describeRaces } from "./commit-races.ts";
import { describeReads } from "./commit-reads.ts";
import { describeTime } from "./commit-time.ts";
import { describeValues } from "./commit-values.ts";
import { describeVersions } from "./commit-versions.ts";
import { describeFor, type Harness, useOpenStore } from "./harness.ts";

/** Conditional writes and reads of several entries at one moment. */
export function describeCommits(harness: Harness): void {
  describeFor(harness, ["entries", "commits"], "commits", () => {
    const store = useOpenStore(harness);
    describe("checks", () => describeChecks(store));
    describe("mutations", () => describeMutations(store));
    describe("several commits", () => describeBatches(harness, store));
    describe("values and keys", () => describeValues(harness, store));
    describe("counters", () => describeCounters(store));
    describe("versions", () => describeVersions(harness, store));
    describe("reads", () => describeReads(harness, store));
    describe("at once", () => describeRaces(store));
    const { shardOf } = harness;
    if (shardOf !== undefined) {
      describe("keys apart", () => describeApart(shardOf, store));
    }
  });
  describeFor(harness, ["entries", "commits", "clock"], "commits and time", () => {
    describeTime(useOpenStore(harness));
  });
}
