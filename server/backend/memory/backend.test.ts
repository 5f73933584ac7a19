import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createSystemClock } from "../clock.ts";
import { bytes, CALL, present } from "../conformance/harness.ts";
import { createManualClock } from "../conformance/manual-clock.ts";
import { memoryHarness } from "../conformance/memory-harness.ts";
import { appendTo, deleteOne, event } from "../conformance/stream-values.ts";
import { describeBackend } from "../conformance/suite.ts";
import { createCall } from "../contract.ts";
import { createMemoryBackend } from "./backend.ts";

describeBackend(memoryHarness("memory", (memory) => memory));

describeBackend({
  ...memoryHarness(
    "memory without lists, records and streams",
    ({
      lists: _,
      records: _records,
      listRanges: _ranges,
      listIndexes: _indexes,
      listMoves: _moves,
      listNames: _names,
      recordIds: _ids,
      streams: _streams,
      streamNames: _streamNames,
      ...rest
    }) => rest,
  ),
  capabilities: ["entries", "commits", "scans", "erase"],
});

describe("expiry in the background", () => {
  beforeEach(() => {
    vi.useFakeTimers({ now: 0, toFake: ["setTimeout", "clearTimeout", "Date", "performance"] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("one timer waits for the soonest expiry of a namespace, and none is left after close", async () => {
    const backend = createMemoryBackend({ type: "memory" }, { clock: createSystemClock() });
    const entries = present(backend.entries);
    const value = bytes("1");
    for (let i = 0; i < 100; i++) {
      await entries.set("a", [{ key: `k${i}`, value, ttlMs: 1000 - i }], CALL);
    }
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(1000);
    expect(vi.getTimerCount()).toBe(0);
    await entries.set("a", [{ key: "k", value, ttlMs: 1000 }], CALL);
    expect(vi.getTimerCount()).toBe(1);
    await backend.close();
    expect(vi.getTimerCount()).toBe(0);
  });

  test("events of streams are reclaimed too, and those of a deleted stream need no timer", async () => {
    const backend = createMemoryBackend({ type: "memory" }, { clock: createSystemClock() });
    const streams = present(backend.streams);
    for (const [i, stream] of ["s", "t", "u"].entries()) {
      await appendTo(streams, stream, [event(0)], { retentionMs: 1000 - i });
    }
    await appendTo(streams, "forever", [event(0)]);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(1000);
    expect(vi.getTimerCount()).toBe(0);
    await appendTo(streams, "s", [event(0)]);
    expect(vi.getTimerCount()).toBe(1);
    await deleteOne(streams, "s");
    vi.advanceTimersByTime(1000);
    expect(vi.getTimerCount()).toBe(0);
    await backend.close();
  });

  test("a count ends when its call is aborted", async () => {
    const clock = createManualClock();
    const backend = createMemoryBackend({ type: "memory" }, { clock });
    const writes = Array.from({ length: 2000 }, (_, i) => ({ key: `k${i}`, value: bytes(""), ttlMs: 1 }));
    await backend.entries?.set("a", writes, CALL);
    clock.advance(1);
    const controller = new AbortController();
    const count = present(backend.scans).count("a", "", createCall(controller.signal));
    controller.abort();
    await expect(count).rejects.toMatchObject({ reason: "canceled" });
    await backend.close();
  });
});
