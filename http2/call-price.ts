import { performance } from "node:perf_hooks";

/** One frame of the control budget stands for so much processor time, in milliseconds. */
const UNIT_MS = 0.1;

/**
 * The highest price of a call, in frames. The measure includes other work than calls, and an honest
 * client must not pay for that without end.
 */
const MAX_PRICE = 8;

/** The price is measured so often, in milliseconds. */
const MEASURE_MS = 100;

let started = 0;
let price = 1;
let measuredAt = Number.NEGATIVE_INFINITY;
let before = performance.eventLoopUtilization();

/** A call was begun, on any connection. */
export function countCall(): void {
  started++;
}

/**
 * The price of a call at this time, in frames of the control budget: the time that the event loop
 * was busy, divided by the calls that were begun. A call that only waits for its store costs 1.
 * `now` is `performance.now()`.
 */
export function callPrice(now: number): number {
  if (now - measuredAt >= MEASURE_MS) {
    const busyMs = performance.eventLoopUtilization(before).active;
    price = Math.min(Math.max(1, Math.round(busyMs / Math.max(1, started) / UNIT_MS)), MAX_PRICE);
    before = performance.eventLoopUtilization();
    measuredAt = now;
    started = 0;
  }
  return price;
}
