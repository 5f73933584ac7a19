import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Deadlines, type TimedCall } from "./deadlines.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

test("each call ends when its own time is over, and none that is over already", () => {
  const deadlines = new Deadlines();
  const ended: number[] = [];
  const begin = (timeoutMs: number): TimedCall => {
    const call = { endMs: performance.now() + timeoutMs, late: () => ended.push(timeoutMs) };
    deadlines.add(call);
    return call;
  };
  begin(1000);
  const answered = begin(10);
  begin(20);
  begin(1500);
  deadlines.delete(answered);
  vi.advanceTimersByTime(19);
  expect(ended).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(ended).toEqual([20]);
  begin(5);
  vi.advanceTimersByTime(900);
  expect(ended).toEqual([20, 5]);
  vi.advanceTimersByTime(600);
  expect(ended).toEqual([20, 5, 1000, 1500]);
  expect(vi.getTimerCount()).toBe(0);
});

test("one timer is enough for many calls", () => {
  const deadlines = new Deadlines();
  const startMs = performance.now();
  for (let i = 0; i < 100; i++) {
    const call = { endMs: performance.now() + 10_000, late: () => {} };
    deadlines.add(call);
    vi.advanceTimersByTime(1);
    deadlines.delete(call);
    expect(vi.getTimerCount()).toBe(1);
  }
  // It is still that of the first call. (A spy on the faked setTimeout would outlive the fake.)
  vi.advanceTimersToNextTimer();
  expect(performance.now() - startMs).toBe(10_000);
});
