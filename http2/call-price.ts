import { performance } from "node:perf_hooks";

/** Processor time that one frame of the control budget stands for, in milliseconds. */
const UNIT_MS = 0.1;

/**
 * The most that a call is said to cost, in units. Other work than calls over HTTP/2 is in the measure too, and must not make an honest
 * client pay for it without end.
 */
const MAX_PRICE = 8;

/** How often it is measured, in milliseconds. */
const MEASURE_MS = 100;

let started = 0;
let price = 1;
let measuredAt = Number.NEGATIVE_INFINITY;
let before = performance.eventLoopUtilization();

/** A call was begun, on whatever connection. */
export function countCall(): void {
  started++;
}

/**
 * What it costs at this time to begin a call, in frames of the control budget: the time that the event loop is busy, divided by the
 * calls that were begun. A call that only waits for its store costs 1, whoever gives it up. `now` is `performance.now()`.
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
