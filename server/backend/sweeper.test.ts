import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createSweeper } from "./sweeper.ts";

describe("createSweeper", () => {
  let started = 0;
  let finish: (() => void) | undefined;
  let fail: ((error: Error) => void) | undefined;

  function sweep(): Promise<void> {
    started++;
    return new Promise((resolve, reject) => {
      finish = resolve;
      fail = reject;
    });
  }

  beforeEach(() => {
    vi.useFakeTimers();
    started = 0;
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  test("sweeps every second, one sweep at a time, and goes on after one that failed", async () => {
    const sweeper = createSweeper(sweep);
    await vi.advanceTimersByTimeAsync(999);
    expect(started).toBe(0);
    await vi.advanceTimersByTimeAsync(2001);
    expect(started).toBe(1);
    fail?.(new Error("the disk is full"));
    await vi.advanceTimersByTimeAsync(1000);
    expect(started).toBe(2);
    finish?.();
    await vi.advanceTimersByTimeAsync(1000);
    expect(started).toBe(3);
    finish?.();
    await sweeper.stop();
  });

  test("stop waits for the sweep under way and starts none", async () => {
    const sweeper = createSweeper(sweep);
    await vi.advanceTimersByTimeAsync(1000);
    let stopped = false;
    const stopping = sweeper.stop().then(() => (stopped = true));
    await vi.advanceTimersByTimeAsync(5000);
    expect(stopped).toBe(false);
    finish?.();
    await stopping;
    expect(started).toBe(1);
  });
});
