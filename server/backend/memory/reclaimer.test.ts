import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createSystemClock } from "../clock.ts";
import { createReclaimer, type Reclaimer } from "./reclaimer.ts";

describe("createReclaimer", () => {
  /** Expiries to come, the soonest first. A slice takes two. */
  let pending: number[] = [];
  let slices: number[] = [];
  let reclaimer: Reclaimer;

  beforeEach(() => {
    vi.useFakeTimers({ now: 0 });
    pending = [];
    slices = [];
    reclaimer = createReclaimer(createSystemClock(), (nowMs) => {
      let taken = 0;
      while (taken < 2 && pending[0] !== undefined && pending[0] <= nowMs) {
        pending.shift();
        taken++;
      }
      slices.push(taken);
      return pending[0];
    });
  });

  afterEach(() => {
    reclaimer.stop();
    vi.useRealTimers();
  });

  function add(...expiriesMs: number[]): void {
    pending = [...pending, ...expiriesMs].sort((a, b) => a - b);
    for (const expiryMs of expiriesMs) {
      reclaimer.expect(expiryMs);
    }
  }

  test("runs when the soonest is due, then for the next", () => {
    add(500, 100, 300);
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(99);
    expect(slices).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(slices).toEqual([1]);
    vi.advanceTimersByTime(400);
    expect(slices).toEqual([1, 1, 1]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("takes a crowd in slices, other work between them", () => {
    add(100, 100, 100, 100, 100);
    const turns: number[] = [];
    vi.advanceTimersToNextTimer();
    turns.push(slices.length);
    reclaimer.expect(50);
    vi.advanceTimersToNextTimer();
    turns.push(slices.length);
    vi.advanceTimersToNextTimer();
    turns.push(slices.length);
    expect(turns).toEqual([1, 2, 3]);
    expect(slices).toEqual([2, 2, 1]);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("waits longer than a timer can", () => {
    const inAYearMs = 365 * 86_400_000;
    add(inAYearMs);
    vi.advanceTimersByTime(inAYearMs - 1);
    expect(pending).toEqual([inAYearMs]);
    vi.advanceTimersByTime(1);
    expect(pending).toEqual([]);
  });

  test("stops, in the middle of a crowd too", () => {
    add(100, 100, 100);
    vi.advanceTimersToNextTimer();
    reclaimer.stop();
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(1000);
    expect(pending).toEqual([100]);
    reclaimer.expect(2000);
    vi.advanceTimersByTime(2000);
    expect(pending).toEqual([]);
  });
});
