import { describe } from "vitest";
import { describeCapabilities } from "./capabilities.ts";
import { describeCommits } from "./commits.ts";
import { describeEntries } from "./entries.ts";
import { describeErase } from "./erase.ts";
import { describeExpiry } from "./expiry.ts";
import type { Harness } from "./harness.ts";
import { describeLifecycle } from "./lifecycle.ts";
import { describeListEdits } from "./list-edits.ts";
import { describeLists } from "./lists.ts";
import { describeModel } from "./model.ts";
import { describeNames } from "./names.ts";
import { describeRecords } from "./records.ts";
import { describeScans } from "./scan.ts";
import { describeStreams } from "./streams.ts";

/**
 * Registers every test that a store must pass, the same for each room and for a room behind a wire.
 */
export function describeBackend(harness: Harness): void {
  describe(`${harness.name} conforms`, () => {
    describeCapabilities(harness);
    describeLifecycle(harness);
    describeEntries(harness);
    describeExpiry(harness);
    describeCommits(harness);
    describeScans(harness);
    describeLists(harness);
    describeListEdits(harness);
    describeRecords(harness);
    describeStreams(harness);
    describeNames(harness);
    describeErase(harness);
    describeModel(harness);
  });
}
