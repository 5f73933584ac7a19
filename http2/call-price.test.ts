import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { callPrice, countCall } from "./call-price.ts";

/** A measure is taken no sooner, with room for timers that come early. */
const MEASURED_MS = 120;

function begin(calls: number): void {
  callPrice(performance.now());
  for (let i = 0; i < calls; i++) {
    countCall();
  }
}

test("calls that only wait cost as much as a frame", async () => {
  await delay(MEASURED_MS);
  begin(10_000);
  await delay(MEASURED_MS);
  expect(callPrice(performance.now())).toBe(1);
});

test("calls that keep the loop busy cost by it, up to a bound", async () => {
  await delay(MEASURED_MS);
  begin(200);
  const busyUntil = performance.now() + MEASURED_MS;
  while (performance.now() < busyUntil) {
    // Work.
  }
  expect(callPrice(performance.now())).toBeGreaterThanOrEqual(6);
  await delay(MEASURED_MS);
  begin(1);
  const end = performance.now() + MEASURED_MS;
  while (performance.now() < end) {
    // Work.
  }
  expect(callPrice(performance.now())).toBe(8);
});
