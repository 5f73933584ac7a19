import { expect, test } from "vitest";
import { PrismError } from "../../errors.ts";
import { bytes, CALL, present, texts } from "../conformance/harness.ts";
import { createManualClock } from "../conformance/manual-clock.ts";
import { memoryHarness } from "../conformance/memory-harness.ts";
import { describeBackend } from "../conformance/suite.ts";
import { createMemoryBackend } from "../memory/backend.ts";
import { StoreMeter } from "../store-meter.ts";
import { createBreakerBackend } from "./breaker.ts";
import { createMeasuredBackend } from "./measured.ts";

describeBackend(memoryHarness("measured memory", (inner) => createMeasuredBackend(inner, new StoreMeter())));

/** The number of calls of each operation. */
function callsOf(meter: StoreMeter): Record<string, number> {
  return Object.fromEntries(
    [...meter.operations].map(([name, { durations }]) => [
      name,
      // The last number is the sum.
      durations.slice(0, -1).reduce((sum, calls) => sum + calls, 0),
    ]),
  );
}

test("counts calls by operation, and failures by reason; calls that do not reach the store are none", async () => {
  const memory = createMemoryBackend({ type: "memory" }, { clock: createManualClock() });
  const meter = new StoreMeter();
  const fail = async () => {
    throw new PrismError("store_unavailable", "away");
  };
  const entries = { ...present(memory.entries), exists: fail };
  const measured = createMeasuredBackend({ ...memory, entries, check: fail }, meter);
  const backend = createBreakerBackend(measured);
  await backend.open();
  const { get, set, exists } = present(backend.entries);
  await set("n", [{ key: "a", value: bytes("v"), ttlMs: 0 }], CALL);
  expect(texts(await get("n", ["a"], CALL))).toEqual(["v"]);
  expect(callsOf(meter)).toEqual({ set: 1, get: 1 });
  await expect(exists("n", ["a"], CALL)).rejects.toThrow("away");
  // The breaker is open from now on.
  await expect(get("n", ["a"], CALL)).rejects.toThrow("away");
  expect(callsOf(meter)).toEqual({ set: 1, get: 1, exists: 1 });
  expect([...meter.of("exists").failures]).toEqual([["store_unavailable", 1]]);
  await backend.close();
});
