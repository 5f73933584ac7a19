import { PerformanceObserver } from "node:perf_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";

/** The longest pauses of the event loop, in milliseconds. */
export interface Pauses {
  /** By the clock, so it includes other work of the machine. */
  wallMs: number;
  /** By the main thread's processor time. */
  cpuMs: number;
  /** The longest pause that V8 reports of its garbage collector. */
  gcMs: number;
}

/**
 * Runs steps, one in each turn of the event loop, until one answers false. Answers the longest
 * turn.
 */
export async function pausesOf(step: () => Promise<boolean>): Promise<Pauses> {
  const pauses: Pauses = { wallMs: 0, cpuMs: 0, gcMs: 0 };
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      pauses.gcMs = Math.max(pauses.gcMs, duration);
    }
  });
  observer.observe({ entryTypes: ["gc"] });
  let wallMs = performance.now();
  let cpuMs = threadMs();
  let more = true;
  // Runs beside the steps, because some of them wait for another thread while the event loop turns.
  const watch = (async () => {
    while (more) {
      await nextTurn();
      const [wallNowMs, cpuNowMs] = [performance.now(), threadMs()];
      pauses.wallMs = Math.max(pauses.wallMs, wallNowMs - wallMs);
      pauses.cpuMs = Math.max(pauses.cpuMs, cpuNowMs - cpuMs);
      [wallMs, cpuMs] = [wallNowMs, cpuNowMs];
    }
  })();
  while (more) {
    more = await step();
    await nextTurn();
  }
  await watch;
  observer.disconnect();
  return pauses;
}

function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}
