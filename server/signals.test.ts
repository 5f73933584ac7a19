import { afterEach, beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { firstSignal } from "./signals.ts";

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});

afterEach(() => {
  vi.useRealTimers();
});

/**
 * Listens as a server does. Answers the first signal, and with what the process would have ended.
 */
function listen() {
  const before = SIGNALS.map((signal) => process.listeners(signal));
  const first = firstSignal();
  const exit = vi.spyOn(process, "exit").mockReturnValue(undefined as never);
  onTestFinished(() => {
    SIGNALS.forEach((signal, i) => {
      for (const listener of process.listeners(signal).filter((own) => !before[i]?.includes(own))) {
        process.removeListener(signal, listener);
      }
    });
    exit.mockRestore();
  });
  // No other listener hears it: the test's own process goes on.
  const send = (signal: (typeof SIGNALS)[number]) => {
    for (const own of process.listeners(signal)) {
      if (!before[SIGNALS.indexOf(signal)]?.includes(own)) {
        own(signal);
      }
    }
  };
  return { first, exit, send };
}

test("the echo of a signal changes nothing", async () => {
  const { first, exit, send } = listen();
  send("SIGTERM");
  send("SIGTERM");
  vi.advanceTimersByTime(200);
  send("SIGTERM");
  expect(await first).toBe("SIGTERM");
  expect(exit).not.toHaveBeenCalled();
});

test("the same signal after that ends the process, with the number that shells expect", () => {
  const { exit, send } = listen();
  send("SIGTERM");
  vi.advanceTimersByTime(201);
  send("SIGTERM");
  expect(exit).toHaveBeenCalledExactlyOnceWith(128 + 15);
});

test("another signal ends it at once", async () => {
  const { first, exit, send } = listen();
  send("SIGINT");
  send("SIGTERM");
  expect(await first).toBe("SIGINT");
  expect(exit).toHaveBeenCalledExactlyOnceWith(128 + 15);
});
