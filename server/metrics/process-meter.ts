import { monitorEventLoopDelay, performance } from "node:perf_hooks";

/** How often the event loop is looked at. A shorter pause would wake an idle process more often. */
const RESOLUTION_MS = 20;

/** The process at one moment. */
export interface ProcessSample {
  /** How late timers were since the last sample, in seconds. `undefined` = nothing was measured. */
  readonly delays: { readonly p50: number; readonly p99: number; readonly max: number } | undefined;
  /** How long the event loop worked, and how long it waited, since the start. */
  readonly activeSeconds: number;
  readonly idleSeconds: number;
  /** Of all threads. */
  readonly cpuSeconds: number;
  /** Since 1970. */
  readonly startSeconds: number;
  /** In bytes. */
  readonly memory: NodeJS.MemoryUsage;
}

/** Measures the event loop of this thread from `start` to `stop`. */
export class ProcessMeter {
  readonly #delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });

  start(): void {
    this.#delays.enable();
  }

  stop(): void {
    this.#delays.disable();
  }

  /** Reads everything. The next delays are those from now on. */
  take(): ProcessSample {
    const { active, idle } = performance.eventLoopUtilization();
    const { user, system } = process.cpuUsage();
    return {
      delays: this.#takeDelays(),
      activeSeconds: active / 1e3,
      idleSeconds: idle / 1e3,
      cpuSeconds: (user + system) / 1e6,
      startSeconds: performance.timeOrigin / 1e3,
      memory: process.memoryUsage(),
    };
  }

  #takeDelays(): ProcessSample["delays"] {
    const delays = this.#delays;
    if (delays.count === 0) {
      return undefined;
    }
    // Node counts the whole pause between two looks.
    const late = (ns: number) => Math.max(0, ns / 1e9 - RESOLUTION_MS / 1e3);
    const taken = {
      p50: late(delays.percentile(50)),
      p99: late(delays.percentile(99)),
      max: late(delays.max),
    };
    delays.reset();
    return taken;
  }
}
