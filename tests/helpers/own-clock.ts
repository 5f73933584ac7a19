import { afterAll, vi } from "vitest";

/** What a test may fake for its own time. */
const CLOCK = ["setTimeout", "clearTimeout", "setInterval", "setImmediate", "Date", "performance"] as const;

const KEY = Symbol.for("prism.test.clock");

/** As it was before the first test file of this process. */
const real: Readonly<Record<string, unknown>> = Reflect.get(globalThis, KEY) ?? current();
Reflect.set(globalThis, KEY, real);

function current(): Readonly<Record<string, unknown>> {
  return Object.fromEntries(CLOCK.map((name) => [name, globalThis[name]]));
}

/**
 * Files share their process: a clock that one leaves faked makes files after it hang, far from the
 * cause. So the file itself fails.
 */
afterAll(() => {
  // A spy on a faked function brings the fake back when it ends.
  vi.restoreAllMocks();
  const left = CLOCK.filter((name) => globalThis[name] !== real[name]);
  if (left.length > 0) {
    Object.assign(globalThis, real);
    throw new Error(`this file leaves faked: ${left.join(", ")}`);
  }
});
